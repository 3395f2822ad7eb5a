/** Catalogue M-SEC: what hostile messages run into. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join as pathOf } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { EMPTY_BYTES, equalBytes, utf8 } from "../../src/codec/index.ts";
import type { SuiteCrypto } from "../../src/crypto/index.ts";
import { ExtensionType, ExternalSenders, makeExtension } from "../../src/extensions/extension.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import { agree, expectRule, refusedByAll, refuses, unchanged } from "../support/assertions.ts";
import { certificateFor } from "../rules/certificates.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import {
  type ContentForgery,
  type ExternalCommitForgery,
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
  groupInfoMessage,
  type LeafChanges,
  withNode,
  withParent,
} from "../support/forge.ts";
import { Door, type DoorForgery } from "../support/forge-join.ts";
import {
  ABLE,
  add,
  extend,
  EXTENDED,
  knowing,
  psk,
  pskId,
  publicGroup,
  refusedEverywhere,
  reInit,
  remove,
  stranger,
} from "../support/forge-lists.ts";
import { capabilitiesFor, newClient, newSigner, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol", "dave"];
const flip = (bytes?: Uint8Array): Uint8Array => flipped(bytes!, -1);
const APPLICATION = { contentType: "application", applicationData: utf8("hello") } as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Public-key operations and key derivations while something is refused. */
async function costOf(action: () => Promise<unknown>): Promise<number> {
  const names = ["verify", "verifyMany", "open", "expand", "isValidPublicKey"] as const;
  const prototype = Object.getPrototypeOf(provider.suite(1)) as SuiteCrypto;
  const spies = names.map((name) => vi.spyOn(prototype, name));
  await action();
  const calls = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
  vi.restoreAllMocks();
  return calls;
}

