/** Which proposals may stand together in one Commit. RFC 9420 §12.2. */
import { bytesKey, EMPTY_BYTES, encode } from "../codec/index.ts";
import { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import { type RuleId, violation } from "../rules.ts";
import { removedByCustom } from "./custom-types.ts";
import type { RegisteredTypes } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { blaming, ProposalFault, type ProposalEntry } from "./proposal-entry.ts";
import { checkProposal, type PskFlow } from "./proposal-rules.ts";

/** Who commits: a member, or a joiner that becomes one by its Commit. */
export type Committer =
  | { readonly type: "member"; readonly leafIndex: number }
  | { readonly type: "newMember" };

/**
 * All rules about a list that can be judged before it is applied. Where two proposals exclude each
 * other, the one that a committer should leave out is named first.
 *
 * @throws ProposalFault
 */
export function checkProposalList(
  epoch: PublicEpoch,
  entries: readonly ProposalEntry[],
  committer: Committer,
  types: RegisteredTypes,
  flow: PskFlow,
): void {
  // Most Commits of members have no proposals, and there is nothing to check in them.
  if (entries.length === 0 && committer.type === "member") return;
  checkDistinctReferences(entries);
  for (const [i, { proposal, sender }] of entries.entries()) {
    blaming([i], () => checkProposal(epoch, proposal, sender, types, flow));
  }
  if (committer.type === "member") checkMemberList(entries, committer.leafIndex, types);
  else checkExternalList(entries, types);
  checkOneChangePerLeaf(entries, types);
  checkReInitAlone(entries);
  checkExtensionsChangedOnce(entries);
  checkDistinctPsks(entries);
  checkDistinctClients(entries);
  checkDistinctInitKeys(entries);
}

function fault(rule: RuleId, message: string, offenders: readonly number[]): ProposalFault {
  const details = { proposals: offenders };
  return new ProposalFault(violation(rule, "INVALID_PROPOSAL", message, details), offenders);
}

/** RFC 9420 §12.2, the list of a regular Commit. */
function checkMemberList(
  entries: readonly ProposalEntry[],
  committer: number,
  types: RegisteredTypes,
): void {
  for (const [i, { proposal, sender, reference }] of entries.entries()) {
    const isOwn = sender.type === "member" && sender.leafIndex === committer;
    switch (proposal.type) {
      case "update":
        if (isOwn) throw fault("valn0302", "a committer may not commit an Update of its own", [i]);
        if (sender.type !== "member")
          throw fault("mk-61", "an Update must come from a member", [i]);
        break;
      case "remove":
        if (proposal.removed === committer) {
          throw fault("valn0303", "a committer may not remove itself", [i]);
        }
        break;
      case "externalInit":
        throw fault("valn0310", "ExternalInit belongs into external commits only", [i]);
      case "custom": {
        const type = types.proposals.get(proposal.proposalType);
        if (type?.byReferenceOnly === true && reference === undefined) {
          throw fault("mk-116", "this type of proposal is committed by reference only", [i]);
        }
        if (removedByCustom(proposal, sender, types) === committer) {
          throw fault("mk-116", "a committer may not commit its own departure", [i]);
        }
        break;
      }
      default:
        break;
    }
  }
}

/** RFC 9420 §12.2, the list of an external Commit. */
function checkExternalList(entries: readonly ProposalEntry[], types: RegisteredTypes): void {
  let inits = 0;
  let removes = 0;
  for (const [i, { proposal, reference }] of entries.entries()) {
    const custom =
      proposal.type === "custom" ? types.proposals.get(proposal.proposalType) : undefined;
    const place = custom?.inExternalCommit ?? "never";
    if (reference !== undefined) {
      if (place !== "byReference" && proposal.type === "custom") {
        throw fault("mk-117", "an external commit may not refer to this type of proposal", [i]);
      }
      if (place !== "byReference") {
        throw fault("valn0406", "an external commit carries proposals by value", [i]);
      }
      continue;
    }
    switch (proposal.type) {
      case "externalInit":
        inits += 1;
        break;
      case "remove":
        removes += 1;
        if (removes > 1)
          throw fault("valn0402", "an external commit removes at most one leaf", [i]);
        break;
      case "psk":
        break;
      default:
        if (custom?.byReferenceOnly === true) {
          throw fault("mk-116", "this type of proposal is committed by reference only", [i]);
        }
        if (place !== "byValue") {
          throw fault("valn0404", "this type does not belong into an external commit", [i]);
        }
    }
  }
  if (inits !== 1) throw fault("valn0401", "an external commit has exactly one ExternalInit", []);
}

/** Later proposals win over earlier ones, removal over update. RFC 9420 §12.2. */
function checkOneChangePerLeaf(entries: readonly ProposalEntry[], types: RegisteredTypes): void {
  const changed = new Map<number, { at: number; rank: number }>();
  for (const [i, entry] of entries.entries()) {
    const change = leafChange(entry, types);
    if (change === undefined) continue;
    const other = changed.get(change.leaf);
    if (other === undefined) {
      changed.set(change.leaf, { at: i, rank: change.rank });
      continue;
    }
    // Of two removals the first stays, of two Updates the latest, of a mixture the removal.
    const dropOther = change.rank > other.rank || (change.rank === 0 && other.rank === 0);
    const offenders = dropOther ? [other.at, i] : [i, other.at];
    const departures = [change, other].filter(({ rank }) => rank === 2).length;
    if (departures === 2) throw fault("mk-115", "a member leaves twice", offenders);
    if (departures === 1) throw fault("mk-116", "a member that leaves is changed too", offenders);
    throw fault("valn0304", "a leaf is updated or removed more than once", offenders);
  }
}

/** Which leaf a proposal is about, if it is about one in the tree. */
export function leafChange(
  { proposal, sender }: ProposalEntry,
  types: RegisteredTypes,
): { readonly leaf: number; readonly rank: number } | undefined {
  if (proposal.type === "remove") return { leaf: proposal.removed, rank: 1 };
  if (proposal.type === "update" && sender.type === "member") {
    return { leaf: sender.leafIndex, rank: 0 };
  }
  const leaf = removedByCustom(proposal, sender, types);
  return leaf === undefined ? undefined : { leaf, rank: 2 };
}

function checkReInitAlone(entries: readonly ProposalEntry[]): void {
  const at = entries.findIndex(({ proposal }) => proposal.type === "reInit");
  if (at === -1 || entries.length === 1) return;
  const others = entries.map((_, i) => i).filter((i) => i !== at);
  throw fault("valn0309", "a ReInit stands alone in a Commit", [at, ...others]);
}

function checkExtensionsChangedOnce(entries: readonly ProposalEntry[]): void {
  const pair = firstRepetition(entries, ({ proposal }) =>
    proposal.type === "groupContextExtensions" ? EMPTY_BYTES : undefined,
  );
  if (pair === undefined) return;
  throw fault("valn0308", "GroupContextExtensions occurs more than once", pair);
}

function checkDistinctReferences(entries: readonly ProposalEntry[]): void {
  const pair = firstRepetition(entries, ({ reference }) => reference);
  if (pair !== undefined) throw fault("mk-68", "a proposal is referred to twice", pair);
}

function checkDistinctPsks(entries: readonly ProposalEntry[]): void {
  const pair = firstRepetition(entries, ({ proposal }) =>
    proposal.type === "psk" ? encode(PreSharedKeyId, proposal.psk) : undefined,
  );
  if (pair !== undefined) throw fault("valn0307", "a PSK is named more than once", pair);
}

function checkDistinctClients(entries: readonly ProposalEntry[]): void {
  const pair = firstRepetition(entries, ({ proposal }) =>
    proposal.type === "add" ? proposal.keyPackage.leafNode.signatureKey : undefined,
  );
  if (pair !== undefined) throw fault("valn0305", "two Adds are of one client", pair);
}

function checkDistinctInitKeys(entries: readonly ProposalEntry[]): void {
  const pair = firstRepetition(entries, ({ proposal }) =>
    proposal.type === "add" ? proposal.keyPackage.initKey : undefined,
  );
  if (pair !== undefined) throw fault("mk-66", "two Adds share an init key", pair);
}

/** The first entry whose value occurred before, and the one that had it. */
function firstRepetition(
  entries: readonly ProposalEntry[],
  valueOf: (entry: ProposalEntry) => Uint8Array | undefined,
): readonly [second: number, first: number] | undefined {
  const seen = new Map<string, number>();
  for (const [i, entry] of entries.entries()) {
    const value = valueOf(entry);
    if (value === undefined) continue;
    const key = bytesKey(value);
    const first = seen.get(key);
    if (first !== undefined) return [i, first];
    seen.set(key, i);
  }
  return undefined;
}
