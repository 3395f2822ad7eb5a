/** A Commit of ours that waits, as a record. Of its tree it holds what differs from the current one. */
import type { Signer, SuiteCrypto } from "../../crypto/index.ts";
import type { WireTypes } from "../../codec/index.ts";
import { root } from "../../tree/tree-math.ts";
import { changedChunks, type TreeChunk, treeFromChunks } from "../../tree/stored-chunks.ts";
import { SecretTree } from "../../secret-tree/secret-tree.ts";
import { epochFromRecord, epochToRecord, untouchedSecret } from "./epoch-records.ts";
import type { GroupState, PendingCommit } from "../state/group-state.ts";
import { decodeRecord, encodeRecord, type PendingRecord, pendingRecord } from "./record-codecs.ts";

export function encodePending(
  { epoch }: Pick<GroupState, "epoch">,
  pending: PendingCommit,
): Uint8Array {
  const { next, ...rest } = pending;
  const stored = epochToRecord(next);
  const record: PendingRecord = {
    ...rest,
    next: stored,
    exporter: stored,
    encryptionSecret: untouchedSecret(next),
    chunks: changedChunks(next.tree, epoch.tree),
  };
  return encodeRecord(pendingRecord, record);
}

/** @param chunks of the tree that the Commit changes */
export async function decodePending(
  bytes: Uint8Array,
  crypto: SuiteCrypto,
  chunks: Iterable<TreeChunk>,
  types: WireTypes,
  signer: (publicKey: Uint8Array) => Promise<Signer>,
): Promise<PendingCommit> {
  const record = decodeRecord(pendingRecord, bytes, types);
  const { encryptionSecret, exporter, chunks: changed, ...rest } = record;
  const next = { ...rest.next, ...exporter };
  const merged = new Map<string, TreeChunk>();
  for (const chunk of chunks) merged.set(`${chunk.level}.${chunk.id}`, chunk);
  for (const { level, id, bytes: body } of changed) {
    if (body === undefined) merged.delete(`${level}.${id}`);
    else merged.set(`${level}.${id}`, { level, id, bytes: body });
  }
  const tree = treeFromChunks(crypto, next.leafCount, merged.values(), types);
  const top = root(next.leafCount);
  const secretTree = SecretTree.restore(crypto, next.leafCount, [[top, encryptionSecret]], []);
  const nextSigner = await signer(next.signatureKey);
  return { ...rest, next: epochFromRecord(crypto, next, tree, secretTree, nextSigner) };
}
