/** Noticing that a whole store went back in time, for example from a backup. P-MP-05, P-CR-04. */
import { concat, equalBytes } from "../codec/bytes.ts";

/**
 * A place outside of the store that does not travel with it: not in its backups, not in its files.
 * The platform's key store or a server will do. The bytes are not secret.
 */
export interface RollbackGuard {
  /** What was remembered last; undefined the first time. */
  recall(): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** Called after every write, in order. May keep every n-th only: older is safe, newer is not. */
  remember(state: Uint8Array): Promise<void> | void;
}

/**
 * `unguarded`: there is no guard; `none`: the store is at least as new as remembered; `suspected`: it
 * is older, or another one.
 */
export type RollbackState = "unguarded" | "none" | "suspected";

const COUNTER_SIZE = 8;

/** Store id and number of writes. */
export function encodeProgress(storeId: Uint8Array, writes: number): Uint8Array {
  const counter = new DataView(new ArrayBuffer(COUNTER_SIZE));
  counter.setBigUint64(0, BigInt(writes));
  return concat(storeId, new Uint8Array(counter.buffer));
}

/** What to think of a store that has come to `writes`, given what was remembered. */
export function compareProgress(
  remembered: Uint8Array | undefined,
  storeId: Uint8Array,
  writes: number,
): RollbackState {
  if (remembered === undefined) return "none";
  if (remembered.length !== storeId.length + COUNTER_SIZE) return "suspected";
  if (!equalBytes(remembered.subarray(0, storeId.length), storeId)) return "suspected";
  const view = new DataView(remembered.buffer, remembered.byteOffset, remembered.length);
  return Number(view.getBigUint64(storeId.length)) > writes ? "suspected" : "none";
}
