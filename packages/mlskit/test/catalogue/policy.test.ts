/** Catalogue M-POL: what the application may decide. */
import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import {
  adminsOnly,
  allOf,
  memberLimit,
  noExternalCommits,
  selfRemovalOnly,
} from "../../src/production/index.ts";
import { fromUtf8, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import {
  type AuthenticationService,
  type CommitCandidate,
  type CommitDefaults,
  createSigner,
  type Credential,
  defaultProvider,
  ExtensionType,
  type Group,
  type GroupPolicy,
  type ProposalCandidate,
  type Signer,
} from "../../src/index.ts";
import { keyPackageObstacles } from "../../src/production/index.ts";
import { decodeMlsMessage } from "../../src/wire.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { contents } from "../support/forge-join.ts";

async function three(
  options: TestGroupOptions = {},
): Promise<{ world: TestGroup; a: Group; b: Group; c: Group }> {
  const world = await testGroup(options);
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

test("M-POL-01: credentials are validated through a hook", async () => {
  const events: string[] = [];
  let isTrusted = true;
  const { world, a } = await three({
    authenticationService: {
      ...acceptAnyCredential,
      validate: async (identities, { event }) => {
        events.push(event);
        return identities.map(() => (isTrusted ? true : { reason: "not known any more" }));
      },
    },
  });
  expect(events).toContain("add");
  expect(events).toContain("join");
  isTrusted = false;
  const add = [(await (await world.newClient("dave")).client.createKeyPackage()).bytes];
  await expect(a.commit({ add })).rejects.toMatchObject({
    code: "CREDENTIAL_REJECTED",
    details: { reason: "not known any more" },
  });
});

test("M-POL-02: proposals are reviewed on receipt, on storing, and in Commits of either direction", async () => {
  const seen: ProposalCandidate[] = [];
  const { world, a, b } = await three({
    policy: {
      reviewProposal: (candidate) => {
        seen.push(candidate);
        return true;
      },
    },
  });
  seen.length = 0;
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  await a.commit({ remove: [2] });
  await b.process(a.pendingCommit!.commit, { accept: true });
  const view = ({ proposal, byReference, direction, sender }: ProposalCandidate) => [
    proposal.type,
    sender.type,
    byReference,
    direction,
  ];
  expect(seen.map(view)).toEqual([
    // Ours is kept, and two others get it and keep it.
    ["update", "member", true, "store"],
    ["update", "member", true, "receive"],
    ["update", "member", true, "store"],
    ["update", "member", true, "receive"],
    ["update", "member", true, "store"],
    ["update", "member", true, "createCommit"],
    ["remove", "member", false, "createCommit"],
    ["update", "member", true, "receiveCommit"],
    ["remove", "member", false, "receiveCommit"],
  ]);
  expect(seen[0]!.credential).toMatchObject({ identity: utf8("member 1") });
  expect(seen[0]!.group.epoch).toBe(1n);
  expect([...seen[0]!.group.members()]).toHaveLength(3);
});

test("M-POL-02: what the policy does not want stored is not stored, and a Commit with it is refused", async () => {
  let isRefused = false;
  const { a, b, c } = await three({
    policy: {
      reviewProposal: ({ direction }) =>
        isRefused && direction === "store" ? { reason: "not to be kept" } : true,
    },
  });
  const refused = { code: "POLICY_REJECTED", rule: "mk-64", details: { reason: "not to be kept" } };
  const { bytes } = await a.proposeUpdate();
  isRefused = true;
  await expect(a.proposeUpdate()).rejects.toMatchObject(refused);
  expect(await a.proposals()).toHaveLength(1);
  expect(await b.process(bytes, { accept: true })).toMatchObject({
    kind: "invalidProposal",
    error: refused,
  });
  expect(await b.proposals()).toEqual([]);
  isRefused = false;
  await c.process(bytes, { accept: true });
  const { commit } = await c.commit();
  expect(await b.process(commit, { accept: true })).toMatchObject({
    kind: "invalid",
    error: { code: "PROPOSAL_REFUSED" },
  });
  // Looking at it is one thing, keeping it another: it may be asked about more than once.
  const outcome = await b.process(bytes);
  if (outcome.kind !== "proposal") throw new Error(outcome.kind);
  isRefused = true;
  await expect(outcome.accept()).rejects.toMatchObject(refused);
  expect(await b.proposals()).toEqual([]);
  isRefused = false;
  await outcome.accept();
  expect((await b.process(commit, { accept: true })).kind).toBe("commit");
});

test("M-POL-03: a Commit is reviewed as a whole, after all cryptographic checks", async () => {
  const seen: CommitCandidate[] = [];
  let verdict: true | { reason: string } = true;
  const policy: GroupPolicy = {
    reviewCommit: (candidate) => {
      seen.push(candidate);
      return verdict;
    },
  };
  const { world, a, b } = await three({ policy });
  seen.length = 0;
  const { commit } = await a.commit({ remove: [2], extensions: [] });
  const damaged = commit.slice();
  damaged[damaged.length - 1]! ^= 1;
  expect((await b.process(damaged)).kind).toBe("invalid");
  expect(seen).toHaveLength(1);
  verdict = { reason: "not today" };
  expect(await b.process(commit, { accept: true })).toMatchObject({
    kind: "invalid",
    error: { code: "POLICY_REJECTED", details: { reason: "not today" } },
  });
  expect(b.epoch).toBe(1n);
  for (const candidate of seen) {
    expect(candidate).toMatchObject({ committer: 0, isExternal: false });
    expect(candidate.proposals.map(({ proposal }) => proposal.type)).toEqual([
      "remove",
      "groupContextExtensions",
    ]);
    expect([[...candidate.before.members()].length, [...candidate.after.members()].length]).toEqual(
      [3, 2],
    );
    expect(candidate.after.extensions).toEqual([]);
  }
  expect(world.members).toHaveLength(3);
});

test("M-POL-05: the documentation says that rejecting rules must agree among all members", () => {
  const source = readFileSync(new URL("../../src/group/environment.ts", import.meta.url), "utf8");
  expect(source).toMatch(
    /Consensus-critical: all members must answer alike[^]*interface GroupPolicy/,
  );
});

test("M-POL-07: hooks have a time limit, after which the message can still be processed", async () => {
  let isStuck = false;
  const { a, b, c } = await three({
    hookTimeout: 50,
    policy: {
      reviewProposal: () => (isStuck ? new Promise<true>(() => undefined) : true),
    },
  });
  const { bytes } = await a.proposeUpdate();
  isStuck = true;
  const timeout = { code: "POLICY_TIMEOUT", retryable: true };
  await expect(b.process(bytes)).rejects.toMatchObject(timeout);
  await expect(b.remove([2])).rejects.toMatchObject({ code: "POLICY_TIMEOUT" });
  isStuck = false;
  expect((await b.process(bytes, { accept: true })).kind).toBe("proposal");
  await c.process(bytes, { accept: true });
  const { commit } = await c.commit();
  expect((await b.process(commit)).kind).toBe("commit");
});

test("M-POL-07 P-TX-08: a hook that fails over storing one proposal leaves a batch to go on", async () => {
  let isOffline = false;
  const { world, a, b } = await three({
    policy: {
      reviewProposal: ({ direction }) => {
        if (isOffline && direction === "store") throw new Error("offline");
        return true;
      },
    },
    config: { autoAccept: true },
  });
  const { bytes } = await a.send("another");
  const proposal = await a.proposeUpdate();
  isOffline = true;
  const outcomes = await b.processMany([proposal.bytes, bytes]);
  expect(outcomes).toMatchObject([
    { kind: "invalid", error: { code: "HOOK_FAILED", cause: { message: "offline" } } },
    { kind: "application", data: utf8("another") },
  ]);
  await world.member(1).client.transaction(async (tx) => {
    const inside = await tx.group(b.id);
    const failure = { code: "HOOK_FAILED" };
    await expect(inside.process(proposal.bytes)).rejects.toMatchObject(failure);
    isOffline = false;
    expect((await inside.process(proposal.bytes)).kind).toBe("proposal");
  });
  expect(b.pendingProposals).toHaveLength(1);
});

test("M-KP-17: a service that fails is no obstacle of a key package", async () => {
  let isOffline = false;
  const { world, a } = await three({
    authenticationService: {
      ...acceptAnyCredential,
      validate: (identities) => {
        if (isOffline) throw new Error("offline");
        return identities.map(() => true as const);
      },
    },
  });
  const { client } = await world.newClient("dave");
  const { bytes } = await client.createKeyPackage();
  isOffline = true;
  await expect(keyPackageObstacles(a, bytes)).rejects.toMatchObject({ code: "HOOK_FAILED" });
  isOffline = false;
  expect(await keyPackageObstacles(a, bytes)).toEqual([]);
});

describe("M-POL-07: whichever hook does not answer, nothing is consumed", () => {
  type Hook =
    | "validate"
    | "isSuccessor"
    | "reviewProposal"
    | "reviewCommit"
    | "commitDefaults"
    | "psk";

  async function newSigner(): Promise<Signer> {
    const suite = defaultProvider().suite(1);
    return createSigner(suite, await suite.generateSignatureKeyPair());
  }

  /** Three members whose hooks can be stuck, one kind at a time. */
  async function stuckWorld() {
    let stuck: Hook | undefined;
    const answer = <T>(hook: Hook, value: T): T | Promise<T> =>
      hook === stuck ? new Promise<T>(() => undefined) : value;
    const service: AuthenticationService = {
      validate: (all) =>
        answer(
          "validate",
          all.map(() => true as const),
        ),
      isSuccessor: () => answer("isSuccessor", true),
    };
    const found = await three({
      hookTimeout: 30,
      authenticationService: service,
      policy: {
        reviewProposal: () => answer("reviewProposal", true),
        reviewCommit: () => answer("reviewCommit", true),
        commitDefaults: () => answer("commitDefaults", {}),
      },
      psk: () => answer("psk", new Secret(new Uint8Array(32).fill(5))),
    });
    const whileStuck = async (hook: Hook, work: () => Promise<unknown>): Promise<void> => {
      stuck = hook;
      await expect(work(), hook).rejects.toMatchObject({ code: "POLICY_TIMEOUT", blame: "policy" });
      stuck = undefined;
    };
    return { ...found, whileStuck };
  }

  test("M-POL-07: of a Commit that is received, by any hook that it asks", async () => {
    const { world, a, b, c, whileStuck } = await stuckWorld();
    const { client } = await world.newClient("dave");
    const add = [(await client.createKeyPackage()).bytes];
    const request = { add, psks: [utf8("shared")], forcePath: true };
    const { commit } = await a.commit({ ...request, leaf: { signer: await newSigner() } });
    const before = await contents(world.member(1).storage);
    const hooks: readonly Hook[] = [
      "validate",
      "isSuccessor",
      "reviewProposal",
      "reviewCommit",
      "psk",
    ];
    for (const hook of hooks) {
      await whileStuck(hook, () => b.process(commit, { accept: true }));
      expect(await contents(world.member(1).storage), hook).toEqual(before);
    }
    expect((await b.process(commit, { accept: true })).kind).toBe("commit");
    const { welcomes } = await a.acceptCommit();
    await c.process(commit, { accept: true });

    // The Welcome stays good as well, with its key package.
    const welcome = welcomes[0]!.bytes;
    await whileStuck("validate", () => client.join(welcome));
    await whileStuck("psk", () => client.join(welcome));
    expect((await client.join(welcome)).epoch).toBe(b.epoch);
    world.assertAgreement();
  });

  test("M-POL-07: of a proposal that is received, by any hook that it asks", async () => {
    const { world, a, b, whileStuck } = await stuckWorld();
    const { bytes } = await a.proposeUpdate({ signer: await newSigner() });
    const before = await contents(world.member(1).storage);
    for (const hook of ["validate", "isSuccessor", "reviewProposal"] as const) {
      await whileStuck(hook, () => b.process(bytes, { accept: true }));
      expect(await contents(world.member(1).storage), hook).toEqual(before);
    }
    // Also if it was looked at before.
    const outcome = await b.process(bytes);
    if (outcome.kind !== "proposal") throw new Error(outcome.kind);
    await whileStuck("reviewProposal", () => outcome.accept());
    expect(await contents(world.member(1).storage)).toEqual(before);
    await outcome.accept();
    expect(await b.proposals()).toHaveLength(1);
  });

  test("M-POL-07: of what we do ourselves", async () => {
    const { world, a, whileStuck } = await stuckWorld();
    const { client } = await world.newClient("dave");
    const add = [(await client.createKeyPackage()).bytes];
    const request = { add, psks: [utf8("shared")], leaf: { signer: await newSigner() } };
    const before = await contents(world.member(0).storage);
    const hooks: readonly Hook[] = [
      "validate",
      "isSuccessor",
      "reviewProposal",
      "reviewCommit",
      "commitDefaults",
      "psk",
    ];
    for (const hook of hooks) {
      await whileStuck(hook, () => a.commit(request));
      expect(await contents(world.member(0).storage), hook).toEqual(before);
    }
    await whileStuck("reviewProposal", () => a.proposeUpdate());
    expect(await contents(world.member(0).storage)).toEqual(before);
    expect(a.status).toBe("active");
    await a.commit(request);
  });

  test("M-POL-07: of a tree that is kept elsewhere", async () => {
    let isStuck = false;
    let tree = new Uint8Array();
    const world = await testGroup({
      hookTimeout: 30,
      config: { storedTree: false },
      tree: () => (isStuck ? new Promise<undefined>(() => undefined) : tree),
    });
    tree = world.member(0).group.ratchetTree().slice();
    isStuck = true;
    const reopening = world.reopen(0, world.member(0).storage);
    await expect(reopening).rejects.toMatchObject({ code: "POLICY_TIMEOUT" });
    isStuck = false;
    const { group } = await world.reopen(0, world.member(0).storage);
    await group.send("it is all there");
  });
});

test("M-POL-04: a policy sets path, tree, Welcomes, external joins and encryption of our Commits", async () => {
  let defaults: CommitDefaults = {};
  const epochs: bigint[] = [];
  const { world, a, b } = await three({
    policy: {
      commitDefaults: async ({ epoch }) => {
        epochs.push(epoch);
        return defaults;
      },
    },
  });
  const add = async (count: number): Promise<Uint8Array[]> => {
    const packages: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const { client } = await world.newClient("new");
      packages.push((await client.createKeyPackage()).bytes);
    }
    return packages;
  };
  const formOf = (bytes: Uint8Array): string => decodeMlsMessage(bytes).wireFormat;
  const usual = await a.commit({ add: await add(2) });
  expect([usual.summary.hasPath, formOf(usual.commit)]).toEqual([true, "privateMessage"]);
  const { welcomes, ratchetTree } = await a.acceptCommit();
  expect([welcomes.length, ratchetTree]).toEqual([1, undefined]);
  await b.process(usual.commit, { accept: true });
  defaults = {
    path: "whenRequired",
    ratchetTree: false,
    joinersPerWelcome: 1,
    externalCommits: false,
    handshakes: "public",
  };
  const set = await a.commit({ add: await add(2), groupInfo: true });
  expect([set.summary.hasPath, formOf(set.commit)]).toEqual([false, "publicMessage"]);
  const accepted = await a.acceptCommit();
  expect(accepted.welcomes).toHaveLength(2);
  expect(accepted.ratchetTree).toBeDefined();
  const info = decodeMlsMessage(accepted.groupInfo!);
  const types =
    info.wireFormat === "groupInfo" ? info.message.extensions.map(({ type }) => type) : [];
  expect(types).not.toContain(ExtensionType.externalPub);
  expect(types).not.toContain(ExtensionType.ratchetTree);
  await b.process(set.commit, { accept: true });
  // What needs a path gets one, and a request counts before the policy.
  expect((await a.remove([3])).summary.hasPath).toBe(true);
  await a.discardCommit();
  const asked = await a.commit({ add: await add(1), withoutPath: false, wireForm: "private" });
  expect([asked.summary.hasPath, formOf(asked.commit)]).toEqual([true, "privateMessage"]);
  await a.discardCommit();
  defaults = { externalCommits: true };
  const { client } = await world.newClient("outsider");
  const { commit } = await client.joinExternally(await a.groupInfo());
  defaults = { externalCommits: false };
  expect(await b.process(commit)).toMatchObject({ kind: "invalid", error: { rule: "mk-91" } });
  defaults = { externalCommits: true };
  expect((await b.process(commit)).kind).toBe("commit");
  expect(epochs).toContain(3n);
});

const refused = (reason: string) => ({
  code: "POLICY_REJECTED",
  details: { reason: expect.stringContaining(reason) as string },
});

const isAlice = ({ type, ...credential }: Credential): boolean =>
  type === "basic" && "identity" in credential && fromUtf8(credential.identity) === "alice";

describe("M-POL-06: ready-made rules", () => {
  const names = ["alice", "bob", "carol"];

  test("M-POL-06: only listed admins add and remove, while everybody may leave or come back", async () => {
    const { world, a, b, c } = await three({ members: names, policy: adminsOnly(isAlice) });
    const { client: dave } = await world.newClient("dave");
    const keyPackage = (await dave.createKeyPackage()).bytes;
    const reason = "only admins";
    await expect(b.add([keyPackage])).rejects.toMatchObject(refused(reason));
    await expect(b.remove([2])).rejects.toMatchObject(refused(reason));
    await expect(b.proposeRemove(2)).rejects.toMatchObject(refused(reason));
    await b.update();
    await b.discardCommit();
    // Who asks to join is let in by an admin only.
    const asked = await dave.proposeJoin({ groupId: a.id, epoch: a.epoch });
    await world.deliver(asked.bytes);
    await expect(b.commit()).resolves.toMatchObject({ unused: [expect.anything()] });
    await b.discardCommit();
    await world.commit(0);
    expect(a.memberCount).toBe(4);
    const leaving = await c.leave();
    await world.deliver(leaving.bytes, 2);
    await world.commit(1);
    expect(a.memberCount).toBe(3);
    const resync = await world
      .member(1)
      .client.joinExternally(await a.groupInfo(), { resync: true });
    expect((await a.process(resync.commit)).kind).toBe("commit");
    const { client: eve } = await world.newClient("eve");
    await expect(eve.joinExternally(await a.groupInfo())).rejects.toMatchObject(refused(reason));
  });

  test("M-POL-06: a Commit that a member without the rules makes is refused by those who have them", async () => {
    const rules: GroupPolicy[] = [
      adminsOnly(isAlice),
      selfRemovalOnly(),
      noExternalCommits(),
      memberLimit(3),
    ];
    for (const [i, policy] of rules.entries()) {
      let active: GroupPolicy = {};
      const delegate: GroupPolicy = {
        reviewProposal: (candidate) => active.reviewProposal?.(candidate) ?? true,
        reviewCommit: (candidate) => active.reviewCommit?.(candidate) ?? true,
      };
      const { world, a, b, c } = await three({ members: names, policy: delegate });
      const { client } = await world.newClient("dave");
      const keyPackage = (await client.createKeyPackage()).bytes;
      const commits = [
        async () => (await c.add([keyPackage])).commit,
        async () => (await a.remove([2])).commit,
        async () => (await client.joinExternally(await a.groupInfo())).commit,
        async () => (await a.add([keyPackage])).commit,
      ];
      const commit = await commits[i]!();
      active = policy;
      expect(await b.process(commit)).toMatchObject({
        kind: "invalid",
        error: { code: "POLICY_REJECTED" },
      });
      expect(b.epoch).toBe(1n);
      active = {};
      expect((await b.process(commit)).kind).toBe("commit");
    }
  });

  test("M-POL-06: a proposal that a member without the rules makes is refused by those who have them", async () => {
    for (const rules of [adminsOnly(isAlice), selfRemovalOnly()]) {
      // Nobody has them for what is to be kept, which is all that who proposes asks for.
      const reviewProposal: GroupPolicy["reviewProposal"] = (candidate) =>
        candidate.direction === "store" ? true : (rules.reviewProposal?.(candidate) ?? true);
      const { a, b } = await three({ members: names, policy: { ...rules, reviewProposal } });
      expect(await a.process((await b.proposeRemove(2)).bytes, { accept: true })).toMatchObject({
        kind: "invalidProposal",
        error: { code: "POLICY_REJECTED" },
      });
      expect(await a.proposals()).toEqual([]);
    }
  });

  test("M-POL-06: members leave by their own wish only", async () => {
    const { world, a, b } = await three({ members: names, policy: selfRemovalOnly() });
    await expect(a.remove([2])).rejects.toMatchObject(refused("not removed by others"));
    await expect(a.proposeRemove(2)).rejects.toMatchObject(refused("not removed by others"));
    const leaving = await b.leave();
    await world.deliver(leaving.bytes, 1);
    await world.commit(0);
    expect([a.memberCount, b.status]).toEqual([2, "inactive"]);
  });

  test("M-POL-06: no external commits, or only those that replace a leaf of the same member", async () => {
    const { world, a } = await three({
      members: names,
      policy: noExternalCommits({ resync: true }),
    });
    const { client } = await world.newClient("dave");
    const info = await a.groupInfo();
    await expect(client.joinExternally(info)).rejects.toMatchObject(refused("external commits"));
    const bob = world.member(1).client;
    const { commit } = await bob.joinExternally(info, { resync: true });
    expect((await a.process(commit)).kind).toBe("commit");
    const strict = await three({ members: names, policy: noExternalCommits() });
    const closed = decodeMlsMessage(await strict.a.groupInfo());
    const extensions = closed.wireFormat === "groupInfo" ? closed.message.extensions : [];
    expect(extensions.map(({ type }) => type)).not.toContain(ExtensionType.externalPub);
  });

  test("M-POL-06: a member limit counts what a Commit leads to, and rules combine", async () => {
    const policy = allOf(memberLimit(3), adminsOnly(isAlice), noExternalCommits());
    const { world, a, b } = await three({ members: names, policy });
    const { client } = await world.newClient("dave");
    const add = [(await client.createKeyPackage()).bytes];
    await expect(a.commit({ add })).rejects.toMatchObject(refused("too many members"));
    await expect(b.remove([2])).rejects.toMatchObject(refused("only admins"));
    const swapped = await a.commit({ swap: { remove: [2], add } });
    expect((await b.process(swapped.commit)).kind).toBe("commit");
    const info = decodeMlsMessage(await b.groupInfo());
    const extensions = info.wireFormat === "groupInfo" ? info.message.extensions : [];
    expect(extensions.map(({ type }) => type)).not.toContain(ExtensionType.externalPub);
  });
});
