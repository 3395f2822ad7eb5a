/** Assertions that tests of the whole protocol share: unchanged, agreement, and broken rules. */
import { expect } from "vitest";
import { encode, toHex, utf8 } from "../../src/codec/index.ts";
import type { Secret } from "../../src/crypto/index.ts";
import {
  CryptoError,
  DecodeError,
  MlsError,
  PolicyError,
  StateError,
  UnsupportedError,
  UsageError,
  ValidationError,
} from "../../src/errors.ts";
import type { Epoch, PublicEpoch } from "../../src/group/epoch.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import type { NextEpoch } from "../../src/group/next-epoch.ts";
import type { ProposalCache } from "../../src/group/proposal-entry.ts";
import { exportSecret } from "../../src/key-schedule/exporter.ts";
import { Proposal } from "../../src/messages/proposal.ts";
import { RULES, type RuleId, type RuleKind } from "../../src/rule-registry.ts";
import { authenticatorOf, Observer, Party } from "./parties.ts";
import type { TestGroup } from "./test-group.ts";

const CLASSES: Readonly<Partial<Record<RuleKind, new (...args: never[]) => MlsError>>> = {
  DEC: DecodeError,
  UNS: UnsupportedError,
  VAL: ValidationError,
  CRY: CryptoError,
  STA: StateError,
  POL: PolicyError,
  USE: UsageError,
};

export interface Expected {
  /** Where the class differs from the one in the table of rules. */
  readonly as?: RuleKind;
  readonly code?: string;
}

/** The action fails with the class and the id of this rule. Returns the error for closer looks. */
export async function expectRule(
  action: () => unknown,
  rule: RuleId,
  expected: Expected = {},
): Promise<MlsError> {
  let failure: unknown;
  let succeeded = false;
  try {
    await action();
    succeeded = true;
  } catch (error) {
    failure = error;
  }
  expect(succeeded, `rule ${rule} was not enforced`).toBe(false);
  if (!MlsError.is(failure)) throw failure;
  if (failure.rule !== rule) {
    throw new Error(`rule ${rule} expected, ${failure.rule} (${failure.code}) reported`, {
      cause: failure,
    });
  }
  const kind = expected.as ?? RULES[rule].kind;
  expect(failure, `class of ${rule}`).toBeInstanceOf(CLASSES[kind] ?? MlsError);
  if (expected.code !== undefined) expect(failure.code).toBe(expected.code);
  return failure;
}

/** Anything whose state can be laid open. */
export type Subject = Party | Observer | Epoch | KeyPackageBundle;

/** Runs the action, and whatever comes of it, the subjects are byte for byte as they were. */
export async function unchanged<T>(
  subjects: Subject | readonly Subject[],
  action: () => T | Promise<T>,
): Promise<T> {
  const list: readonly Subject[] = Array.isArray(subjects) ? subjects : [subjects as Subject];
  const before = list.map(snapshot);
  try {
    return await action();
  } finally {
    for (const [i, subject] of list.entries()) expect(snapshot(subject)).toEqual(before[i]);
  }
}

/** {@link expectRule} and {@link unchanged} in one. */
export function refuses(
  subjects: Subject | readonly Subject[],
  action: () => unknown,
  rule: RuleId,
  expected?: Expected,
): Promise<MlsError> {
  return unchanged(subjects, () => expectRule(action, rule, expected));
}

export interface RefusalOptions extends Expected {
  /** Members that are asked; by default all but the sender. */
  readonly by?: readonly string[];
  /** Whether the observer is asked as well. Default: yes, for PublicMessages. */
  readonly observer?: boolean;
}

/** Members and observer refuse these bytes for this reason, and keep their state. */
export async function refusedByAll(
  group: TestGroup,
  sender: string,
  bytes: Uint8Array,
  rule: RuleId,
  options: RefusalOptions = {},
): Promise<void> {
  const names = options.by ?? group.members.map(({ name }) => name);
  for (const name of names) {
    if (name === sender) continue;
    const party = group.party(name);
    await refuses(party, () => party.receive(bytes), rule, options);
  }
  const isPublic = bytes[3] === 1;
  if (options.observer ?? isPublic) {
    const { observer } = group;
    await refuses(observer, () => observer.receive(bytes), rule, options);
  }
}

