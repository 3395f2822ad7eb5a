/** From one epoch to the next: what is kept, what is forgotten. RFC 9420 §9.2, §14. */
import { Secret } from "../../crypto/index.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { identityOf, isSameIdentity } from "../../group/credential-checks.ts";
import type { Epoch } from "../../group/epoch.ts";
import { mapSecrets } from "../../key-schedule/key-schedule.ts";
import { type PastMember, retire } from "../../group/past-epoch.ts";
import type { StagedCommit } from "../../group/process-commit.ts";
import type { GroupConfig } from "../state/config.ts";
import { stillQueued } from "../state/dropped-proposals.ts";
import { eraseState } from "../state/erase-state.ts";
import { afterEpoch } from "../state/hand-out.ts";
import { SecretTree } from "../../secret-tree/secret-tree.ts";
import { untouchedSecret } from "../records/epoch-records.ts";
import type { GroupState, StoredPastEpoch } from "../state/group-state.ts";
import type { GroupSession } from "../session/session.ts";
import { afterCommit } from "../state/update-advice.ts";

export interface Merged {
  readonly state: GroupState;
  /** Overwrites what is not kept. To be called when the new state is durable. */
  erase(): void;
}

/** Begins the next epoch, after a Commit of ours or of another member. */
export function mergeEpoch(
  state: GroupState,
  next: Epoch,
  summary: CommitSummary,
  now: bigint,
): Merged {
  const { epoch } = state;
  const ended: StoredPastEpoch = { ...retire(epoch, now), changes: memberChanges(summary) };
  const past = keepPast(state, [ended, ...state.past], now);
  const resumptionPsks = keepPsks(state, epoch.context.epoch, epoch.secrets.resumptionPsk);
  const after: GroupState = {
    ...state,
    status: summary.reInit === undefined ? "active" : "suspended",
    reInit: summary.reInit,
    epoch: beginEpoch(next),
    past,
    resumptionPsks,
    proposals: new Map(),
    setAside: new Map(),
    pending: undefined,
    handOuts: afterEpoch(state.handOuts),
    joinCommit: undefined,
    isLeaving: false,
    frozenUpTo: afterRollback(state, next, summary),
    ownUpdate: afterCommit(state, summary, now),
  };
  const merged = { ...after, queued: stillQueued(state, after, now) };
  return { state: merged, erase: () => eraseState(state, merged) };
}

/** Rule P-MP-06: a lost copy of this state cannot have made a Commit of another member's. */
function afterRollback(
  { frozenUpTo, epoch }: GroupState,
  next: Epoch,
  { committer }: CommitSummary,
): bigint | undefined {
  if (frozenUpTo === undefined) return undefined;
  const isHealed = next.context.epoch > frozenUpTo && committer !== epoch.ownLeaf;
  return isHealed ? undefined : frozenUpTo;
}

/** The end of the group for us: the last view of its members stays, its secrets go. */
export function mergeRemoval(state: GroupState, staged: StagedCommit, now: bigint): Merged {
  const past = afterRemoval(state.past, staged.summary);
  return endGroup(state, { ...state.epoch, tree: staged.group.tree }, past, now);
}

/** The last epoch of ours is not kept: the one before it tells its members from the last tree. */
function afterRemoval(
  [newest, ...older]: GroupState["past"],
  summary: CommitSummary,
): GroupState["past"] {
  if (newest === undefined) return [];
  const changes = new Map([...memberChanges(summary), ...newest.changes]);
  return [{ ...newest, changes: [...changes] }, ...older];
}

/** Closes a group from outside a Commit. */
export function closeGroup(state: GroupState, now: bigint): Merged {
  return endGroup(state, state.epoch, [], now);
}

function endGroup(state: GroupState, epoch: Epoch, past: GroupState["past"], now: bigint): Merged {
  const ended: GroupState = {
    ...state,
    status: "inactive",
    // There are no keys of ours to renew any more: from here on it tells since when.
    ownUpdate: { updatedAt: now, messages: 0, sawRemoval: false },
    epoch: withoutSecrets(epoch),
    past,
    resumptionPsks: new Map(),
    proposals: new Map(),
    setAside: new Map(),
    queued: [],
    pending: undefined,
    handOuts: afterEpoch(state.handOuts),
    joinCommit: undefined,
    isLeaving: false,
    buffer: new Map(),
  };
  return { state: ended, erase: () => eraseState(state, ended) };
}

/** The view of an epoch that stays when its secrets go. */
function withoutSecrets(epoch: Epoch): Epoch {
  return {
    ...epoch,
    privateKeys: new Map(),
    secrets: mapSecrets(epoch.secrets, () => new Secret(new Uint8Array(0))),
    exporterTree: undefined,
  };
}

/** Rules P-BUF, mk-111: newest first, by count and by age. */
export function keepPast(
  { config }: GroupState,
  past: readonly StoredPastEpoch[],
  now: bigint,
): readonly StoredPastEpoch[] {
  const oldest = now - BigInt(config.pastEpochLifetime);
  return past.slice(0, config.pastEpochs).filter(({ endedAt }) => endedAt >= oldest);
}

/** Keeps only these past epochs; the keys of the others are overwritten once that is durable. */
export function keepOnlyPast(session: GroupSession, past: GroupState["past"]): void {
  const gone = session.state.past.filter((one) => !past.includes(one));
  session.state = { ...session.state, past };
  session.eraseLater(() => {
    for (const { senderDataSecret, secretTree } of gone) {
      senderDataSecret.erase();
      secretTree.erase();
    }
  });
}

function keepPsks(
  { config, resumptionPsks }: GroupState,
  epoch: bigint,
  psk: Secret,
): ReadonlyMap<bigint, Secret> {
  return newestPsks(new Map([...resumptionPsks, [epoch, psk]]), config);
}

/** Rule mk-111: of the epochs that are over, the latest. */
export function newestPsks(
  psks: GroupState["resumptionPsks"],
  config: Pick<GroupConfig, "resumptionPsks">,
): GroupState["resumptionPsks"] {
  return new Map(config.resumptionPsks === 0 ? [] : [...psks].slice(-config.resumptionPsks));
}

/** How the members of the epoch that ends differ from those of the next one. */
function memberChanges(summary: CommitSummary): StoredPastEpoch["changes"] {
  const changes = new Map<number, PastMember | undefined>();
  for (const { leafIndex } of summary.added) changes.set(leafIndex, undefined);
  for (const { leafIndex, before, after } of summary.updated) {
    // Most new leaves change only their encryption key, and messages are not attributed by that.
    if (!isSameIdentity(before, after)) changes.set(leafIndex, identityOf(before));
  }
  for (const { leafIndex, leaf } of summary.removed) changes.set(leafIndex, identityOf(leaf));
  return [...changes];
}

/**
 * An epoch as it begins, with a secret tree of its own: should the write fail, the epoch can begin
 * again with nothing used up.
 */
function beginEpoch(next: Epoch): Epoch {
  const { crypto, tree } = next;
  const root = Secret.copyOf(untouchedSecret(next).bytes);
  return {
    ...next,
    secretTree: SecretTree.fromEncryptionSecret(crypto, tree.leafCount, root),
  };
}
