/** Groups that cannot be read, while others can. */
import { MlsError } from "../../errors.ts";

export interface UnreadableGroup {
  /** Undefined for one that is too long to be told without reading the group. */
  readonly groupId: Uint8Array | undefined;
  readonly error: unknown;
}

/** Whether an error on reading a group concerns it alone: neither the caller nor who has the store. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof MlsError)) return true;
  return error.blame !== "usage" && !MlsError.is(error, "STORAGE_CONFLICT", "STORE_LOCKED");
}
