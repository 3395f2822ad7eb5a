/** Where the writer of records puts them. */

/** Collects puts and deletes; the last word on a key counts. */
export interface RecordSink {
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
}
