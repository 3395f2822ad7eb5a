/**
 * Judging a list of proposals, and the group that results from it. RFC 9420 §12.2, §12.3.
 *
 * Committer and receiver run the same code: what one may send, all others accept. The committer
 * reacts to a fault by leaving a proposal out (select-proposals.ts), the receiver by refusing.
 */
import type { Secret } from "../crypto/index.ts";
import { StateError } from "../errors.ts";
import { checkKeyPackage, keyPackageSignatures } from "../key-packages/key-package-validation.ts";
import { pskSecret } from "../key-schedule/pre-shared-key.ts";
import { check, violation } from "../rules.ts";
import { supports } from "../tree/capabilities.ts";
import { verifyJob } from "../tree/leaf-node.ts";
import { checkLeafNode, type ValidationNotice } from "../tree/leaf-node-validation.ts";
import { checkResult, type SignatureJob } from "../tree/signature-batch.ts";
import type { LeafIndex } from "../tree/tree-math.ts";
import {
  applyProposals,
  type LeafChange,
  type ProvisionalGroup,
  type UpdatedLeaf,
} from "./apply-proposals.ts";
import { checkChangedExtensions, contextRequirements } from "./context-extensions.ts";
import { checkCredentials, type CredentialChange } from "./credential-checks.ts";
import type { Direction, Environment } from "./environment.ts";
import { groupView, type PublicEpoch } from "./epoch.ts";
import { checkLeafAmongMembers } from "./leaf-among-members.ts";
import { receivedLifetimes, sentLifetimes } from "./lifetimes.ts";
import { blaming, ProposalFault, type ProposalEntry } from "./proposal-entry.ts";
import { checkProposalList, type Committer } from "./proposal-list.ts";
import type { PskFlow } from "./proposal-rules.ts";
import { reviewProposal } from "./review.ts";
import { repeatedClient } from "./same-client.ts";
import {
  isVerifiedKeyPackage,
  isVerifiedLeaf,
  rememberKeyPackage,
  rememberLeaf,
} from "./verified-signatures.ts";

export interface Evaluation {
  readonly epoch: PublicEpoch;
  readonly entries: readonly ProposalEntry[];
  readonly committer: Committer;
  readonly flow: PskFlow;
  readonly direction: Exclude<Direction, "receive" | "store">;
  readonly environment: Environment;
  /** Who follows the Commit: observers have no leaf. */
  readonly follower?: { readonly ownLeaf: LeafIndex | undefined };
}

/** A list that may be committed, with what follows from it. */
export interface EvaluatedProposals extends ProvisionalGroup {
  readonly entries: readonly ProposalEntry[];
  readonly pskSecret: Secret;
  /** What is odd about the leaves that come in, but no reason to refuse them. */
  readonly notices: readonly ValidationNotice[];
}

/** @throws ProposalFault if particular proposals are to blame */
export async function evaluateProposals(evaluation: Evaluation): Promise<EvaluatedProposals> {
  const { epoch, entries, committer, flow, environment } = evaluation;
  checkProposalList(epoch, entries, committer, environment.types, flow);
  const group = applyProposals(epoch, entries, committer, environment.types);
  // Commits without proposals are the most frequent ones, and there is nothing to check in them.
  if (entries.length === 0) {
    return { entries, pskSecret: pskSecret(epoch.crypto, []), notices: [], ...group };
  }
  checkCustomSupport(evaluation, group);
  await checkChangedExtensions(epoch, entries, group, environment);
  const notices = await checkChangedLeaves(evaluation, group);
  await checkSignatures(evaluation, group);
  await checkIdentities(evaluation, group);
  checkClients(evaluation, group);
  await checkPolicy(evaluation);
  const psk = await resolvePsks(evaluation, group);
  return { entries, pskSecret: psk, notices, ...group };
}

/** Rule valn0311: members that process the Commit know its proposal types. */
function checkCustomSupport({ epoch, entries }: Evaluation, { removed }: ProvisionalGroup): void {
  const leavers = new Set<number>(removed.map(({ leaf }) => leaf));
  for (const [position, { proposal }] of entries.entries()) {
    if (proposal.type !== "custom") continue;
    const { proposalType } = proposal;
    for (const [leaf, { capabilities }] of epoch.tree.members()) {
      if (leavers.has(leaf)) continue;
      blaming([position], () => {
        check(
          supports(capabilities, "proposals", proposalType),
          "valn0311",
          "INVALID_PROPOSAL",
          "a member does not support this type of proposal",
          { proposalType, leafIndex: leaf },
        );
      });
    }
  }
}

/** Rules valn0305 and valn0306, where the application tells clients apart by more than keys. */
function checkClients({ environment }: Evaluation, { added, tree }: ProvisionalGroup): void {
  const positions = new Map<number, number>(added.map(({ leaf, position }) => [leaf, position]));
  const found = repeatedClient(environment, tree.members(), new Set(positions.keys()));
  if (found === undefined) return;
  const at = [found.added, found.other].flatMap((leaf) => positions.get(leaf) ?? []);
  blaming(at, () => {
    const details = { leafIndex: found.added };
    const message = "the client has a leaf in the group already";
    if (at.length === 2) throw violation("valn0305", "INVALID_PROPOSAL", message, details);
    throw violation("valn0306", "INVALID_PROPOSAL", message, details);
  });
}

