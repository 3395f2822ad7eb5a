/** Groups that cannot be read, while others can. */
import { MlsError } from "../../errors.ts";

/** Whether an error on reading a group concerns it alone: neither the caller nor who has the store. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof MlsError)) return true;
  return error.blame !== "usage" && !MlsError.is(error, "STORAGE_CONFLICT", "STORE_LOCKED");
}
