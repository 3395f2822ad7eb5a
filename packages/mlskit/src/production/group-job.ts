/** Work over several groups that goes on after a restart. Catalogue M-MD-01, M-UPD-08. */
import { bytesKey } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import type { Proposal } from "../messages/proposal.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import { Contender, type GroupTransport, type Wishes } from "./commit-or-propose.ts";
import { accessOf, type Group } from "../client/group.ts";
import { leaverOf } from "../client/state/commit-delay.ts";
import { type JobRecord, jobRecord } from "./production-records.ts";
import { decodeRecord, encodeRecord } from "../client/records/record-codecs.ts";
import { jobKey } from "../client/records/record-keys.ts";
import { isUnreadable } from "../client/session/unreadable.ts";
import type { Transaction } from "../client/records/transaction.ts";

export interface JobProgress {
  readonly done: number;
  readonly total: number;
  /** The group that was dealt with last. */
  readonly groupId: Uint8Array;
  /** `proposed`: others are to commit it; `failed`: to be tried again by the next call. */
  readonly result: "committed" | "proposed" | "nothingToDo" | "failed";
  /** Why it failed. With another result: what `accepted` threw, and the next call hands out again. */
  readonly error: unknown;
}

export interface JobOptions {
  readonly transport: GroupTransport;
  readonly onProgress?: ((progress: JobProgress) => MaybePromise<unknown>) | undefined;
  /** Stops between groups and before the next write; the job stays. */
  readonly signal?: AbortSignal | undefined;
}

export interface JobResult {
  /** Nothing is left to do, and the job is gone. Otherwise call again. */
  readonly isDone: boolean;
  readonly done: number;
  /** Groups that are left: where others have to commit, something is to be handed out, or failed. */
  readonly left: readonly Uint8Array[];
}

/** What a job wants of every group. */
export interface Job {
  readonly wishes: Wishes;
  /** Whether that comes true when somebody commits these proposals of ours. */
  isProposed(own: readonly Proposal[], group: Group): boolean;
}

interface RunOptions extends JobOptions {
  /** Asked at the end for groups that have come to need the same meanwhile. */
  readonly more?: (() => Promise<readonly Uint8Array[]>) | undefined;
}

/** A job that was begun and not finished. */
export async function findJob(core: ClientCore, name: string): Promise<JobRecord | undefined> {
  core.checkOpen();
  const stored = await core.storage.get(jobKey(name));
  return stored === undefined ? undefined : decodeRecord(jobRecord, stored.value);
}

export function putJob(transaction: Transaction, name: string, job: JobRecord): void {
  transaction.put(jobKey(name), encodeRecord(jobRecord, job));
}

/**
 * Carries out what a job wants in each of its groups. A group is ticked off when they have come true there,
 * each in a transaction of its own.
 */
export async function runJob(
  client: Client,
  name: string,
  work: Job,
  { transport, onProgress, signal, more }: RunOptions,
): Promise<JobResult> {
  const core = coreOfClient(client);
  const job = await findJob(core, name);
  if (job === undefined) return { isDone: true, done: 0, left: [] };
  let total = job.groups.length + job.done;
  let { groups: left, done } = job;
  // Groups that come up meanwhile are appended.
  const groups = [...job.groups];
  for (let next = 0; ; next++) {
    if (next === groups.length) {
      const known = new Set(groups.map(bytesKey));
      const added = (await more?.())?.filter((id) => !known.has(bytesKey(id))) ?? [];
      if (added.length === 0) break;
      groups.push(...added);
      total += added.length;
      left = [...left, ...added];
      const now = { ...job, groups: left, done };
      await core.write(async (transaction) => putJob(transaction, name, now));
    }
    signal?.throwIfAborted();
    const groupId = groups[next] as Uint8Array;
    const { result, error, isDone } = await step(client, groupId, work, transport, signal);
    if (isDone) {
      left = left.filter((other) => bytesKey(other) !== bytesKey(groupId));
      done += 1;
      const now = { ...job, groups: left, done };
      await core.write(async (transaction) => putJob(transaction, name, now));
    }
    await onProgress?.({ done, total, groupId, result, error });
  }
  if (left.length === 0) {
    await core.write(async (transaction) => transaction.delete(jobKey(name)));
  }
  return { isDone: left.length === 0, done, left };
}

async function step(
  client: Client,
  groupId: Uint8Array,
  { wishes, isProposed }: Job,
  transport: GroupTransport,
  signal: AbortSignal | undefined,
): Promise<Pick<JobProgress, "result" | "error"> & { readonly isDone: boolean }> {
  let group: Group | undefined;
  try {
    group = await findGroup(client, groupId);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { result: "failed", error, isDone: false };
  }
  if (group === undefined) return { result: "nothingToDo", error: undefined, isDone: true };
  const contender = new Contender(group, transport);
  const done = (result: JobProgress["result"]) => {
    // Something may have thrown undefined.
    const { length, 0: error } = contender.handOutErrors;
    const isDone = (result === "committed" || result === "nothingToDo") && length === 0;
    return { result, error, isDone };
  };
  try {
    await contender.handOutAll();
    signal?.throwIfAborted();
    if (!isActive(group)) return done("nothingToDo");
    if (isProposed(ownProposals(group), group)) return done("proposed");
    const { type } = await contender.carryOut(wishes, { signal });
    return done(type);
  } catch (error) {
    signal?.throwIfAborted();
    // Our own trouble concerns all groups.
    if (error instanceof MlsError && ["storage", "usage"].includes(error.blame)) throw error;
    return { result: "failed", error, isDone: false };
  }
}

/** Undefined if it was deleted meanwhile. */
export async function findGroup(client: Client, groupId: Uint8Array): Promise<Group | undefined> {
  try {
    return await client.group(groupId);
  } catch (error) {
    if (MlsError.is(error, "GROUP_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Whether we could commit in it. */
export const isActive = ({ status }: Group): boolean =>
  status !== "inactive" && status !== "suspended";

/** What we proposed in this epoch, for somebody to commit. */
function ownProposals(group: Group): readonly Proposal[] {
  return group.pendingProposals.flatMap(({ bytes, proposal }) => {
    return bytes === undefined ? [] : [proposal];
  });
}

/** Groups in which we could commit, and those of which nobody can tell as long as they are unreadable. */
export async function activeGroupIds(client: Client): Promise<readonly Uint8Array[]> {
  const groups = (await client.groups()).filter(isActive);
  const unreadable = await client.unreadableGroups();
  return [...groups.map(({ id }) => id), ...unreadable.flatMap(({ groupId }) => groupId ?? [])];
}

/** Whoever leaves waits for others: a Commit of ours would end the proposal to remove us. */
export function isToLeave(own: readonly Proposal[], group: Group): boolean {
  const { types } = accessOf(group).options;
  const sender = { type: "member", leafIndex: group.ownLeafIndex } as const;
  return own.some((proposal) => leaverOf({ proposal, sender }, types) === sender.leafIndex);
}
