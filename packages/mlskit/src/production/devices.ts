/** A person's devices: leaves with one identity, in all groups. Catalogue M-MD-01. */
import { equalBytes, toHex } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { StateError } from "../errors.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { Proposal } from "../messages/proposal.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import {
  activeGroupIds,
  findJob,
  isToLeave,
  type JobOptions,
  type JobResult,
  putJob,
  runJob,
} from "./group-job.ts";
import type { Group, Member } from "../client/group.ts";
import { decodeKeyPackage } from "../client/state/messages.ts";

/** Leaves that share an identity, in the order of their first leaf. Others than Basic stand alone. */
export function membersByIdentity(group: Group): readonly (readonly Member[])[] {
  const found = new Map<string, Member[]>();
  for (const member of group.members()) {
    const { identity, signatureKey } = member;
    const key = identity === undefined ? `key ${toHex(signatureKey)}` : toHex(identity);
    const devices = found.get(key);
    if (devices === undefined) found.set(key, [member]);
    else devices.push(member);
  }
  return [...found.values()];
}

/** By the signature keys that its leaves have: one for each cipher suite. */
export interface Device {
  readonly signatureKeys: readonly Uint8Array[];
}

export interface DeviceJobOptions extends JobOptions {
  /** Default: all groups of this client. */
  readonly groups?: readonly Uint8Array[] | undefined;
}

/**
 * Adds a device to all groups. Each group takes a key package of its own: one that the device made
 * for the group's cipher suite and that was not used before. A call that stops or fails is taken up by
 * the same call, also after a restart.
 */
export async function addDevice(
  client: Client,
  device: Device,
  keyPackage: (group: Group) => MaybePromise<Uint8Array>,
  options: DeviceJobOptions,
): Promise<JobResult> {
  const { options: rules } = coreOfClient(client);
  const name = `device-add/${nameOf(device)}`;
  await begin(client, name, options.groups);
  return runJob(
    client,
    name,
    {
      wishes: async (group) => {
        if (leavesOf(group, device).length > 0) return undefined;
        const bytes = await keyPackage(group);
        if (!isOf(decodeKeyPackage(bytes, rules), device)) {
          throw new StateError("NO_MATCHING_KEY_PACKAGE", "the key package is of another device");
        }
        return { add: [bytes] };
      },
      isProposed: (own, group) => {
        const isAdd = (proposal: Proposal): boolean =>
          proposal.type === "add" && isOf(proposal.keyPackage, device);
        if (leavesOf(group, device).length > 0) return false;
        return isToLeave(own, group) || own.some(isAdd);
      },
    },
    options,
  );
}

/** Removes a device from all groups. To be taken up like {@link addDevice}. */
export async function removeDevice(
  client: Client,
  device: Device,
  options: DeviceJobOptions,
): Promise<JobResult> {
  const name = `device-remove/${nameOf(device)}`;
  await begin(client, name, options.groups);
  return runJob(
    client,
    name,
    {
      wishes: (group) => {
        const leaves = leavesOf(group, device);
        return leaves.length === 0 ? undefined : { remove: leaves };
      },
      isProposed: (own, group) => {
        const removed = own.flatMap((proposal) => {
          return proposal.type === "remove" ? [proposal.removed] : [];
        });
        const leaves = leavesOf(group, device);
        return leaves.length > 0 && leaves.every((leaf) => removed.includes(leaf));
      },
    },
    options,
  );
}

function leavesOf(group: Group, { signatureKeys }: Device): readonly number[] {
  return signatureKeys.flatMap((signatureKey) => {
    return group.findMembers({ signatureKey }).map(({ leafIndex }) => leafIndex);
  });
}

function isOf({ leafNode }: KeyPackage, { signatureKeys }: Device): boolean {
  return signatureKeys.some((key) => equalBytes(key, leafNode.signatureKey));
}

const nameOf = ({ signatureKeys }: Device): string => signatureKeys.map(toHex).sort().join(".");

async function begin(
  client: Client,
  name: string,
  wanted: readonly Uint8Array[] | undefined,
): Promise<void> {
  const core = coreOfClient(client);
  if ((await findJob(core, name)) !== undefined) return;
  const groups = wanted ?? (await activeGroupIds(client));
  const job = { groups, done: 0, details: new Uint8Array(0) };
  await core.write(async (transaction) => putJob(transaction, name, job));
}
