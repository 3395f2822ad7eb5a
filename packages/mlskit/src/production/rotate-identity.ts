/** A new signature key or credential in all groups. Catalogue M-UPD-08; rule P-KP-04. */
import { encode, equalBytes, opaque } from "../codec/index.ts";
import type { Proposal } from "../messages/proposal.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import {
  activeGroupIds,
  findJob,
  isActive,
  isToLeave,
  type JobOptions,
  type JobResult,
  putJob,
  runJob,
} from "./group-job.ts";
import type { Group } from "../client/group.ts";
import type { Identity } from "../client/identity/identity.ts";
import { encodeRecord } from "../client/records/record-codecs.ts";
import { retiredKey } from "../client/records/record-keys.ts";
import { awaitedSuccessor, collectRetiredIdentities, rotationOf } from "./retired-identities.ts";

/**
 * Continues as another identity of this client, which the authentication service knows already, in
 * every group that uses `from`. New groups and key packages use it at once. When nothing needs the old
 * signature key any more, it is deleted.
 *
 * A call that stops or fails is taken up by the same call, also after a restart. A group that is
 * entered after the call, by a key package of `from` that was published before, takes another one.
 */
export async function rotateIdentity(
  client: Client,
  { from, to, ...options }: JobOptions & { readonly from: Identity; readonly to: Identity },
): Promise<JobResult> {
  const core = coreOfClient(client);
  const name = rotationOf(from.signatureKey);
  if ((await findJob(core, name)) === undefined) {
    const groups = await activeGroupIds(client);
    const details = encode(opaque, to.signatureKey);
    await core.write(async (transaction) => {
      putJob(transaction, name, { groups, done: 0, details });
      transaction.put(retiredKey(from.signatureKey), encodeRecord(opaque, to.signatureKey));
    });
  }
  const needsRotation = (group: Group): boolean => isActive(group) && usesKey(group, from);
  if (equalBytes(client.identity.signatureKey, from.signatureKey)) client.useIdentity(to);
  const result = await runJob(
    client,
    name,
    {
      wishes: (group) => (usesKey(group, from) ? { identity: to, forcePath: true } : undefined),
      isProposed: (own, group) =>
        usesKey(group, from) &&
        (isToLeave(own, group) || own.some((proposal) => isUpdateTo(proposal, to))),
    },
    // By Welcomes for key packages of the old identity.
    { ...options, more: async () => (await client.groups()).filter(needsRotation).map(idOf) },
  );
  if (result.isDone) await collectRetiredIdentities(client);
  return result;
}

const idOf = ({ id }: Group): Uint8Array => id;

function usesKey(group: Group, { signatureKey }: Identity): boolean {
  const own = group.members().find(({ isOwn }) => isOwn);
  return own !== undefined && equalBytes(own.signatureKey, signatureKey);
}

function isUpdateTo(proposal: Proposal, { signatureKey }: Identity): boolean {
  return proposal.type === "update" && equalBytes(proposal.leafNode.signatureKey, signatureKey);
}

/**
 * Rotations that were begun and not finished, to be taken up after a start. One whose `to` the
 * application removed meanwhile is left out: the call that names another one takes it up.
 */
export async function unfinishedRotations(
  client: Client,
): Promise<readonly { readonly from: Identity; readonly to: Identity }[]> {
  const core = coreOfClient(client);
  const identities = await client.identities();
  const found: { from: Identity; to: Identity }[] = [];
  for (const from of identities) {
    const successor = await awaitedSuccessor(core, from.signatureKey);
    if (successor === undefined) continue;
    const to = identities.find(({ signatureKey }) => equalBytes(signatureKey, successor));
    if (to !== undefined) found.push({ from, to });
  }
  return found;
}
