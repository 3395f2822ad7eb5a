/** The mark that a client left its store for another one. P-MP-07. */
import { StateError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { MOVED_KEY } from "../records/record-keys.ts";

/** @throws StateError `CLIENT_MOVED` */
export async function requireNotMoved(storage: Storage): Promise<void> {
  if ((await storage.get(MOVED_KEY)) !== undefined) throw clientMoved();
}

export function clientMoved(): StateError {
  return new StateError("CLIENT_MOVED", "the client was moved to another store");
}