describe("M-SEC-04: work is bounded before it is done", () => {
  const limits = (changes: Partial<typeof DEFAULT_LIMITS>) =>
    testEnvironment({ limits: { ...DEFAULT_LIMITS, ...changes } });

  test("M-SEC-04 the distance of a generation, before anything is derived", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    for (const [maximumForwardDistance, generation] of [
      [10, 11],
      [1000, 0xffff_ffff],
    ] as const) {
      bob.environment = limits({ maximumForwardDistance });
      const privately = { generation };
      const options = { wireFormat: "privateMessage", privately } as const;
      const bytes = await forgeMessage(group.party("alice"), APPLICATION, options);
      const refuse = () => refuses(bob, () => bob.receive(bytes), "mk-37");
      // Two for the sender data, which has to be opened to know.
      expect(await costOf(refuse)).toBeLessThanOrEqual(2);
    }
  });

  test("M-SEC-04 the proposals of a Commit, before any of them is looked at", async () => {
    const group = await TestGroup.of(NAMES);
    const bob = group.party("bob");
    bob.environment = limits({ maximumProposalsPerCommit: 3 });
    const adds = [];
    for (const name of ["e", "f", "g", "h"]) adds.push(add(await newClient(name)));
    const { bytes } = await forgeCommit(group.party("alice"), { proposals: adds });
    const refuse = () => refuses(bob, () => bob.receive(bytes), "mk-14", { as: "DEC" });
    // The signature of the Commit itself.
    expect(await costOf(refuse)).toBeLessThanOrEqual(1);
    bob.environment = limits({ maximumProposalsPerCommit: 4 });
    expect((await bob.receive(bytes)).kind).toBe("commit");
  });

  test("M-SEC-04 the PSKs of a Commit and of a Welcome, before a secret is looked for", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const asked = vi.fn(() => undefined);
    bob.environment = { ...limits({ maximumPsks: 2 }), psks: asked };
    const ids = ["a", "b", "c"].map((name) => pskId(name));
    const { bytes } = await forgeCommit(alice, { proposals: ids.map(psk) });
    const refuse = () => refuses(bob, () => bob.receive(bytes), "mk-14", { as: "DEC" });
    // The signature of the Commit itself.
    expect(await costOf(refuse)).toBeLessThanOrEqual(1);
    expect(asked).not.toHaveBeenCalled();
    bob.environment = { ...limits({ maximumPsks: 3 }), psks: asked };
    await refuses(bob, () => bob.receive(bytes), "valn1205");
    expect(asked).toHaveBeenCalled();
    const door = await Door.of({ client: { limits: { maximumPsks: 2 } } });
    const welcome = await door.forgedWelcome({ alterSecrets: (it) => ({ ...it, psks: ids }) });
    await door.refusesWelcome(welcome, "mk-14", { as: "DEC" });
    const fewer = await door.forgedWelcome({
      alterSecrets: (it) => ({ ...it, psks: ids.slice(1) }),
    });
    await door.refusesWelcome(fewer, "valn1401");
    await door.opens();
  });

  /** Everybody who reads this stops there, before a key is used. */
  async function stopsAtTwo(
    limit: Partial<typeof DEFAULT_LIMITS>,
    client: KeyPackageBundle,
  ): Promise<void> {
    const group = await TestGroup.of(NAMES, { client: ABLE });
    const alice = group.party("alice");
    const { bytes } = await forgeCommit(alice, { proposals: [add(client)] });
    for (const party of group.members.slice(1)) {
      party.environment = limits(limit);
      const refuse = () => refuses(party, () => party.receive(bytes), "mk-14");
      expect(await costOf(refuse)).toBe(0);
    }
    const server = publicGroup(group);
    const watch = () => expectRule(() => server.process(bytes, limits(limit)), "mk-14");
    expect(await costOf(watch)).toBe(0);
    const door = await Door.of({ client: { limits: limit } });
    const leaf = { type: "leaf", leaf: client.keyPackage.leafNode } as const;
    const forgery: DoorForgery = { alter: (nodes) => withNode(nodes, 0, leaf) };
    await door.refusesWelcome(await door.forgedWelcome(forgery), "mk-14");
    const info = groupInfoMessage(await door.forgedInfo(forgery));
    await door.refusesInfo(info, "mk-14");
    const watching = limits(limit);
    const start = () =>
      expectRule(() => PublicGroup.start(provider, { groupInfo: info }, watching), "mk-14");
    expect(await costOf(start)).toBe(0);
    await door.opens();
  }

  test("M-SEC-04 the extensions of a leaf, before keys are used", async () => {
    const types = [0x1111, 0x2222, 0x3333];
    const extensions = types.map((type) => ({ type, data: EMPTY_BYTES }));
    const leaf = { extensions };
    const client = await stranger({ leaf }, { capabilities: { extensions: types } });
    await stopsAtTwo({ maximumExtensions: 2 }, client);
  });

  test("M-SEC-04 the certificates of a leaf, before one is looked at", async () => {
    const certificates = [1, 2, 3].map((byte) => new Uint8Array(100).fill(byte));
    const credential = { type: "x509", certificates } as const;
    const client = await stranger({ leaf: { credential } });
    await stopsAtTwo({ maximumCertificates: 2 }, client);
  });

  test("M-SEC-04 the certificates of an external sender", async () => {
    const { publicKey } = await newSigner();
    const senders = (count: number) => {
      const certificates = new Array(count).fill(certificateFor(publicKey));
      const sender = { signatureKey: publicKey, credential: { type: "x509", certificates } };
      return [makeExtension(ExtensionType.externalSenders, ExternalSenders, [sender as never])];
    };
    const group = await TestGroup.of(NAMES, { environment: limits({ maximumCertificates: 2 }) });
    const alice = group.party("alice");
    for (const proposal of [extend(senders(3)), reInit(1, senders(3))]) {
      await refusedByAll(group, "", (await forgeProposal(alice, proposal)).bytes, "mk-16");
      const { bytes } = await forgeCommit(alice, { proposals: [proposal] });
      await refusedByAll(group, "alice", bytes, "mk-16");
    }
    await group.commit("alice", { proposals: [extend(senders(2))] });
    const door = await Door.of({ client: { limits: { maximumCertificates: 2 } } });
    const forgery: DoorForgery = { context: { extensions: senders(3) } };
    await door.refusesWelcome(await door.forgedWelcome(forgery), "mk-16");
    await door.refusesInfo(groupInfoMessage(await door.forgedInfo(forgery)), "mk-16");
  });

  test("M-SEC-04 the extensions of a key package, a GroupContext and a GroupInfo", async () => {
    const extensions = [0x1111, 0x2222, 0x3333].map((type) => ({ type, data: EMPTY_BYTES }));
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    bob.environment = limits({ maximumExtensions: 2 });
    for (const proposal of [add(await stranger({ fields: { extensions } })), extend(extensions)]) {
      const messages = [
        (await forgeCommit(alice, { proposals: [proposal] })).bytes,
        (await forgeProposal(alice, proposal)).bytes,
      ];
      for (const bytes of messages) {
        const refuse = () => refuses(bob, () => bob.receive(bytes), "mk-14");
        expect(await costOf(refuse)).toBe(0);
      }
    }
    const door = await Door.of({ client: { limits: { maximumExtensions: 2 } } });
    const forgery: DoorForgery = { alterExtensions: (list) => [...list, ...extensions] };
    await door.refusesWelcome(await door.forgedWelcome(forgery), "mk-14");
    await door.refusesInfo(groupInfoMessage(await door.forgedInfo(forgery)), "mk-14");
    await door.opens();
  });

  test("M-SEC-04 whatever is at the limit is accepted", async () => {
    const types = [0x1111, 0x2222];
    const extensions = types.map((type) => ({ type, data: EMPTY_BYTES }));
    const environment = limits({ maximumExtensions: 2, maximumCertificates: 2 });
    const group = await TestGroup.of(NAMES, {
      environment,
      client: { capabilities: { credentials: [1, 2] } },
    });
    const signer = await newSigner();
    const certificates = [certificateFor(signer.publicKey), new Uint8Array(100)];
    const client = await newClient("erin", {
      signer,
      credential: { type: "x509", certificates },
      capabilities: { credentials: [1, 2], extensions: types },
      leafExtensions: extensions,
      extensions,
    });
    await group.add("alice", new Map([["erin", client]]));
    await agree(group);
  });

  test("M-SEC-04 the size of a tree, and the entries of a Welcome, before keys are used", async () => {
    const small = await Door.of({ client: { limits: { maximumLeaves: 3 } } });
    const info = await small.group.groupInfo("alice");
    const { environment } = small.group;
    await small.refusesWelcome(small.welcome, "mk-97");
    const tiny = { ...environment, limits: { ...environment.limits, maximumLeaves: 1 } };
    const start = () =>
      expectRule(() => PublicGroup.start(provider, { groupInfo: info }, tiny), "mk-97");
    expect(await costOf(start)).toBe(0);
    const few = await Door.of({ client: { limits: { maximumWelcomeSecrets: 2 } } });
    const welcome = await few.forgedWelcome({
      alterWelcome: (it) => ({ ...it, secrets: [...it.secrets, ...it.secrets, ...it.secrets] }),
    });
    const refuse = () => few.refusesWelcome(welcome, "mk-14", { as: "DEC" });
    expect(await costOf(refuse)).toBe(0);
    await few.opens();
  });

  test("M-SEC-04 the size of a message", async () => {
    const door = await Door.of();
    const group = await door.opens();
    await group.configure({ maximumMessageSize: 1000 });
    const data = { ...APPLICATION, applicationData: new Uint8Array(17_000) };
    const alice = door.group.party("alice");
    alice.enter(door.next);
    const bytes = await forgeMessage(alice, data, { wireFormat: "privateMessage" });
    let error: unknown;
    const calls = await costOf(async () => {
      const outcome = await group.process(bytes);
      error = "error" in outcome ? outcome.error : undefined;
    });
    expect(error).toMatchObject({ rule: "mk-14", blame: "decode" });
    expect(calls).toBe(0);
  });
});

