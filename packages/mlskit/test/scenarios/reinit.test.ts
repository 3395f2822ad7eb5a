/** A group that ends with a ReInit, and the group that succeeds it. RFC 9420 §11.2, §12.1.5. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, utf8 } from "../../src/codec/index.ts";
import {
  type Extension,
  ExternalSenders,
  ExtensionType,
  makeExtension,
  RequiredCapabilities,
} from "../../src/extensions/extension.ts";
import { createExternalProposal } from "../../src/group/external-proposal.ts";
import { type Predecessor, predecessorOf } from "../../src/group/parent-group.ts";
import {
  checkSuccession,
  createSuccessor,
  type CreatedSuccessor,
  withResumptionPsk,
} from "../../src/group/successor.ts";
import { checkWelcomePsks } from "../../src/group/welcome-psks.ts";
import type { ResumptionPskId } from "../../src/key-schedule/pre-shared-key.ts";
import type { ReInit } from "../../src/messages/proposal.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { join, newSigner, Party } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import {
  environment,
  joinSuccessor,
  newClients,
  optionsFor,
  reInitTo,
  sameEpoch,
} from "./succession.ts";

const NAMES = ["alice", "bob", "carol"];
const NEW_ID = utf8("the successor");

const requirements: readonly Extension[] = [
  makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, {
    extensionTypes: [],
    proposalTypes: [],
    credentialTypes: [1],
  }),
];

/** The group after bob committed what alice proposed. */
async function ended(reInit: ReInit, suite = 1): Promise<TestGroup> {
  const group = await TestGroup.of(NAMES, { suite, environment });
  await group.propose("alice", reInit);
  const { summary } = await group.commit("bob", { forcePath: false });
  expect(summary.reInit).toEqual(reInit);
  return group;
}

const predecessor = (group: TestGroup, name: string, reInit: ReInit): Predecessor =>
  predecessorOf(group.party(name).epoch, reInit);

describe("each step by another member", () => {
  const cases: readonly (readonly [string, number, ReInit])[] = [
    ["the same id and suite", 1, reInitTo({ groupId: GROUP_ID })],
    ["another id", 1, reInitTo({ groupId: NEW_ID })],
    ["another suite", 1, reInitTo({ groupId: GROUP_ID, cipherSuite: 2 })],
    ["a larger suite", 2, reInitTo({ groupId: NEW_ID, cipherSuite: 7 })],
    ["other extensions", 1, reInitTo({ groupId: NEW_ID, extensions: requirements })],
  ];
  test.each(cases)(
    "M-REI-01 M-REI-04 M-REI-06 ri-2 successor with %s",
    async (_, suite, reInit) => {
      const group = await ended(reInit, suite);
      const bundles = await newClients(NAMES, { suite: reInit.cipherSuite });
      const old = predecessor(group, "carol", reInit);
      const made = await createSuccessor(old, optionsFor("carol", bundles), environment);
      const [alice, bob] = await Promise.all(
        ["alice", "bob"].map((name) =>
          joinSuccessor(made, bundles.get(name)!, predecessor(group, name, reInit)),
        ),
      );
      expect(sameEpoch(made.next, alice!.epoch, bob!.epoch)).toBe(true);
      expect(made.next.context).toMatchObject({
        groupId: reInit.groupId,
        epoch: 1n,
        cipherSuite: reInit.cipherSuite,
        extensions: reInit.extensions,
      });
      expect(alice!.succession).toMatchObject({ type: "reinit", predecessor: { reInit } });
      const [psk] = made.summary.psks;
      expect(psk).toMatchObject({ usage: "reinit", groupId: GROUP_ID, epoch: 2n });
    },
  );

  test("ri-2 a ReInit that an external sender proposes", async () => {
    const signer = await newSigner();
    const sender = {
      signatureKey: signer.publicKey,
      credential: { type: "basic", identity: utf8("server") } as const,
    };
    const extensions = [makeExtension(ExtensionType.externalSenders, ExternalSenders, [sender])];
    const group = await TestGroup.of(NAMES, { environment, extensions });
    const reInit = reInitTo({ groupId: NEW_ID });
    const { context } = group.observer.epoch;
    const { types } = environment;
    await group.deliver(await createExternalProposal(context, reInit, signer, types), "server");
    const { summary } = await group.commit("bob");
    expect(summary.reInit).toEqual(reInit);
    const bundles = await newClients(NAMES);
    const old = predecessor(group, "alice", reInit);
    const made = await createSuccessor(old, optionsFor("alice", bundles), environment);
    const bob = await joinSuccessor(made, bundles.get("bob")!, predecessor(group, "bob", reInit));
    expect(sameEpoch(made.next, bob.epoch)).toBe(true);
  });

  test("the successor works without a path, with its tree apart, and goes on", async () => {
    const reInit = reInitTo({ groupId: NEW_ID });
    const group = await ended(reInit);
    const bundles = await newClients(NAMES);
    const old = predecessor(group, "alice", reInit);
    const options = optionsFor("alice", bundles, { forcePath: false, ratchetTree: false });
    const made = await createSuccessor(old, options, environment);
    expect(made.summary.hasPath).toBe(false);
    const next = await TestGroup.of(["alice"], { environment });
    next.parties.set("alice", new Party("alice", bundles.get("alice")!, made.next, environment));
    for (const name of ["bob", "carol"]) {
      const bundle = bundles.get(name)!;
      const { epoch } = await joinSuccessor(made, bundle, predecessor(group, name, reInit));
      next.parties.set(name, new Party(name, bundle, epoch, environment));
    }
    next.observer.enter(made.next);
    await agree(next);
    await next.commit("carol");
    await agree(next);
  });
});

