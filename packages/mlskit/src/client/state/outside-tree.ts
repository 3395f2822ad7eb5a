/** Groups whose ratchet tree the application keeps. M-STO-19. */
import { equalBytes, type WireTypes } from "../../codec/index.ts";
import type { MaybePromise, SuiteCrypto } from "../../crypto/index.ts";
import { MlsError, StorageError } from "../../errors.ts";
import type { GroupContext } from "../../key-schedule/group-context.ts";
import { RatchetTree } from "../../tree/ratchet-tree.ts";
import type { GroupState } from "./group-state.ts";

/**
 * Hands in the tree of an epoch, as `Group.ratchetTree` or a delivery service gave it. It may come from
 * anywhere: it is checked by its hash.
 */
export type TreeSource = (
  groupId: Uint8Array,
  epoch: bigint,
) => MaybePromise<Uint8Array | undefined>;

/** Where a group has ended, the last view of its members stays in the store: no hash is known for it. */
export function isTreeStored({ config, status }: Pick<GroupState, "config" | "status">): boolean {
  return config.storedTree || status === "inactive";
}

/** @throws StorageError `TREE_MISSING`, `TREE_MISMATCH` */
export async function readOutsideTree(
  source: TreeSource | undefined,
  crypto: SuiteCrypto,
  context: GroupContext,
  types: WireTypes,
): Promise<RatchetTree> {
  const { epoch } = context;
  const missing = (cause?: unknown): StorageError =>
    new StorageError("TREE_MISSING", "the tree of the group is kept elsewhere", {
      details: { epoch },
      cause,
    });
  let bytes: Uint8Array | undefined;
  try {
    bytes = await source?.(context.groupId, epoch);
  } catch (cause) {
    throw cause instanceof MlsError ? cause : missing(cause);
  }
  if (bytes === undefined) throw missing();
  const tree = decodeTree(crypto, bytes, types);
  if (tree !== undefined && equalBytes(tree.treeHash(), context.treeHash)) return tree;
  throw new StorageError("TREE_MISMATCH", "this is not the tree of the epoch", {
    details: { epoch },
  });
}

function decodeTree(
  crypto: SuiteCrypto,
  bytes: Uint8Array,
  types: WireTypes,
): RatchetTree | undefined {
  try {
    return RatchetTree.decode(crypto, bytes, types);
  } catch (error) {
    if (error instanceof MlsError) return undefined;
    throw error;
  }
}