test("M-SEC-06: a hostile tree is refused, and fast", async () => {
  const door = await Door.of({ names: [...NAMES, "erin", "frank", "grace"] });
  const unmerged = (...unmergedLeaves: number[]): DoorForgery => ({
    alter: (nodes) => withParent(nodes, 3, { unmergedLeaves }),
  });
  const everything = Array.from({ length: 20_000 }, (_, i) => i);
  const cases: readonly [RuleId, DoorForgery][] = [
    // Sorted, unique, in range, below, and not blank.
    ["mk-98", unmerged(2, 1)],
    ["mk-98", unmerged(1, 1)],
    ["valn1408", unmerged(64)],
    ["valn1408", unmerged(0xffff_ffff)],
    ["valn1408", unmerged(5)],
    ["valn1409", unmerged(...everything)],
    [
      "valn1408",
      { alter: (nodes) => withParent(withNode(nodes, 2, undefined), 3, { unmergedLeaves: [1] }) },
    ],
    // Parent hashes, across blank nodes as well.
    ["valn1406", { alter: (nodes) => withParent(nodes, 3, { parentHash: new Uint8Array(32) }) }],
    ["valn1406", { alter: (nodes) => withNode(nodes, 1, undefined) }],
    // Keys are unique, and nothing is blank at the end.
    [
      "valn1410",
      {
        alter: (nodes) => {
          const parent = nodes[7];
          if (parent?.type !== "parent") throw new Error("a parent was expected");
          return withParent(nodes, 3, { encryptionKey: parent.parent.encryptionKey });
        },
      },
    ],
    ["mk-97", { alter: (nodes) => [...nodes, undefined, undefined] }],
  ];
  for (const [rule, forgery] of cases) {
    const welcome = await door.forgedWelcome(forgery);
    const start = process.cpuUsage();
    await door.refusesWelcome(welcome, rule);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000, rule).toBeLessThan(1500);
  }
  await door.opens();
});

