/** Which proposals may stand together in one Commit. RFC 9420 §12.2. */
import { bytesKey, encode } from "../codec/index.ts";
import { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import { type RuleId, violation } from "../rules.ts";
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
  for (const [i, { proposal, sender }] of entries.entries()) {
    blaming([i], () => checkProposal(epoch, proposal, sender, types, flow));
  }
  if (committer.type === "member") checkMemberList(entries, committer.leafIndex, types);
  else checkExternalList(entries, types);
  checkOneChangePerLeaf(entries, types);
  checkReInitAlone(entries);
  atMostOne(entries, "groupContextExtensions", "valn0308");
  checkDistinctPsks(entries);
  checkDistinctInitKeys(entries);
}

function reject(rule: RuleId, message: string, offenders: readonly number[]): never {
  const details = { proposals: offenders };
  throw new ProposalFault(violation(rule, "INVALID_PROPOSAL", message, details), offenders);
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
        if (isOwn) reject("valn0302", "a committer may not commit an Update of its own", [i]);
        if (sender.type !== "member") reject("mk-61", "an Update must come from a member", [i]);
        break;
      case "remove":
        if (proposal.removed === committer) {
          reject("valn0303", "a committer may not remove itself", [i]);
        }
        break;
      case "externalInit":
        reject("valn0310", "ExternalInit belongs into external commits only", [i]);
        break;
      case "custom": {
        const type = types.proposals.get(proposal.proposalType);
        if (type?.byReferenceOnly === true && reference === undefined) {
          reject("mk-116", "this type of proposal is committed by reference only", [i]);
        }
        if (type?.removes?.(proposal, sender) === committer) {
          reject("mk-116", "a committer may not commit its own departure", [i]);
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
        reject("mk-117", "an external commit may not refer to this type of proposal", [i]);
      }
      if (place !== "byReference") {
        reject("valn0406", "an external commit carries proposals by value", [i]);
      }
      continue;
    }
    switch (proposal.type) {
      case "externalInit":
        inits += 1;
        break;
      case "remove":
        removes += 1;
        if (removes > 1) reject("valn0402", "an external commit removes at most one leaf", [i]);
        break;
      case "psk":
        break;
      default:
        if (custom?.byReferenceOnly === true) {
          reject("mk-116", "this type of proposal is committed by reference only", [i]);
        }
        if (place !== "byValue") {
          reject("valn0404", "this type does not belong into an external commit", [i]);
        }
    }
  }
  if (inits !== 1) reject("valn0401", "an external commit has exactly one ExternalInit", []);
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
    reject(
      conflictRule(change.rank, other.rank),
      "a leaf is updated or removed more than once",
      offenders,
    );
  }
}

function conflictRule(a: number, b: number): RuleId {
  if (a === 2 && b === 2) return "mk-115";
  return a === 2 || b === 2 ? "mk-116" : "valn0304";
}

function leafChange(
  { proposal, sender }: ProposalEntry,
  types: RegisteredTypes,
): { readonly leaf: number; readonly rank: number } | undefined {
  if (proposal.type === "remove") return { leaf: proposal.removed, rank: 1 };
  if (proposal.type === "update" && sender.type === "member") {
    return { leaf: sender.leafIndex, rank: 0 };
  }
  if (proposal.type !== "custom") return undefined;
  const leaf = types.proposals.get(proposal.proposalType)?.removes?.(proposal, sender);
  return leaf === undefined ? undefined : { leaf, rank: 2 };
}

function checkReInitAlone(entries: readonly ProposalEntry[]): void {
  const at = entries.findIndex(({ proposal }) => proposal.type === "reInit");
  if (at === -1 || entries.length === 1) return;
  const others = entries.map((_, i) => i).filter((i) => i !== at);
  reject("valn0309", "a ReInit stands alone in a Commit", [at, ...others]);
}

function atMostOne(
  entries: readonly ProposalEntry[],
  type: "groupContextExtensions",
  rule: RuleId,
): void {
  const first = entries.findIndex(({ proposal }) => proposal.type === type);
  const second = entries.findIndex(({ proposal }, i) => proposal.type === type && i > first);
  if (second !== -1) reject(rule, "GroupContextExtensions occurs more than once", [second, first]);
}

function checkDistinctPsks(entries: readonly ProposalEntry[]): void {
  checkDistinct(
    entries,
    ({ proposal }) => (proposal.type === "psk" ? encode(PreSharedKeyId, proposal.psk) : undefined),
    "valn0307",
    "a PSK is named more than once",
  );
}

function checkDistinctInitKeys(entries: readonly ProposalEntry[]): void {
  checkDistinct(
    entries,
    ({ proposal }) => (proposal.type === "add" ? proposal.keyPackage.initKey : undefined),
    "mk-66",
    "two Adds share an init key",
  );
}

/** The second of two equal values is at fault. */
export function checkDistinct(
  entries: readonly ProposalEntry[],
  valueOf: (entry: ProposalEntry) => Uint8Array | undefined,
  rule: RuleId,
  message: string,
): void {
  const seen = new Map<string, number>();
  for (const [i, entry] of entries.entries()) {
    const value = valueOf(entry);
    if (value === undefined) continue;
    const key = bytesKey(value);
    const first = seen.get(key);
    if (first !== undefined) reject(rule, message, [i, first]);
    seen.set(key, i);
  }
}
