/**
 * Lists of proposals that break a rule, presented to everybody who has to notice: members, a
 * PublicGroup, and the committer itself. RFC 9420 §12.2, §12.4.
 */
import { expect } from "vitest";
import { encode, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret, type Signer } from "../../src/crypto/index.ts";
import {
  type Extension,
  ExtensionType,
  ExternalSenders,
  makeExtension,
  RequiredCapabilities,
} from "../../src/extensions/extension.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { CommitOptions } from "../../src/group/create-commit.ts";
import type { Environment } from "../../src/group/environment.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { type CachedProposal, cacheKey } from "../../src/group/proposal-entry.ts";
import type { PreSharedKeyId, ResumptionPskUsage } from "../../src/key-schedule/pre-shared-key.ts";
import { Proposal } from "../../src/messages/proposal.ts";
import { encodeState } from "../../src/observer/observer-state.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { type Expected, expectRule, refuses, unchanged } from "./assertions.ts";
import { testEnvironment } from "./environment.ts";
import type { LeafChanges } from "./forge.ts";
import {
  type CommitForgery,
  type ContentForgery,
  type ForgedProposal,
  forgeCommit,
  forgeKeyPackage,
  forgeLeaf,
  forgeProposal,
  type KeyPackageForgery,
  newKeyPair,
} from "./forge.ts";
import { authenticatorOf, type ClientOptions, newClient, type Party, provider } from "./parties.ts";
import { GROUP_ID, type TestGroup } from "./test-group.ts";

export type Item = Proposal | CachedProposal;

/** An extension type, a proposal type and a GREASE value that the RFC does not define. */
export const CUSTOM_EXTENSION = 0x1111;
export const CUSTOM_PROPOSAL = 0x2222;
export const GREASE = 0x0a0a;

/** Members that know the types above. */
export const ABLE: ClientOptions = {
  capabilities: { extensions: [CUSTOM_EXTENSION], proposals: [CUSTOM_PROPOSAL] },
};

/** An environment that knows them, too. */
export function knowing(changes: Partial<Environment> = {}): Environment {
  const proposals = new Map([[CUSTOM_PROPOSAL, {}]]);
  const types = { proposals, credentials: new Map(), extensions: new Set([CUSTOM_EXTENSION]) };
  return testEnvironment({ types, ...changes });
}

export const EXTENDED: readonly Extension[] = [{ type: CUSTOM_EXTENSION, data: utf8("on") }];

export function required(changes: Partial<RequiredCapabilities> = {}): Extension {
  const none = { extensionTypes: [], proposalTypes: [], credentialTypes: [] };
  const { requiredCapabilities } = ExtensionType;
  return makeExtension(requiredCapabilities, RequiredCapabilities, { ...none, ...changes });
}

export function externalSenders(...senders: readonly Pick<Signer, "publicKey">[]): Extension {
  return makeExtension(
    ExtensionType.externalSenders,
    ExternalSenders,
    senders.map(({ publicKey }) => ({
      signatureKey: publicKey,
      credential: { type: "basic", identity: utf8("server") },
    })),
  );
}

/** An environment that has every PSK. */
export function withPsks(changes: Partial<Environment> = {}): Environment {
  return testEnvironment({
    psks: ({ type }) => new Secret(utf8(`the ${type} secret`)),
    ...changes,
  });
}

export function pskId(name: string, nonceLength = 32): PreSharedKeyId {
  return { type: "external", pskId: utf8(name), nonce: new Uint8Array(nonceLength).fill(7) };
}

export function resumption(usage: ResumptionPskUsage): PreSharedKeyId {
  const nonce = new Uint8Array(32).fill(9);
  return { type: "resumption", usage, groupId: GROUP_ID, epoch: 0n, nonce };
}

export const psk = (id: PreSharedKeyId): Proposal => ({ type: "psk", psk: id });
export const remove = (removed: number): Proposal => ({ type: "remove", removed });
export const extend = (extensions: readonly Extension[]): Proposal => ({
  type: "groupContextExtensions",
  extensions,
});
export const add = ({ keyPackage }: Pick<KeyPackageBundle, "keyPackage">): Proposal => ({
  type: "add",
  keyPackage,
});
export const reInit = (version = 1, extensions: readonly Extension[] = []): Proposal => ({
  type: "reInit",
  groupId: utf8("successor"),
  version,
  cipherSuite: 1,
  extensions,
});

