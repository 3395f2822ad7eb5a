/** Rules of section 11: groups that continue others, by ReInit or as a branch. RFC 9420 §11.2, §11.3. */
import { describe, expect, test } from "vitest";
import { equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import {
  type Parent,
  parentOf,
  type Predecessor,
  predecessorOf,
} from "../../src/group/parent-group.ts";
import {
  type BranchOptions,
  checkSuccession,
  createBranch,
  createSuccessor,
  withResumptionPsk,
} from "../../src/group/successor.ts";
import { checkBranch, checkReInitSuccessor } from "../../src/group/successor-rules.ts";
import type { Client, Group } from "../../src/index.ts";
import type { KeyPackage } from "../../src/key-packages/key-package.ts";
import type { PreSharedKeyId, ResumptionPskId } from "../../src/key-schedule/pre-shared-key.ts";
import type { ReInit } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import type { Storage } from "../../src/storage/storage.ts";
import {
  byIdentity,
  environment,
  newClients,
  optionsFor,
  reInitTo,
} from "../scenarios/succession.ts";
import { type Expected, expectRule, unchanged } from "../support/assertions.ts";
import { forgeMessage, forgeCommit, forgeProposal, forgeWelcome } from "../support/forge.ts";
import { bundleOf, contents, newTestClient } from "../support/forge-join.ts";
import { CUSTOM_EXTENSION } from "../support/forge-lists.ts";
import { authenticatorOf, join } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";

const NEW_ID = utf8("the successor");
const REINIT = reInitTo({ groupId: NEW_ID });

/** Alice and carol, who may do anything, and bob, a client with a store. */
interface Old {
  readonly group: TestGroup;
  readonly bob: Client;
  readonly storage: Storage;
  /** The group as bob has it. */
  readonly b: Group;
}

async function oldGroup(): Promise<Old> {
  const group = await TestGroup.of(["alice", "carol"], { environment });
  const { client: bob, storage } = await newTestClient("bob", {
    authenticationService: byIdentity,
    types: { extensions: new Set([CUSTOM_EXTENSION]) },
  });
  const { keyPackage } = await bundleOf((await bob.createKeyPackage({ grease: false })).bytes);
  const made = await group.commit("alice", { proposals: [{ type: "add", keyPackage }] });
  return { group, bob, storage, b: await bob.join(made.welcomes[0]!.bytes) };
}

/** The same after alice's ReInit. */
async function ended(reInit: ReInit = REINIT): Promise<Old> {
  const old = await oldGroup();
  const { commit } = await old.group.commit("alice", { proposals: [reInit], forcePath: false });
  expect((await old.b.process(commit, { accept: true })).kind).toBe("reinit");
  return old;
}

interface Plan {
  /** Alice's idea of the group before. */
  readonly change?: (honest: Predecessor) => Partial<Predecessor>;
  readonly without?: string;
  readonly suite?: number;
}

/** A Welcome for bob to the successor that alice makes. */
async function successor(
  { group, bob }: Old,
  { change, without, suite = 1 }: Plan = {},
  reInit: ReInit = REINIT,
): Promise<Uint8Array> {
  const honest = predecessorOf(group.party("alice").epoch, reInit);
  const names = ["alice", "carol"].filter((name) => name !== without);
  const bundles = new Map(await newClients(names, { suite }));
  bundles.set("bob", await bundleOf(await keyPackageOf(bob, suite)));
  const forged = { ...honest, ...change?.(honest) };
  const made = await createSuccessor(forged, optionsFor("alice", bundles), environment);
  return made.welcomes[0]!.bytes;
}

const messageOf = (message: KeyPackage): Uint8Array =>
  encodeMlsMessage({ wireFormat: "keyPackage", message });

async function keyPackageOf(bob: Client, suite: number): Promise<Uint8Array> {
  const known = (await bob.identities()).find(({ cipherSuite }) => cipherSuite === suite);
  const identity = known ?? (await bob.addIdentity({ identity: "bob", cipherSuite: suite }));
  return (await bob.createKeyPackage({ identity, grease: false })).bytes;
}

/** Bob refuses the Welcome, and his store is as before. */
async function bobRefuses(
  { bob, storage }: Old,
  welcome: Uint8Array,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const before = await contents(storage);
  await expectRule(() => bob.join(welcome), rule, expected);
  expect(await contents(storage)).toEqual(before);
}

describe("successors, as bob sees them", () => {
  const plans: readonly [string, Plan][] = [
    ["another group id", { change: () => ({ reInit: reInitTo({ groupId: utf8("elsewhere") }) }) }],
    [
      "another suite",
      { suite: 3, change: () => ({ reInit: reInitTo({ groupId: NEW_ID, cipherSuite: 3 }) }) },
    ],
    [
      "other extensions",
      {
        change: () => ({
          reInit: reInitTo({ groupId: NEW_ID, extensions: [{ type: 5, data: Uint8Array.of(0) }] }),
        }),
      },
    ],
    [
      "a member left behind",
      { without: "carol", change: ({ members }) => ({ members: [members[0]!, members[2]!] }) },
    ],
  ];
  test.each(plans)("valn1413 [J] %s", async (_, plan) => {
    const old = await ended();
    const code = "INVALID_WELCOME";
    await bobRefuses(old, await successor(old, plan), "valn1413", { code });
    expect((await old.bob.join(await successor(old))).epoch).toBe(1n);
  });

  test("valn1413 [J] the successor of a group that did not end with a ReInit", async () => {
    const old = await oldGroup();
    const code = "INVALID_WELCOME";
    await bobRefuses(old, await successor(old), "valn1413", { code });
    expect(old.b.status).toBe("active");
    await old.b.send("it goes on");
  });

  test("valn1413 valn1414 [J] a group before that we do not know", async () => {
    const group = await TestGroup.of(["alice"], { environment });
    const parent = parentOf(group.party("alice").epoch);
    const bob = (await newClients(["bob"])).get("bob")!;
    for (const [usage, rule] of [
      ["reinit", "valn1413"],
      ["branch", "valn1414"],
    ] as const) {
      const { epoch, id } = await paper(group, usage, 1n, { joiner: bob, parent });
      const find = () => undefined;
      const check = () => checkSuccession({ epoch, psks: [id] }, find, environment);
      await expectRule(check, rule, { as: "STA", code: "UNKNOWN_PARENT" });
    }
  });

  test("mk-103 [J] a PSK of the epoch before the ReInit Commit", async () => {
    const old = await oldGroup();
    const earlier = parentOf(old.group.party("alice").epoch);
    const { commit } = await old.group.commit("alice", { proposals: [REINIT], forcePath: false });
    await old.b.process(commit, { accept: true });
    const { epoch, resumptionPsk } = earlier;
    const plan = { change: () => ({ epoch, resumptionPsk }) };
    await bobRefuses(old, await successor(old, plan), "mk-103", { code: "INVALID_WELCOME" });
    expect((await old.bob.join(await successor(old))).epoch).toBe(1n);
  });

  test.each(["reinit", "branch"] as const)(
    "valn1412 [J] a Welcome by a PSK of usage %s into a later epoch",
    async (usage) => {
      const old = usage === "reinit" ? await ended() : await oldGroup();
      const joiner = await bundleOf(await keyPackageOf(old.bob, 1));
      const parent = parentOf(old.group.party("alice").epoch);
      for (const epoch of [0n, 2n, 2n ** 63n]) {
        const { bytes } = await paper(old.group, usage, epoch, { joiner, parent });
        await bobRefuses(old, bytes, "valn1412", { code: "INVALID_WELCOME" });
      }
    },
  );

  test("valn1412 valn1413 mk-103 [J] ok: with the announced parameters and all members", async () => {
    const extensions = [{ type: 3, data: Uint8Array.of(0, 0, 2, 0, 1) }];
    for (const reInit of [
      REINIT,
      reInitTo({ groupId: GROUP_ID }),
      reInitTo({ groupId: NEW_ID, cipherSuite: 3, extensions }),
    ]) {
      const old = await ended(reInit);
      const welcome = await successor(old, { suite: reInit.cipherSuite }, reInit);
      const group = await old.bob.join(welcome);
      expect(group.memberCount).toBe(3);
      expect(group.epoch).toBe(1n);
    }
  });
});

interface Paper {
  readonly joiner: Parameters<typeof forgeWelcome>[1]["joiners"][number];
  readonly parent: Parent;
  readonly groupId?: Uint8Array;
}

/** A Welcome to a group on paper: alice and the joiner, tied to another group by a PSK. */
async function paper(
  group: TestGroup,
  usage: ResumptionPskId["usage"],
  epoch: bigint,
  { joiner, parent, groupId = NEW_ID }: Paper,
) {
  const alone = await TestGroup.of(["alice"], { environment });
  const { tree } = await alone
    .createCommit("alice", {
      proposals: [{ type: "add", keyPackage: joiner.keyPackage }],
      forcePath: false,
    })
    .then(({ next }) => next);
  const id: ResumptionPskId = {
    type: "resumption",
    usage,
    groupId: parent.groupId,
    epoch: parent.epoch,
    nonce: new Uint8Array(32).fill(4),
  };
  const psks = [{ id, secret: parent.resumptionPsk }];
  const made = await forgeWelcome(
    { ...alone.party("alice").epoch, tree },
    { joiners: [joiner], context: { epoch, groupId }, psks },
  );
  const { context } = alone.party("alice").epoch;
  expect(group.members.length).toBeGreaterThan(0);
  const described = { context: { ...context, epoch, groupId }, tree };
  return { bytes: made.bytes, id, epoch: { ...alone.party("alice").epoch, ...described } };
}

describe("successors, as they are made", () => {
  test("valn1413 [C] nobody is left behind, and no stranger stands in for a member", async () => {
    const old = await ended();
    const before = await contents(old.storage);
    const clients = await newClients(["alice", "carol", "mallory"]);
    const bytes = [...clients.values()].map(({ keyPackage }) => messageOf(keyPackage));
    const [alice, carol, mallory] = bytes as [Uint8Array, Uint8Array, Uint8Array];
    for (const list of [[alice], [], [alice, mallory]]) {
      const make = () => old.bob.createSuccessor(old.b.id, list);
      await expectRule(make, "valn1413", { code: "INVALID_WELCOME" });
      expect(await contents(old.storage)).toEqual(before);
    }
    const { group } = await old.bob.createSuccessor(old.b.id, [alice, carol]);
    expect(group.memberCount).toBe(3);
  });

  test("valn1413 [C] another suite or version than the ReInit's", async () => {
    const { group } = await ended();
    const bundles = await newClients(["alice", "bob", "carol"], { suite: 3 });
    const { epoch } = group.party("alice");
    const make = (reInit: ReInit) => () =>
      createSuccessor(predecessorOf(epoch, reInit), optionsFor("alice", bundles), environment);
    await unchanged(group.party("alice"), async () => {
      await expectRule(make(REINIT), "valn1413", { as: "USE", code: "INVALID_SUITE" });
      const future = make({ ...REINIT, version: 2, cipherSuite: 3 });
      await expectRule(future, "valn1413", { as: "UNS", code: "UNSUPPORTED_VERSION" });
    });
  });

  test("mk-103 [C] no other PSK of a group before is named beside the right one", async () => {
    const { group } = await ended();
    const bundles = await newClients(["alice", "bob", "carol"]);
    const { epoch } = group.party("alice");
    const predecessor = predecessorOf(epoch, REINIT);
    for (const usage of ["reinit", "branch"] as const) {
      const nonce = new Uint8Array(32);
      const other = { type: "resumption", usage, groupId: GROUP_ID, epoch: 1n, nonce } as const;
      const options = optionsFor("alice", bundles, { psks: [other] });
      const make = () => createSuccessor(predecessor, options, environment);
      await expectRule(make, "mk-103", { as: "USE", code: "INVALID_PSK" });
    }
    const made = await createSuccessor(predecessor, optionsFor("alice", bundles), environment);
    expect(made.summary.psks).toMatchObject([
      { usage: "reinit", groupId: GROUP_ID, epoch: epoch.context.epoch },
    ]);
  });

  test("valn1412 [C] what is made is judged as by a joiner: nothing but epoch 1", async () => {
    const { group } = await ended();
    const { epoch } = group.party("alice");
    const { context, tree } = epoch;
    for (const number of [0n, 2n]) {
      const later = { context: { ...context, groupId: NEW_ID, epoch: number }, tree };
      const predecessor = predecessorOf(epoch, REINIT);
      const asSuccessor = () => checkReInitSuccessor(later, predecessor, environment);
      await expectRule(asSuccessor, "valn1412");
      await expectRule(() => checkBranch(later, predecessor, environment), "valn1412");
    }
  });

  test("valn1412 valn1413 mk-103 [C] ok: all members, a new suite, and other PSKs beside", async () => {
    const reInit = reInitTo({ groupId: NEW_ID, cipherSuite: 3 });
    const { group } = await ended(reInit);
    const bundles = await newClients(["alice", "bob", "carol", "dave"], { suite: 3 });
    const predecessor = predecessorOf(group.party("alice").epoch, reInit);
    const other: PreSharedKeyId = {
      type: "external",
      pskId: utf8("shared"),
      nonce: new Uint8Array(32),
    };
    const known = { ...environment, psks: () => predecessor.resumptionPsk };
    const options = optionsFor("alice", bundles, { psks: [other] });
    const made = await createSuccessor(predecessor, options, known);
    expect(made.next.context.epoch).toBe(1n);
    const bob = await join(made.welcomes[0]!.bytes, [bundles.get("bob")!], known);
    expect(authenticatorOf(bob.epoch)).toBe(authenticatorOf(made.next));
    const succession = await checkSuccession(bob, () => predecessor, known);
    expect(succession.type).toBe("reinit");
  });
});

const branchOf = (
  parent: Parent,
  bundles: Awaited<ReturnType<typeof newClients>>,
  changes: Partial<BranchOptions> = {},
) =>
  createBranch(
    parent,
    { ...optionsFor("alice", bundles), groupId: NEW_ID, extensions: [], ...changes },
    environment,
  );

describe("branches", () => {
  /** A Welcome for bob to the branch that alice makes of what she says is the parent. */
  async function branch(
    { group, bob }: Old,
    names: readonly string[],
    change: (honest: Parent) => Partial<Parent> = () => ({}),
    suite = 1,
  ): Promise<Uint8Array> {
    const honest = parentOf(group.party("alice").epoch);
    const bundles = new Map(await newClients(names, { suite }));
    bundles.set("bob", await bundleOf(await keyPackageOf(bob, suite)));
    const made = await branchOf({ ...honest, ...change(honest) }, bundles);
    return made.welcomes[0]!.bytes;
  }

  test("valn1414 [J] a member that the parent does not have", async () => {
    const old = await oldGroup();
    const mallory = (await newClients(["mallory"])).get("mallory")!.keyPackage.leafNode;
    const welcome = await branch(old, ["alice", "mallory"], ({ members }) => ({
      members: [...members, mallory],
    }));
    await bobRefuses(old, welcome, "valn1414", { code: "INVALID_WELCOME" });
    await old.b.send("the parent goes on");
    expect((await old.bob.join(await branch(old, ["alice"]))).memberCount).toBe(2);
  });

  test("valn1414 [J] another suite than the parent's", async () => {
    const old = await oldGroup();
    const welcome = await branch(old, ["alice"], () => ({ cipherSuite: 3 }), 3);
    await bobRefuses(old, welcome, "valn1414", { code: "INVALID_WELCOME" });
    expect((await old.bob.join(await branch(old, ["alice"]))).memberCount).toBe(2);
  });

  test("valn1414 [C] strangers are not taken in, nor is the suite changed", async () => {
    const old = await oldGroup();
    const before = await contents(old.storage);
    const { keyPackage } = (await newClients(["mallory"])).get("mallory")!;
    const make = () => old.bob.createBranch(old.b.id, [messageOf(keyPackage)]);
    await expectRule(make, "valn1414", { code: "INVALID_WELCOME" });
    expect(await contents(old.storage)).toEqual(before);
    const alice = old.group.party("alice");
    const other = await newClients(["alice", "bob"], { suite: 3 });
    const change = () => branchOf(parentOf(alice.epoch), other);
    await unchanged(alice, () => expectRule(change, "valn1414", { as: "USE" }));
    const known = (await newClients(["carol"])).get("carol")!.keyPackage;
    expect((await old.bob.createBranch(old.b.id, [messageOf(known)])).group.memberCount).toBe(2);
  });

  test("mk-105 [C] a branch with the id of its parent, or of another group of ours", async () => {
    const old = await oldGroup();
    const keyPackages = [messageOf((await newClients(["carol"])).get("carol")!.keyPackage)];
    const before = await contents(old.storage);
    const make = () => old.bob.createBranch(old.b.id, keyPackages, { groupId: old.b.id });
    await expectRule(make, "mk-105", { code: "GROUP_EXISTS" });
    expect(await contents(old.storage)).toEqual(before);
    const { id } = await old.bob.createGroup();
    const replace = () => old.bob.createBranch(old.b.id, keyPackages, { groupId: id });
    await expectRule(replace, "mk-107", { code: "GROUP_EXISTS" });
    await old.b.send("the parent goes on");
  });

  test("mk-105 [J] a branch with the id of its parent", async () => {
    const old = await oldGroup();
    const parent = parentOf(old.group.party("alice").epoch);
    const joiner = (await newClients(["bob"])).get("bob")!;
    const { groupId } = parent;
    const { bytes } = await paper(old.group, "branch", 1n, { joiner, parent, groupId });
    const known = withResumptionPsk(environment, parent);
    const staged = await join(bytes, [joiner], known);
    const check = () => checkSuccession(staged, () => parent, known);
    await expectRule(check, "mk-105", { as: "VAL", code: "INVALID_WELCOME" });
    // So does a client, before it looks whether that group lives.
    const own = await bundleOf(await keyPackageOf(old.bob, 1));
    const forged = await paper(old.group, "branch", 1n, { joiner: own, parent, groupId });
    await bobRefuses(old, forged.bytes, "mk-105", { as: "VAL", code: "INVALID_WELCOME" });
  });

  test("valn1412 valn1414 mk-105 [CJ] ok: some members of the parent, which goes on unchanged", async () => {
    const old = await oldGroup();
    const before = toHex(old.b.epochAuthenticator);
    const welcome = await unchanged(old.group.members, () => branch(old, ["alice"]));
    const joined = await old.bob.join(welcome);
    const { keyPackage } = (await newClients(["carol"])).get("carol")!;
    const made = await old.bob.createBranch(old.b.id, [messageOf(keyPackage)]);
    expect([joined.epoch, made.group.epoch]).toEqual([1n, 1n]);
    expect(toHex(old.b.epochAuthenticator)).toBe(before);
    const { commit } = await old.group.commit("carol");
    await old.b.process(commit, { accept: true });
    expect(toHex(old.b.epochAuthenticator)).toBe(authenticatorOf(old.group.party("alice").epoch));
  });
});

describe("a group that waits for its successor", () => {
  const CLOSED = { code: "GROUP_SUSPENDED" } as const;

  test("mk-104 [S] sends nothing", async () => {
    const old = await ended();
    const before = await contents(old.storage);
    await expectRule(() => old.b.send("too late"), "mk-104", CLOSED);
    await expectRule(() => old.b.sendMany(["one", "two"]), "mk-104", CLOSED);
    expect(await contents(old.storage)).toEqual(before);
  });

  test("mk-104 [C] makes no Commit, proposal, GroupInfo or branch", async () => {
    const old = await ended();
    const before = await contents(old.storage);
    const keyPackages = [messageOf((await newClients(["carol"])).get("carol")!.keyPackage)];
    for (const attempt of [
      () => old.b.update(),
      () => old.b.commitImmediately(),
      () => old.b.proposeRemove(0),
      () => old.b.leave(),
      () => old.b.groupInfo(),
      () => old.bob.createBranch(old.b.id, keyPackages),
    ]) {
      await expectRule(attempt, "mk-104", CLOSED);
    }
    expect(await contents(old.storage)).toEqual(before);
  });

  test("mk-104 [R] takes in nothing of the epoch that the ReInit began, or of a later one", async () => {
    const old = await ended();
    const { group, b, storage } = old;
    const alice = group.party("alice");
    const data = { contentType: "application", applicationData: utf8("psst") } as const;
    const { bytes: commit, next } = await forgeCommit(alice);
    const removal = await forgeCommit(alice, { proposals: [{ type: "remove", removed: 2 }] });
    const proposal = await forgeProposal(alice, { type: "remove", removed: 1 });
    const hidden = await forgeCommit(alice, { wireFormat: "privateMessage" });
    const said = await forgeMessage(alice, data, { wireFormat: "privateMessage" });
    const later = await forgeProposal(
      alice,
      { type: "remove", removed: 1 },
      { epoch: next.public.context.epoch },
    );
    const before = await contents(storage);
    for (const bytes of [commit, removal.bytes, proposal.bytes, hidden.bytes, said, later.bytes]) {
      const attempt = async (): Promise<void> => {
        const outcome = await b.process(bytes, { accept: true });
        if (outcome.kind === "invalid") throw outcome.error;
      };
      await expectRule(attempt, "mk-104", CLOSED);
      expect(await contents(storage)).toEqual(before);
    }
    expect(b.status).toBe("suspended");
    await old.bob.join(await successor(old));
  });

  test("mk-104 [RCS] ok: it reads what came late, is succeeded, and then its secret is gone", async () => {
    const old = await oldGroup();
    const late = await old.group.send("alice", "on the way");
    const { commit } = await old.group.commit("alice", { proposals: [REINIT], forcePath: false });
    await old.b.process(commit, { accept: true });
    expect((await old.b.process(late)).kind).toBe("application");
    expect((await old.b.process(commit)).kind).toBe("duplicate");
    const secret = old.group.party("alice").epoch.secrets.resumptionPsk.bytes;
    const holds = async (): Promise<boolean> => {
      const records = await old.storage.list("");
      return records.some(({ value }) => Buffer.from(value).includes(Buffer.from(secret)));
    };
    expect(await holds()).toBe(true);
    const next = await old.bob.join(await successor(old));
    expect(await holds()).toBe(false);
    expect(old.b.status).toBe("inactive");
    await next.send("on we go");
    await next.update();
  });

  test("mk-46 [C] after that, nothing can be made of it any more", async () => {
    const old = await ended();
    await old.bob.join(await successor(old));
    const keyPackages = [messageOf((await newClients(["carol"])).get("carol")!.keyPackage)];
    const before = await contents(old.storage);
    const again = () => old.bob.createSuccessor(old.b.id, keyPackages);
    await expect(again()).rejects.toMatchObject({ code: "NO_REINIT" });
    const branch = () => old.bob.createBranch(old.b.id, keyPackages);
    await expectRule(branch, "mk-46", { code: "GROUP_INACTIVE" });
    expect(await contents(old.storage)).toEqual(before);
    expect(equalBytes(old.b.id, GROUP_ID)).toBe(true);
  });
});