async function checkChangedLeaves(
  evaluation: Evaluation,
  group: ProvisionalGroup,
): Promise<readonly ValidationNotice[]> {
  const notices: ValidationNotice[] = [];
  const note = (found: readonly ValidationNotice[], leaf: number): void => {
    for (const notice of found) {
      notices.push({ ...notice, details: { ...notice.details, leafIndex: leaf } });
    }
  };
  const { epoch, direction, environment } = evaluation;
  const requirements = contextRequirements(epoch.crypto, group.extensions);
  const lifetime =
    direction === "createCommit" ? sentLifetimes(environment) : receivedLifetimes(environment);
  const { strictExtensions } = environment.limits;
  for (const change of group.added) {
    await blamingAsync(offendersOf(change, group), async () => {
      const rules = { lifetime, strictExtensions, ...requirements };
      note(await checkKeyPackage(change.keyPackage, rules), change.leaf);
      checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0306");
    });
  }
  for (const change of group.updated) {
    await blamingAsync(offendersOf(change, group), async () => {
      const found = await checkLeafNode(change.after, {
        code: "INVALID_PROPOSAL",
        source: "update",
        replaces: change.before,
        leafIndex: change.leaf,
        ...requirements,
      });
      note(found, change.leaf);
      checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0111");
    });
  }
  return notices;
}

/** A leaf may be at odds with new extensions; then leaving out either would do. */
function offendersOf({ position }: LeafChange, group: ProvisionalGroup): readonly number[] {
  const extensions = group.extensionsPosition;
  return extensions === undefined ? [position] : [position, extensions];
}

/** All signatures inside proposals that were not verified before, in one batch. */
async function checkSignatures(evaluation: Evaluation, group: ProvisionalGroup): Promise<void> {
  const { epoch } = evaluation;
  const { groupId } = epoch.context;
  const jobs: SignatureJob[] = [];
  const positions: number[] = [];
  const found: (() => void)[] = [];
  const enqueue = (position: number, more: readonly SignatureJob[], remember: () => void): void => {
    for (const job of more) {
      jobs.push(job);
      positions.push(position);
    }
    found.push(remember);
  };
  for (const { keyPackage, position } of group.added) {
    if (isVerifiedKeyPackage(keyPackage)) continue;
    enqueue(position, keyPackageSignatures(keyPackage), () => rememberKeyPackage(keyPackage));
  }
  for (const { after: leaf, leaf: leafIndex, position } of group.updated) {
    const binding = { groupId, leafIndex };
    if (isVerifiedLeaf(leaf, binding)) continue;
    enqueue(position, [verifyJob(leaf, binding)], () => rememberLeaf(leaf, binding));
  }
  if (jobs.length === 0) return;
  const results = await epoch.crypto.verifyMany(jobs);
  for (const [i, job] of jobs.entries()) {
    const position = positions[i] ?? 0;
    blaming([position], () => checkResult(job, results[i], { proposals: [position] }));
  }
  for (const remember of found) remember();
}

async function checkIdentities(evaluation: Evaluation, group: ProvisionalGroup): Promise<void> {
  const { epoch, environment } = evaluation;
  const { groupId } = epoch.context;
  await checkCredentials(environment, incoming(group.added), "add", groupId);
  await checkCredentials(environment, incoming(group.updated), "update", groupId);
}

function incoming(changes: readonly UpdatedLeaf[]): readonly CredentialChange[] {
  return changes.map(({ before: current, after: next, position }) => ({ current, next, position }));
}

async function checkPolicy(evaluation: Evaluation): Promise<void> {
  const { epoch, entries, direction, environment } = evaluation;
  if (environment.policy.reviewProposal === undefined) return;
  const committer =
    evaluation.committer.type === "member" ? evaluation.committer.leafIndex : undefined;
  const how = { direction, committer, authenticatedData: undefined };
  const group = groupView(epoch.context, epoch.tree);
  for (const [position, entry] of entries.entries()) {
    await blamingAsync([position], () => reviewProposal(environment, entry, how, group));
  }
}

/** Rules valn1205, mk-90: no PSK is ever replaced by zeros, where there are secrets to follow. */
async function resolvePsks(evaluation: Evaluation, group: ProvisionalGroup): Promise<Secret> {
  const { epoch, entries, environment, follower } = evaluation;
  if (follower !== undefined && !goesAlong(follower, group)) return pskSecret(epoch.crypto, []);
  const psks: { id: ProvisionalGroup["psks"][number]; secret: Secret }[] = [];
  const missing: ProvisionalGroup["psks"][number][] = [];
  for (const id of group.psks) {
    const secret = await environment.psks(id);
    if (secret === undefined) missing.push(id);
    else psks.push({ id, secret });
  }
  if (missing.length > 0) {
    const offenders = [...entries.keys()].filter((i) => {
      const proposal = entries[i]?.proposal;
      return proposal?.type === "psk" && missing.includes(proposal.psk);
    });
    const message = "a pre-shared key is not at hand";
    throw new ProposalFault(
      new StateError("MISSING_PSK", message, { rule: "valn1205", details: { missing } }),
      offenders,
    );
  }
  return pskSecret(epoch.crypto, psks);
}

/** Rule mk-78: neither observers nor whoever is removed compute secrets of the next epoch. */
function goesAlong(
  { ownLeaf }: NonNullable<Evaluation["follower"]>,
  { removed }: ProvisionalGroup,
): boolean {
  return ownLeaf !== undefined && !removed.some(({ leaf }) => leaf === ownLeaf);
}

async function blamingAsync(
  offenders: readonly number[],
  run: () => void | Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (fault) {
    if (fault instanceof ProposalFault) throw fault;
    throw new ProposalFault(fault, offenders);
  }
}