test("M-SEC-07: announced keys are those that the secrets give, in paths and after a Welcome", async () => {
  const group = await TestGroup.of([...NAMES, "erin"]);
  const alice = group.party("alice");
  const fresh = (await provider.suite(1).generateKeyPair()).publicKey as Uint8Array;
  const forgeries = [
    { alterSecret: flip },
    // Only the topmost key is another one: everybody derives it and sees.
    { alterKeys: (keys: readonly Uint8Array[]) => [...keys.slice(0, -1), fresh] },
  ];
  for (const path of forgeries) {
    const { bytes } = await forgeCommit(alice, { path });
    await refusedEverywhere(group, "alice", bytes, "mk-76", { observer: false });
  }
  const door = await Door.of();
  const bytes = await door.forgedWelcome({ pathSecret: () => new Uint8Array(32).fill(9) });
  await door.refusesWelcome(bytes, "mk-100");
  await door.opens();
  await group.commit("alice");
  await agree(group);
});

test("M-SEC-08: a path node has one ciphertext for each node it is meant for", async () => {
  // With blanks, unmerged leaves, and leaves that the Commit itself adds.
  const group = await TestGroup.of([...NAMES, "erin", "frank"]);
  await group.commit("alice", { proposals: [remove(2)] });
  await group.add("bob", new Map([["grace", await newClient("grace")]]));
  const alice = group.party("alice");
  const proposals = [add(await newClient("heidi"))];
  const count = alice.epoch.tree.filteredDirectPath(alice.epoch.ownLeaf).length;
  for (let at = 0; at < count; at++) {
    for (const change of [-1, 1]) {
      const { bytes } = await forgeCommit(alice, {
        proposals,
        path: {
          alterNodes: (nodes) =>
            nodes.map((node, i) => {
              const { encryptedPathSecret: list } = node;
              const changed = change < 0 ? list.slice(1) : [...list, list[0]!];
              return i === at ? { ...node, encryptedPathSecret: changed } : node;
            }),
        },
      });
      await refusedEverywhere(group, "alice", bytes, "valn1101");
    }
  }
  const { bytes } = await forgeCommit(alice, { proposals, path: { includeAdded: true } });
  await refusedEverywhere(group, "alice", bytes, "valn1101");
  await group.commit("alice", { proposals });
  await agree(group);
});