/** All members agree on everything, and each can send to all others. */
export async function agree(group: TestGroup): Promise<void> {
  const { members } = group;
  const views = members.map(({ epoch }) => ({
    authenticator: authenticatorOf(epoch),
    context: toHex(epoch.contextBytes),
    tree: toHex(epoch.tree.encode()),
    treeHash: toHex(epoch.tree.treeHash()),
    exported: toHex(
      exportSecret(epoch.crypto, epoch.secrets.exporterSecret, "test", utf8("context"), 32),
    ),
    interim: toHex(epoch.interimTranscriptHash),
    members: [...epoch.tree.members()].map(([at, leaf]) => [at, toHex(leaf.signatureKey)]),
  }));
  for (const view of views) expect(view).toEqual(views[0]);
  for (const { name } of members) {
    const bytes = await group.send(name, `from ${name}`);
    for (const party of members) {
      if (party.name === name) continue;
      const received = await party.receive(bytes);
      if (received.kind !== "application") throw new Error("an application message was expected");
      expect(received.content.content).toMatchObject({ applicationData: utf8(`from ${name}`) });
    }
  }
}

/** The member's epoch is the one that a forged Commit leads to. */
export function authenticates(epoch: Epoch, next: Pick<NextEpoch, "secrets">): void {
  expect(authenticatorOf(epoch)).toBe(toHex(next.secrets.epochAuthenticator.bytes));
}

/** Everything that a party holds, as plain data. */
export function snapshot(subject: Subject): unknown {
  if (subject instanceof Party) {
    const { epoch, cache, past, isMember, bundle } = subject;
    const retired = past.map(({ context, senderDataSecret, secretTree }) => {
      const secret = hex(senderDataSecret);
      return [context.epoch, secret, secretTreeOf({ secretTree })];
    });
    return [isMember, epochOf(epoch), cacheOf(cache), retired, snapshot(bundle)];
  }
  if (subject instanceof Observer) return [publicEpochOf(subject.epoch), cacheOf(subject.cache)];
  if ("keyPackage" in subject) {
    const { keyPackage, initKey, encryptionKey } = subject;
    return [toHex(keyPackage.encoded), hex(initKey), hex(encryptionKey)];
  }
  return epochOf(subject);
}

function publicEpochOf(epoch: PublicEpoch): unknown {
  return {
    context: toHex(epoch.contextBytes),
    tree: toHex(epoch.tree.encode()),
    treeHash: toHex(epoch.tree.treeHash()),
    confirmationTag: toHex(epoch.confirmationTag),
    interimTranscriptHash: toHex(epoch.interimTranscriptHash),
  };
}

function epochOf(epoch: Epoch): unknown {
  return {
    ...(publicEpochOf(epoch) as object),
    ownLeaf: epoch.ownLeaf,
    privateKeys: [...epoch.privateKeys].map(([node, key]) => [node, hex(key)]),
    secrets: Object.entries(epoch.secrets).map(([name, secret]) => [name, hex(secret)]),
    secretTree: secretTreeOf(epoch),
    signer: toHex(epoch.signer.publicKey),
  };
}

function secretTreeOf({ secretTree }: Pick<Epoch, "secretTree">): unknown {
  const nodes = [...secretTree.nodes()].map(([node, secret]) => [node, hex(secret)]);
  const ratchets = [...secretTree.ratchets()].map(({ leaf, kind, ratchet }) => {
    const { generation, secret, skipped, floor } = ratchet;
    const kept = skipped.map((key) => [key.generation, hex(key.key), hex(key.nonce)]);
    return { leaf, kind, generation, secret: hex(secret), floor, kept };
  });
  return { nodes, ratchets, skipped: secretTree.skippedKeyCount };
}

function cacheOf(cache: ProposalCache): unknown {
  return [...cache.values()].map(({ proposal, sender, reference, ownUpdate }) => [
    toHex(encode(Proposal, proposal)),
    sender,
    toHex(reference),
    ownUpdate === undefined ? undefined : hex(ownUpdate.leafPrivateKey),
  ]);
}

function hex(secret: Secret): string {
  return toHex(secret.bytes);
}