/** A client that is not in the group, with changes to its key package. */
export async function stranger(
  forgery: KeyPackageForgery = {},
  options: ClientOptions = {},
): Promise<KeyPackageBundle> {
  return forgeKeyPackage(await newClient("stranger", options), forgery);
}

export interface UpdateForgery extends ContentForgery {
  readonly leaf?: LeafChanges;
  readonly leafSigner?: Signer;
  readonly binding?: { readonly groupId: Uint8Array; readonly leafIndex: number };
  readonly alterLeafSignature?: (signature: Uint8Array) => Uint8Array;
}

/** An Update by a member: the message, and what a careless member would have cached. */
export async function updateBy(
  party: Party,
  { leaf, leafSigner, binding, alterLeafSignature, ...message }: UpdateForgery = {},
): Promise<ForgedProposal> {
  const { publicKey } = await newKeyPair();
  const signer = leafSigner ?? party.signer;
  const leafNode = await forgeLeaf(
    party.epoch.tree.leaf(party.epoch.ownLeaf)!,
    {
      encryptionKey: publicKey,
      signatureKey: signer.publicKey,
      origin: { source: "update" },
      ...leaf,
    },
    {
      signer,
      binding: binding ?? { groupId: GROUP_ID, leafIndex: party.leaf },
      alterSignature: alterLeafSignature,
    },
  );
  return forgeProposal(party, { type: "update", leafNode }, message);
}

/** Tells equal proposals apart: signatures may be deterministic, and references with them. */
let count = 0;

/** The same proposals as a careless member would have cached them. */
export async function cachedFrom(
  party: Party,
  ...proposals: readonly Proposal[]
): Promise<CachedProposal[]> {
  const made: CachedProposal[] = [];
  for (const proposal of proposals) {
    const authenticatedData = utf8(`${count++}`);
    made.push((await forgeProposal(party, proposal, { authenticatedData })).cached);
  }
  return made;
}

/** A PublicGroup in the group's epoch that has taken in these proposals without a look at them. */
export function publicGroup(
  group: TestGroup,
  cached: readonly CachedProposal[] = [],
  environment: Environment = group.environment,
): PublicGroup {
  const { epoch } = group.observer;
  const proposals = new Map(cached.map((each) => [cacheKey(each.reference), each]));
  const state = { epoch, proposals, past: [], isBlind: false };
  return PublicGroup.restore(provider, encodeState(state, { withTree: true }), environment);
}

/** A PublicGroup refuses the message and is as before. */
export async function publicGroupRefuses(
  group: TestGroup,
  bytes: Uint8Array,
  rule: RuleId,
  { cached = [], ...expected }: Refusal = {},
): Promise<void> {
  const observer = publicGroup(group, cached);
  await expectRule(() => observer.process(bytes, group.environment), rule, expected);
}

export interface Refusal extends Expected {
  /** What all have cached, unless it is part of the list. */
  readonly cached?: readonly CachedProposal[];
  /** Members that are asked; by default all but the sender. */
  readonly by?: readonly string[];
  readonly observer?: boolean;
}

/** Members and a PublicGroup refuse a message, keep their state, and go on with an honest Commit. */
export async function refusedEverywhere(
  group: TestGroup,
  sender: string,
  bytes: Uint8Array,
  rule: RuleId,
  { cached = [], by, observer = bytes[3] === 1, ...expected }: Refusal = {},
): Promise<void> {
  for (const party of group.members) {
    if (party.name === sender || by?.includes(party.name) === false) continue;
    for (const each of cached) party.remember(each);
    await refuses(party, () => party.receive(bytes), rule, expected);
    for (const { reference } of cached) party.cache.delete(cacheKey(reference));
  }
  if (observer) await publicGroupRefuses(group, bytes, rule, { cached, ...expected });
}