describe("what a creator may not do", () => {
  test("valn1413 M-REI-05 a version that is not known cannot be created", async () => {
    const reInit = reInitTo({ groupId: NEW_ID, version: 2 });
    const group = await ended(reInit);
    const bundles = await newClients(NAMES);
    const old = predecessor(group, "alice", reInit);
    const start = () => createSuccessor(old, optionsFor("alice", bundles), environment);
    await expectRule(start, "valn1413", { as: "UNS", code: "UNSUPPORTED_VERSION" });
  });

  test("valn0901 a ReInit to a lower version is refused", async () => {
    const group = await TestGroup.of(NAMES, { environment });
    const reInit = reInitTo({ groupId: NEW_ID, version: 0 });
    await refuses(group.party("alice"), () => group.propose("alice", reInit), "valn0901");
  });

  test("valn1413 another suite than the ReInit's is refused", async () => {
    const reInit = reInitTo({ groupId: NEW_ID, cipherSuite: 2 });
    const group = await ended(reInit);
    const bundles = await newClients(NAMES, { suite: 1 });
    const old = predecessor(group, "alice", reInit);
    const start = () => createSuccessor(old, optionsFor("alice", bundles), environment);
    await expectRule(start, "valn1413", { as: "USE" });
  });

  test("valn1413 nobody is left behind", async () => {
    const reInit = reInitTo({ groupId: NEW_ID });
    const group = await ended(reInit);
    const bundles = await newClients(["alice", "bob"]);
    const old = predecessor(group, "alice", reInit);
    const start = () => createSuccessor(old, optionsFor("alice", bundles), environment);
    await expectRule(start, "valn1413");
  });
});

