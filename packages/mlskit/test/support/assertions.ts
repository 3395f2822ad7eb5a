/** Assertions that tests of the whole protocol share: unchanged, agreement, and broken rules. */
import { expect } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
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
import type { Epoch } from "../../src/group/epoch.ts";
import type { NextEpoch } from "../../src/group/next-epoch.ts";
import { exportSecret } from "../../src/key-schedule/exporter.ts";
import { RULES, type RuleId, type RuleKind } from "../../src/rule-registry.ts";
import { living } from "./living.ts";
import { authenticatorOf } from "./parties.ts";
import { stateOf, type Subject } from "./snapshot.ts";
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

/**
 * The action fails with the class and the id of this rule, and everything that lives in the test, and
 * these others, is byte for byte as it was. Returns the error for closer looks.
 */
export function expectRule(
  action: () => unknown,
  rule: RuleId,
  expected: Expected = {},
  others: readonly Subject[] = [],
): Promise<MlsError> {
  return nothingChanges(() => failsBy(action, rule, expected), others);
}

async function failsBy(action: () => unknown, rule: RuleId, expected: Expected): Promise<MlsError> {
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

/** Whatever comes of the action, everything that lives in the test, and these others, stays as it was. */
export function nothingChanges<T>(
  action: () => T | Promise<T>,
  others: readonly Subject[] = [],
): Promise<T> {
  return comparing(living(others), action);
}

/** Whatever comes of the action, these subjects are byte for byte as they were. */
export function unchanged<T>(
  subjects: Subject | readonly Subject[],
  action: () => T | Promise<T>,
): Promise<T> {
  return comparing(Array.isArray(subjects) ? subjects : [subjects], action);
}

async function comparing<T>(subjects: readonly object[], action: () => T | Promise<T>): Promise<T> {
  const before = await Promise.all(subjects.map(stateOf));
  try {
    return await action();
  } finally {
    const after = await Promise.all(subjects.map(stateOf));
    expect(after, "nothing changes").toEqual(before);
  }
}

/** {@link expectRule} of somebody in particular, who may live outside of what a test is watching. */
export function refuses(
  subjects: Subject | readonly Subject[],
  action: () => unknown,
  rule: RuleId,
  expected?: Expected,
): Promise<MlsError> {
  return expectRule(action, rule, expected, Array.isArray(subjects) ? subjects : [subjects]);
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
