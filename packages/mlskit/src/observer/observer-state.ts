/** What an observer holds, and its snapshots. RFC 9420 §12.4.3. */
import {
  type Codec,
  decode,
  encode,
  equalBytes,
  opaque,
  optional,
  struct,
  uint8,
  vector,
} from "../codec/index.ts";
import type { CryptoProvider } from "../crypto/index.ts";
import { StateError, UnsupportedError } from "../errors.ts";
import { Sender } from "../framing/framed-content.ts";
import { type Environment, wireTypes } from "../group/environment.ts";
import { type PublicEpoch, publicEpoch } from "../group/epoch.ts";
import { cacheKey, type CachedProposal, type ProposalCache } from "../group/proposal-entry.ts";
import { GroupContext } from "../key-schedule/group-context.ts";
import { Proposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";
import { RatchetTree } from "../tree/ratchet-tree.ts";

/** Immutable: following a message makes the next one. */
export interface ObserverState {
  readonly epoch: PublicEpoch;
  /** Proposals of the epoch. */
  readonly proposals: ProposalCache;
  /** Epochs that are over and whose messages are tolerated, latest first. */
  readonly past: readonly PublicEpoch[];
  /** True once a Commit went by that could not be read. */
  readonly isBlind: boolean;
}

export function initialState(epoch: PublicEpoch): ObserverState {
  return { epoch, proposals: new Map(), past: [], isBlind: false };
}

interface StoredProposal {
  readonly proposal: Proposal;
  readonly sender: Sender;
  readonly reference: Uint8Array;
}

const StoredProposal: Codec<StoredProposal> = struct({
  proposal: Proposal,
  sender: Sender,
  reference: opaque,
});

interface Snapshot {
  readonly format: number;
  readonly context: GroupContext;
  readonly confirmationTag: Uint8Array;
  readonly isBlind: number;
  readonly proposals: readonly StoredProposal[];
  readonly tree: Uint8Array | undefined;
}

const treeBytes: Codec<Uint8Array> = opaque;

const Snapshot: Codec<Snapshot> = struct<Snapshot>({
  format: uint8,
  context: GroupContext,
  confirmationTag: opaque,
  isBlind: uint8,
  proposals: vector(StoredProposal),
  tree: optional(treeBytes),
});

const FORMAT = 1;

/** Past epochs are not part of a snapshot. */
export function encodeState(
  { epoch, proposals, isBlind }: ObserverState,
  { withTree }: { readonly withTree: boolean },
): Uint8Array {
  const { context, confirmationTag, tree } = epoch;
  return encode(Snapshot, {
    format: FORMAT,
    context,
    confirmationTag,
    isBlind: isBlind ? 1 : 0,
    proposals: [...proposals.values()],
    tree: withTree ? tree.encode() : undefined,
  });
}

/**
 * Snapshots are our own and were valid when made; only the tree, which may come from elsewhere, is
 * compared with its hash.
 *
 * @throws DecodeError, UnsupportedError `UNSUPPORTED_SNAPSHOT`, StateError `TREE_REQUIRED`
 */
export function decodeState(
  provider: CryptoProvider,
  bytes: Uint8Array,
  ratchetTree: Uint8Array | undefined,
  { types, limits }: Pick<Environment, "types" | "limits">,
): ObserverState {
  if (bytes[0] !== FORMAT) {
    throw new UnsupportedError("UNSUPPORTED_SNAPSHOT", "the snapshot has another format");
  }
  // Limits are for what arrives; what was accepted under others is read all the same.
  const unbounded = { maximumExtensions: undefined, maximumCertificates: undefined };
  const wire = { ...wireTypes({ types, limits }), ...unbounded };
  const snapshot = decode(Snapshot, bytes, "observer snapshot", wire);
  const { context, confirmationTag } = snapshot;
  const crypto = provider.suite(context.cipherSuite);
  const nodes = snapshot.tree ?? ratchetTree;
  if (nodes === undefined) {
    throw new StateError("TREE_REQUIRED", "the ratchet tree must be given", { rule: "mk-96" });
  }
  const tree = RatchetTree.decode(crypto, nodes, wire, { maxNodes: 2 * limits.maximumLeaves });
  check(
    equalBytes(tree.treeHash(), context.treeHash),
    "valn1405",
    "INVALID_TREE",
    "the tree is not the one of the snapshot",
  );
  const epoch = publicEpoch(crypto, context, tree, confirmationTag);
  const proposals = new Map<string, CachedProposal>();
  for (const proposal of snapshot.proposals) proposals.set(cacheKey(proposal.reference), proposal);
  return { epoch, proposals, past: [], isBlind: snapshot.isBlind === 1 };
}