/** Everybody refuses a Commit by alice with this list, and accepts one without it. */
export async function refusedList(
  group: TestGroup,
  list: readonly Item[],
  rule: RuleId,
  { forgery = {}, ...refusal }: Refusal & { readonly forgery?: CommitForgery } = {},
): Promise<void> {
  const alice = group.party("alice");
  const { bytes } = await forgeCommit(alice, { proposals: list, ...forgery });
  const cached = [...list.filter((item) => "reference" in item), ...(refusal.cached ?? [])];
  await refusedEverywhere(group, "alice", bytes, rule, { ...refusal, cached });
  await goesOn(group);
}

/** A proposal message is refused by all, kept by none, and does no harm. */
export async function refusedMessage(
  group: TestGroup,
  sender: string,
  bytes: Uint8Array,
  rule: RuleId,
  refusal: Refusal = {},
): Promise<void> {
  await refusedEverywhere(group, sender, bytes, rule, refusal);
  for (const party of group.members) expect(party.cache.size).toBe(0);
}

/** Alice commits none of this by value. */
export async function notCommitted(
  group: TestGroup,
  proposals: readonly Proposal[],
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const alice = group.party("alice");
  await refuses(alice, () => group.createCommit("alice", { proposals }), rule, expected);
}

/**
 * Alice, who cached all of this, commits without the proposals at these positions, says why, and
 * everybody follows.
 */
export async function leftOut(
  group: TestGroup,
  pending: readonly CachedProposal[],
  rule: RuleId,
  positions: readonly number[] = [0],
  options: Partial<CommitOptions> = {},
): Promise<void> {
  const alice = group.party("alice");
  const made = await unchanged(alice, () => group.createCommit("alice", { ...options, pending }));
  const references = made.unused.map(({ entry }) => toHex(entry.reference!));
  const expected = positions.map((at) => toHex(pending[at]!.reference));
  expect(references.sort()).toEqual(expected.sort());
  for (const { reason } of made.unused) expect(reason).toMatchObject({ rule });
  for (const party of group.members) {
    if (party === alice) continue;
    for (const each of pending) party.remember(each);
    await party.receive(made.commit);
  }
  alice.enter(made.next);
  await publicGroup(group, pending).process(made.commit, group.environment);
  group.observer.enter(alice.epoch);
  same(group);
}

/** Everybody, the PublicGroup too, accepts a Commit by alice with this list; alice makes it herself. */
export async function acceptedList(
  group: TestGroup,
  list: readonly Item[],
  options: Partial<CommitOptions> = {},
): Promise<void> {
  const alice = group.party("alice");
  const cached = list.filter((item) => "reference" in item);
  const proposals = list.filter((item): item is Proposal => !("reference" in item));
  const made = await group.createCommit("alice", { proposals, ...options, pending: cached });
  expect(made.unused).toEqual([]);
  for (const party of group.members) {
    if (party === alice) continue;
    for (const each of cached) if (!party.cache.has(cacheKey(each.reference))) party.remember(each);
    await party.receive(made.commit);
  }
  const observer = publicGroup(group, cached);
  await observer.process(made.commit, group.environment);
  alice.enter(made.next);
  group.observer.enter(alice.epoch);
  expect(toHex(observer.publicEpoch.contextBytes)).toBe(toHex(alice.epoch.contextBytes));
  same(group);
}

/** An honest Commit is accepted by all. */
export async function goesOn(group: TestGroup): Promise<void> {
  const observer = publicGroup(group);
  const { commit } = await group.commit("alice", { pending: [] });
  await observer.process(commit, group.environment);
  same(group);
}

/** All members have the same epoch secrets. */
export function same(group: TestGroup): void {
  const [first, ...others] = group.members.map(({ epoch }) => authenticatorOf(epoch));
  for (const other of others) expect(other).toBe(first);
}

export function groupInfoBytes(message: Awaited<ReturnType<TestGroup["groupInfo"]>>): Uint8Array {
  return encodeMlsMessage({ wireFormat: "groupInfo", message });
}

export function hexOf(proposal: Proposal): string {
  return toHex(encode(Proposal, proposal));
}