test("M-SEC-09: an external commit removes a former appearance of the joiner, and nothing else", async () => {
  const isSuccessor: typeof acceptAnyCredential.isSuccessor = (current, next) =>
    current.credential.type === "basic" &&
    next.credential.type === "basic" &&
    equalBytes(current.credential.identity, next.credential.identity)
      ? true
      : { reason: "somebody else" };
  const environment = testEnvironment({
    authenticationService: { ...acceptAnyCredential, isSuccessor },
  });
  const group = await TestGroup.of(NAMES, { environment });
  const alice = group.party("alice");
  const mallory = await newClient("mallory");
  // The joiner, members and an observer: one rule.
  const make = () => group.createExternalJoin(mallory, { resync: () => 1 });
  await refuses(mallory, make, "mk-48");
  const cases: readonly [RuleId, ExternalCommitForgery][] = [
    ["mk-48", { proposals: (init) => [init, remove(1)] }],
    ["valn0402", { proposals: (init) => [init, remove(1), remove(2)] }],
    ["valn0701", { proposals: (init) => [init, remove(9)] }],
  ];
  for (const [rule, forgery] of cases) {
    const { bytes } = await forgeExternalCommit(mallory, alice, forgery);
    await refusedEverywhere(group, "mallory", bytes, rule);
  }
  await group.externalJoin("bob", await newClient("bob"), { resync: () => 1 });
  await agree(group);
});

describe("M-SEC-10: tags and signatures are demanded and checked", () => {
  const none = (): undefined => undefined;
  const empty = (): Uint8Array => EMPTY_BYTES;
  const hidden = { wireFormat: "privateMessage" } as const;
  const forgeries: readonly [string, ContentForgery][] = [
    ["no membership tag", { publicly: { alterMembershipTag: none } }],
    ["an empty membership tag", { publicly: { alterMembershipTag: empty } }],
    ["a wrong membership tag", { publicly: { alterMembershipTag: flip } }],
    ["no signature", { alterSignature: empty }],
    ["a wrong signature", { alterSignature: flip }],
    ["no signature, in private", { ...hidden, alterSignature: empty }],
    ["a wrong signature, in private", { ...hidden, alterSignature: flip }],
  ];
  const tags: readonly [string, ContentForgery][] = [
    ["no confirmation tag", { alterConfirmationTag: none }],
    ["an empty confirmation tag", { alterConfirmationTag: empty }],
    ["a wrong confirmation tag", { alterConfirmationTag: flip }],
    ["no confirmation tag, in private", { ...hidden, alterConfirmationTag: none }],
  ];

  test.each([...forgeries, ...tags])("M-SEC-10 %s", async (name, forgery) => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const messages = [(await forgeCommit(alice, forgery)).bytes];
    if (!name.includes("confirmation")) {
      messages.push((await forgeProposal(alice, remove(2), forgery)).bytes);
      if (name.includes("private")) messages.push(await forgeMessage(alice, APPLICATION, forgery));
    }
    for (const bytes of messages) {
      for (const party of group.members.slice(1)) {
        const attempt = unchanged(party, () => party.receive(bytes));
        await expect(attempt).rejects.toMatchObject({
          code: expect.stringMatching(/^(TAG_INVALID|SIGNATURE_INVALID|MALFORMED)$/) as string,
        });
      }
    }
    await group.commit("alice");
    await agree(group);
  });

  test("M-SEC-10 of GroupInfos, key packages and leaves", async () => {
    const door = await Door.of();
    for (const alterSignature of [flip, empty]) {
      await door.refusesWelcome(await door.forgedWelcome({ alterSignature }), "valn1402");
      const group = await TestGroup.of(NAMES);
      for (const forgery of [{ alterSignature }, { alterLeafSignature: alterSignature }]) {
        const { bytes } = await forgeCommit(group.party("alice"), {
          proposals: [add(await stranger(forgery))],
        });
        const rule = "alterSignature" in forgery ? "valn0203" : "valn0102";
        await refusedEverywhere(group, "alice", bytes, rule);
      }
    }
    await door.opens();
  });
});

