/** Groups that cannot be read, while others can. */
import { uint32 } from "../../codec/index.ts";
import { MlsError } from "../../errors.ts";
import type { StoredRecord } from "../../storage/storage.ts";
import { decodeRecord } from "../records/record-codecs.ts";
import { GROUP_PREFIX, groupIdOf } from "../records/record-keys.ts";
import type { ClientCore } from "./client-core.ts";

export interface UnreadableGroup {
  /** Undefined for one that is too long to be told without reading the group. */
  readonly groupId: Uint8Array | undefined;
  readonly error: unknown;
}

/**
 * Whether an error on reading a group concerns it alone: its records are damaged or gone, or its signer
 * or tree is not at hand. A store that fails, or that a later release wrote, concerns all.
 */
export function isUnreadable(error: unknown): error is MlsError {
  if (!(error instanceof MlsError)) return false;
  const { blame, code, cause } = error;
  if (blame !== "storage") return blame !== "usage" && blame !== "provider";
  // The medium is not to blame for what does not decode.
  const isDamaged = code === "STORAGE_FAILED" && cause instanceof MlsError;
  return isDamaged || code === "TREE_MISSING" || code === "TREE_MISMATCH";
}

/** All groups of a client, those that can be read and the others. */
export async function readGroups<T>(
  core: ClientCore,
  open: (handle: number) => Promise<T>,
): Promise<{ readonly groups: T[]; readonly unreadable: UnreadableGroup[] }> {
  core.checkOpen();
  const groups: T[] = [];
  const unreadable: UnreadableGroup[] = [];
  for (const listed of await core.storage.list(GROUP_PREFIX)) {
    let record: StoredRecord | undefined = listed;
    while (record !== undefined) {
      try {
        groups.push(await open(decodeRecord(uint32, record.value)));
        break;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        // Deleted since it was listed, or in another state.
        const now = await core.storage.get(listed.key);
        if (now?.version === record.version) {
          unreadable.push({ groupId: groupIdOf(listed.key), error });
          break;
        }
        record = now;
      }
    }
  }
  return { groups, unreadable };
}
