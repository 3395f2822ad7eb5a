/** A Welcome with what was asked for when it was made. */
export interface Invitation {
  readonly sponsor: string;
  readonly joiners: readonly string[];
  readonly welcome: Uint8Array;
  /** Undefined if it is not shown. */
  readonly commit?: Uint8Array | undefined;
  /** Only if it was asked for. */
  readonly ratchetTree?: Uint8Array | undefined;
  readonly forcePath?: boolean | undefined;
}