test("M-SEC-13: an external joiner's leaf is judged like an added one", async () => {
  const group = await TestGroup.of(NAMES, {
    extensions: EXTENDED,
    client: ABLE,
    environment: knowing(),
  });
  const alice = group.party("alice");
  const plain = capabilitiesFor(1);
  const able = { ...plain, extensions: [0x1111] };
  const { encryptionKey } = group.observer.epoch.tree.leaf(2 as never)!;
  // The extensions of the group are demanded under a rule for Adds and one for paths.
  const leaves: readonly [RuleId, RuleId, LeafChanges][] = [
    ["valn0113", "valn0113", { capabilities: { ...able, credentials: [2] } }],
    ["valn0107", "valn0107", { extensions: [{ type: 0x4444, data: EMPTY_BYTES }] }],
    ["mk-18", "mk-18", { encryptionKey: new Uint8Array(31) }],
    ["valn0112", "valn0112", { encryptionKey }],
    ["mk-49", "mk-49", { capabilities: { ...able, versions: [2] } }],
    ["valn0502", "valn1210", { capabilities: plain }],
    ["valn1601", "valn1601", { extensions: [{ type: 3, data: new Uint8Array(3) }] }],
  ];
  for (const [inAdd, inPath, leaf] of leaves) {
    const { bytes: added } = await forgeCommit(alice, {
      proposals: [add(await stranger({ leaf }, ABLE))],
    });
    await refusedEverywhere(group, "alice", added, inAdd);
    const client = await newClient("erin", ABLE);
    const { bytes: joined } = await forgeExternalCommit(client, alice, { path: { leaf } });
    await refusedEverywhere(group, "erin", joined, inPath);
  }
  const badly = await stranger({ alterLeafSignature: flip }, ABLE);
  const { bytes } = await forgeCommit(alice, { proposals: [add(badly)] });
  await refusedEverywhere(group, "alice", bytes, "valn0102");
  const client = await newClient("erin", ABLE);
  const unsigned = await forgeExternalCommit(client, alice, { path: { alterLeafSignature: flip } });
  await refusedEverywhere(group, "erin", unsigned.bytes, "valn0102");
  const twin = await newClient("twin", { ...ABLE, signer: group.party("carol").signer });
  const doubled = await forgeExternalCommit(twin, alice);
  await refusedEverywhere(group, "twin", doubled.bytes, "valn0111");
  await group.externalJoin("erin", client);
  await agree(group);
});

test("M-SEC-16: the linter refuses what would let a check go unnoticed", () => {
  const root = fileURLToPath(new URL("../../../../", import.meta.url));
  const build = fileURLToPath(new URL("../", import.meta.url));
  const folder = mkdtempSync(pathOf(build, "lint-"));
  const lines: readonly [string, string][] = [
    ["no-floating-promises", "validate();"],
    ["no-misused-promises", "if (verify()) leafIndex += 1;"],
    ["strict-boolean-expressions", "if (leafIndex) leafIndex += 1;"],
    ["no-explicit-any", "export const anything: any = 1;"],
  ];
  const source = [
    "async function validate(): Promise<void> {}",
    "async function verify(): Promise<boolean> { return true; }",
    "let leafIndex = Math.floor(1.5);",
    ...lines.map(([, line]) => line),
    "export { leafIndex };",
  ];
  try {
    writeFileSync(pathOf(folder, "mistakes.ts"), `${source.join("\n")}\n`);
    const oxlint = pathOf(root, "node_modules/oxlint/bin/oxlint");
    const config = pathOf(root, ".oxlintrc.json");
    const args = [oxlint, "--type-aware", "-c", config, "--format=json", folder];
    const { stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    for (const [rule, line] of lines) {
      expect(stdout, `${rule} on ${line}`).toContain(rule);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