describe("M-VAL-11 what a joiner refuses", () => {
  const reInit = reInitTo({ groupId: NEW_ID, extensions: requirements });

  /** Alice makes a group from her own idea of the old one; bob judges it by his. */
  async function judged(
    change: (honest: Predecessor) => Partial<Predecessor>,
    names = NAMES,
    suite = 1,
  ): Promise<() => Promise<unknown>> {
    const group = await ended(reInit);
    const bundles = await newClients(names, { suite });
    const honest = predecessor(group, "alice", reInit);
    const forged: Predecessor = { ...honest, ...change(honest) };
    const made = await createSuccessor(forged, optionsFor("alice", bundles), environment);
    const bob = predecessor(group, "bob", reInit);
    return async () => {
      const withPsk = withResumptionPsk(withResumptionPsk(environment, bob), forged);
      const staged = await join(made.welcomes[0]!.bytes, [bundles.get("bob")!], withPsk);
      return checkSuccession(staged, () => bob, environment);
    };
  }

  test("M-REI-05 ri-4 valn1413 another suite", async () => {
    const changed = { ...reInit, cipherSuite: 3 };
    await expectRule(await judged(() => ({ reInit: changed }), NAMES, 3), "valn1413");
  });

  test("M-REI-05 ri-4 valn1413 other extensions", async () => {
    const changed = { ...reInit, extensions: [] };
    await expectRule(await judged(() => ({ reInit: changed })), "valn1413");
  });

  test("M-REI-05 valn1413 another group id", async () => {
    const changed = { ...reInit, groupId: utf8("elsewhere") };
    await expectRule(await judged(() => ({ reInit: changed })), "valn1413");
  });

  test("M-REI-05 ri-4 valn1413 a member is missing", async () => {
    const without = await judged(
      ({ members }) => ({ members: members.slice(0, 2) }),
      ["alice", "bob"],
    );
    await expectRule(without, "valn1413");
  });

  test("M-REI-05 valn1413 one device of a person does not stand in for another", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const phone = (await newClients(["bob"])).get("bob")!;
    await group.add("alice", new Map([["bob's phone", phone]]));
    await group.propose("alice", reInit);
    await group.commit("bob");
    const bundles = await newClients(["alice", "bob"]);
    const old = predecessor(group, "alice", reInit);
    const start = () => createSuccessor(old, optionsFor("alice", bundles), environment);
    await expectRule(start, "valn1413");
    const both = new Map([...bundles, ["phone", (await newClients(["bob"])).get("bob")!]]);
    await createSuccessor(old, optionsFor("alice", both), environment);
  });

  test("M-REI-05 mk-103 a PSK of another epoch", async () => {
    const earlier = await judged(({ epoch }) => ({ epoch: epoch - 1n }));
    await expectRule(earlier, "mk-103");
  });

  test("M-REI-05 valn1413 the named group did not end with a ReInit, or is not known", async () => {
    const group = await ended(reInit);
    const bundles = await newClients(NAMES);
    const old = predecessor(group, "alice", reInit);
    const made = await createSuccessor(old, optionsFor("alice", bundles), environment);
    const { reInit: _, ...parent } = predecessor(group, "bob", reInit);
    const bob = bundles.get("bob")!;
    await expectRule(() => joinSuccessor(made, bob, parent), "valn1413");
    const staged = await join(
      made.welcomes[0]!.bytes,
      [bob],
      withResumptionPsk(environment, parent),
    );
    const unknown = () => checkSuccession(staged, () => undefined, environment);
    await expectRule(unknown, "valn1413", { as: "STA", code: "UNKNOWN_PARENT" });
  });

  test("valn1401 without the PSK the Welcome stays closed", async () => {
    const made = await successor();
    const join_ = () => join(made.created.welcomes[0]!.bytes, [made.bob], environment);
    await expectRule(join_, "valn1401", { as: "STA", code: "MISSING_PSK" });
  });

  test("M-REI-05 ri-4 valn1412 a group in its second epoch", async () => {
    const { created, old } = await successor();
    const dave = (await newClients(["dave"])).get("dave")!;
    const withPsk = withResumptionPsk(environment, old);
    const group = await TestGroup.of(["alice"], { environment });
    const { bundle } = group.party("alice");
    group.parties.set("alice", new Party("alice", bundle, created.next, withPsk));
    const psk: ResumptionPskId = { ...pskOf(created), nonce: new Uint8Array(32) };
    const later = await group.createCommit("alice", {
      flow: "reinit",
      proposals: [
        { type: "add", keyPackage: dave.keyPackage },
        { type: "psk", psk },
      ],
    });
    await expectRule(() => join(later.welcomes[0]!.bytes, [dave], withPsk), "valn1412");
  });

  test("M-REI-05 ri-4 valn1401 a second PSK of usage reinit or branch", async () => {
    const { created } = await successor();
    const psk = pskOf(created);
    const groupInfo = {
      groupContext: created.next.context,
      extensions: [],
      confirmationTag: EMPTY_BYTES,
      signer: 0,
      signature: EMPTY_BYTES,
      encoded: EMPTY_BYTES,
    };
    const application = { ...psk, usage: "application", nonce: new Uint8Array(32) } as const;
    checkWelcomePsks([psk, application], groupInfo, 32);
    for (const usage of ["reinit", "branch"] as const) {
      const second = { ...psk, usage, nonce: new Uint8Array(32) };
      await expectRule(() => checkWelcomePsks([psk, second], groupInfo, 32), "valn1401", {
        as: "VAL",
      });
    }
  });

  async function successor() {
    const group = await ended(reInit);
    const bundles = await newClients(NAMES);
    const old = predecessor(group, "alice", reInit);
    const created = await createSuccessor(old, optionsFor("alice", bundles), environment);
    return { created, old, bob: bundles.get("bob")! };
  }

  function pskOf({ summary }: CreatedSuccessor): ResumptionPskId {
    const [psk] = summary.psks;
    if (psk?.type !== "resumption") throw new Error("there is a resumption PSK");
    return psk;
  }
});

describe("outside of the flow", () => {
  const usages = [
    ["reinit", "valn0801"],
    ["branch", "valn0802"],
  ] as const;
  test.each(usages)("M-REI-09 M-BRA-04 ri-6 usage %s is refused (%s)", async (usage, rule) => {
    const group = await TestGroup.of(NAMES, { environment });
    const alice = group.party("alice");
    const psk: ResumptionPskId = {
      type: "resumption",
      usage,
      groupId: GROUP_ID,
      epoch: 1n,
      nonce: new Uint8Array(32),
    };
    const proposal = { type: "psk", psk } as const;
    await refuses(alice, () => group.propose("alice", proposal), rule);
    const commit = () => group.createCommit("alice", { proposals: [proposal] });
    await refuses(alice, commit, rule);
    // Somebody who does not care sends it all the same.
    const secret = alice.epoch.secrets.resumptionPsk;
    alice.environment = { ...environment, psks: () => secret };
    const forged = await group.createCommit("alice", { proposals: [proposal], flow: usage });
    const bob = group.party("bob");
    await refuses(bob, () => bob.receive(forged.commit), rule);
    await refuses(group.observer, () => group.observer.receive(forged.commit), rule);
  });
});
