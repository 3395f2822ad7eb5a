/** Catalogue M-JOIN: into a group by Welcome or by external commit. */
import { describe, expect, test } from "vitest";
import { equalBytes, utf8 } from "../../src/codec/index.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/index.ts";
import {
  type AuthenticationService,
  Client,
  ExtensionType,
  type Group,
  memoryStorage,
  MlsError,
} from "../../src/index.ts";
import {
  FaultStorage,
  faultStorage,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import {
  decode,
  decodeMlsMessage,
  encode,
  encodeMlsMessage,
  findExtension,
  RatchetTreeNodes,
  viewPublicCommit,
} from "../../src/wire.ts";
import { refuses } from "../support/assertions.ts";
import { newDesk, seat } from "../support/forge-clients.ts";
import { bundleOf, contents, Door } from "../support/forge-join.ts";
import { forgeExternalCommit, forgeLeaf, forgeWelcome, treeOfLeaves } from "../support/forge.ts";
import { join, newClient } from "../support/parties.ts";
import { TestGroup as Parties } from "../support/test-group.ts";

/** A group of two, and a client that was invited with this request. */
async function invitation(options: TestGroupOptions = {}, psks: readonly Uint8Array[] = []) {
  const world = await testGroup({ members: 2, ...options });
  const { client: bob, storage } = await world.newClient("bob");
  const keyPackage = await bob.createKeyPackage();
  const [alice] = world.groups as [Group];
  for (const id of psks)
    await world.member(0).client.putPsk(id, utf8("a secret of 32 bytes, or nearly"));
  await alice.add([keyPackage.bytes], { psks });
  const { welcomes, ratchetTree } = await alice.acceptCommit();
  return { world, alice, bob, storage, keyPackage, welcome: welcomes[0]!.bytes, ratchetTree };
}

function flipLast(bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  damaged[damaged.length - 1]! ^= 1;
  return damaged;
}

describe("joining by a Welcome", () => {
  test("M-JOIN-02 M-JOIN-06: a peek shows missing PSKs, then the GroupInfo; the Welcome stays usable", async () => {
    const ids = [utf8("one"), utf8("two")];
    const { bob, storage, keyPackage, welcome, alice } = await invitation({}, ids);
    const before = await contents(storage);
    const first = await bob.peekWelcome(welcome);
    expect(first.reference).toEqual(keyPackage.reference);
    expect(first.psks).toMatchObject(ids.map((pskId) => ({ type: "external", pskId })));
    expect(first.unverifiedGroupInfo).toBeUndefined();
    await expect(bob.join(welcome)).rejects.toMatchObject({
      code: "MISSING_PSK",
      details: { missing: [{ pskId: ids[0] }, { pskId: ids[1] }] },
    });
    expect(await contents(storage)).toEqual(before);
    for (const id of ids) await bob.putPsk(id, utf8("a secret of 32 bytes, or nearly"));
    const second = await bob.peekWelcome(welcome);
    expect(second.unverifiedGroupInfo?.groupContext.groupId).toEqual(alice.id);
    expect((await bob.join(welcome)).epochAuthenticator).toEqual(alice.epochAuthenticator);
  });

  test("M-JOIN-03: staging shows sender, members, context, own leaf and exporter, and stores nothing", async () => {
    const { bob, welcome, storage, alice } = await invitation();
    const before = await contents(storage);
    const dropped = await bob.stageWelcome(welcome);
    const staged = await bob.stageWelcome(welcome);
    for (const { inviter, epoch } of [dropped, staged]) {
      expect(inviter).toBe(0);
      expect(epoch.contextBytes).toEqual(alice.contextBytes);
      expect(epoch.ownLeaf).toBe(2);
      const keys = [...epoch.tree.members()].map(([, { signatureKey }]) => signatureKey);
      expect(keys).toEqual(alice.members().map(({ signatureKey }) => signatureKey));
    }
    const exported = alice.export("label", utf8("context"), 16);
    expect(staged.export("label", utf8("context"), 16)).toEqual(exported);
    expect(await contents(storage)).toEqual(before);
    expect((await bob.enter(staged)).export("label", utf8("context"), 16)).toEqual(exported);
  });

  test("M-JOIN-04: entering is one write that stores the group and deletes the key package", async () => {
    const { bob, storage, welcome, world } = await invitation({
      storage: () => faultStorage(memoryStorage()),
    });
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const staged = await bob.stageWelcome(welcome);
    const writes = storage.writes;
    const group = await bob.enter(staged);
    expect(storage.writes - writes).toBe(1);
    expect(group.status).toBe("active");
    expect(await bob.keyPackages()).toEqual([]);
    // A package of last resort stays.
    const { client: carol } = await world.newClient("carol");
    const last = await carol.createKeyPackage({ lastResort: true });
    const { welcomes } = await world.commit(0, { add: [last.bytes] });
    expect((await carol.join(welcomes[0]!.bytes)).status).toBe("active");
    expect(await carol.keyPackages()).toMatchObject([{ reference: last.reference }]);
  });

  test("M-JOIN-05: the tree from the extension or an argument, TREE_REQUIRED, TREE_MISMATCH", async () => {
    const out = await invitation({ config: { ratchetTree: false } });
    await expect(out.bob.join(out.welcome)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
    const { ratchetTree } = out;
    expect((await out.bob.join(out.welcome, { ratchetTree })).memberCount).toBe(3);
    const inside = await invitation();
    const other = inside.world.member(1).group.ratchetTree();
    await expect(inside.bob.join(inside.welcome, { ratchetTree: other })).rejects.toMatchObject({
      code: "TREE_MISMATCH",
    });
    const same = inside.alice.ratchetTree();
    expect((await inside.bob.join(inside.welcome, { ratchetTree: same })).memberCount).toBe(3);
  });

  test("M-JOIN-07: every own key package that a Welcome names is tried", async () => {
    const { bob, welcome, world } = await invitation();
    const decoded = decodeMlsMessage(welcome);
    if (decoded.wireFormat !== "welcome") throw new Error("a Welcome was expected");
    const other = await bob.createKeyPackage();
    const [real] = decoded.message.secrets;
    // An entry for another package of ours that cannot be opened comes first.
    const secrets = [{ ...real!, newMember: other.reference }, real!];
    const bytes = encodeMlsMessage({
      wireFormat: "welcome",
      message: { ...decoded.message, secrets },
    });
    expect((await bob.join(bytes)).memberCount).toBe(3);
    expect(await bob.keyPackages()).toMatchObject([{ reference: other.reference }]);
    expect(world.members).toHaveLength(2);
  });

  test("M-JOIN-08: a Welcome for a live group is GROUP_EXISTS and leaves that group alone", async () => {
    const { bob, welcome, storage, alice } = await invitation();
    const copy = (await bob.createKeyPackage({ lastResort: true })).bytes;
    const group = await bob.join(welcome);
    await alice.commitImmediately({ remove: [2] });
    const { welcomes } = await alice.commitImmediately({ add: [copy] });
    const before = await contents(storage);
    await expect(bob.join(welcomes[0]!.bytes)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    expect(await contents(storage)).toEqual(before);
    expect(group.status).toBe("active");
  });

  test("M-JOIN-09: suites agree, and the own leaf is that of the key package in every byte", async () => {
    const { bob, welcome } = await invitation();
    const decoded = decodeMlsMessage(welcome);
    if (decoded.wireFormat !== "welcome") throw new Error("a Welcome was expected");
    const message = { ...decoded.message, cipherSuite: 3 };
    const bytes = encodeMlsMessage({ wireFormat: "welcome", message });
    await expect(bob.join(bytes)).rejects.toMatchObject({ code: "INVALID_WELCOME", rule: "mk-94" });
    const staged = await bob.stageWelcome(welcome);
    const leaf = staged.epoch.tree.leaf(staged.epoch.ownLeaf)!;
    expect(leaf.encoded).toEqual(staged.keyPackage.leafNode.encoded);
    const door = await Door.of({ names: ["alice", "bob"] });
    const other = await bundleOf((await door.client.createKeyPackage()).bytes);
    const forged = await forgeWelcome(door.next, { joiners: [other] });
    await door.refusesWelcome(forged.bytes, "mk-99", { code: "INVALID_WELCOME" });
    const strange = await door.forgedWelcome({ context: { cipherSuite: 3 } });
    await door.refusesWelcome(strange, "valn1404", { code: "INVALID_GROUP_INFO" });
    await door.opens();
    // Our keys and a valid signature of ours are not enough.
    const parties = await Parties.of(["alice"]);
    const alice = parties.party("alice");
    const frank = await newClient("frank");
    const { leafNode } = frank.keyPackage;
    const extensions = [{ type: 1, data: Uint8Array.of(1, 0x21) }];
    const changed = await forgeLeaf(leafNode, { extensions }, { signer: frank.signer });
    for (const own of [changed, leafNode]) {
      const nodes = treeOfLeaves([alice.bundle.keyPackage.leafNode, own]);
      const { bytes: invited } = await forgeWelcome(alice.epoch, { joiners: [frank], nodes });
      const enter = () => join(invited, [frank], parties.environment);
      if (own === leafNode) expect((await enter()).epoch.ownLeaf).toBe(1);
      else await refuses(frank, enter, "mk-99", { code: "INVALID_WELCOME" });
    }
  });

  test("M-JOIN-10: what a path secret yields is compared with the tree up to the root", async () => {
    const door = await Door.of();
    const wrong = await door.forgedWelcome({ pathSecret: () => new Uint8Array(32).fill(1) });
    await door.refusesWelcome(wrong, "mk-100", { code: "INVALID_WELCOME" });
    expect((await door.opens()).memberCount).toBe(4);
  });

  test("M-JOIN-11: who invited is visible before entering", async () => {
    const { bob, welcome, world } = await invitation();
    const staged = await bob.stageWelcome(welcome);
    expect(staged.inviter).toBe(0);
    const leaves = new Map(
      [...staged.epoch.tree.members()].map(([at, leaf]) => [Number(at), leaf]),
    );
    const { credential, signatureKey } = world.member(0).client.identity;
    expect(leaves.get(staged.inviter)).toMatchObject({ credential, signatureKey });
    expect(await bob.groups()).toEqual([]);
  });

  test("M-JOIN-23: a Welcome whose key package is gone is an ORPHAN_WELCOME; an external join helps", async () => {
    const { bob, welcome, keyPackage, alice, world } = await invitation();
    await bob.deleteKeyPackage(keyPackage.reference);
    await expect(bob.join(welcome)).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
    const { commit, group } = await bob.joinExternally(await alice.groupInfo(), { resync: true });
    expect((await alice.process(commit, { accept: true })).kind).toBe("commit");
    await bob.acceptJoin(group.id);
    expect(group.epochAuthenticator).toEqual(alice.epochAuthenticator);
    expect(world.members).toHaveLength(2);
  });

  test("M-JOIN-24: expired lifetimes of others are reported, and refused only when strict", async () => {
    const { world, alice } = await invitation();
    world.clock.advance(100n * 86_400n);
    const options = { authenticationService: world.directory, clock: world.clock };
    for (const strictLifetimes of [false, true]) {
      const client = await Client.create({
        ...options,
        storage: memoryStorage(),
        identity: `late ${strictLifetimes}`,
        limits: { strictLifetimes },
      });
      world.directory.add(client.identity);
      const { welcomes } = await alice.commitImmediately({
        add: [(await client.createKeyPackage()).bytes],
      });
      const staging = client.stageWelcome(welcomes[0]!.bytes);
      if (strictLifetimes) await expect(staging).rejects.toMatchObject({ rule: "valn0106" });
      else expect((await staging).notices.length).toBeGreaterThan(0);
    }
  });
});

describe("joining by an external commit", () => {
  test("M-JOIN-13: accepted or rejected later, also after a restart; a rejection deletes the keys", async () => {
    for (const isAccepted of [true, false]) {
      const world = await testGroup({ members: 2 });
      const [a] = world.groups as [Group];
      const { client, storage } = await world.newClient("c");
      const { group, commit } = await client.joinExternally(await a.groupInfo());
      const { id } = group;
      const { directory, clock } = world;
      const again = await Client.open({ storage, authenticationService: directory, clock });
      const joining = await again.group(id);
      expect(joining.status).toBe("pendingJoin");
      expect(joining.joinCommit).toEqual(commit);
      if (isAccepted) {
        await world.deliver(commit);
        await again.acceptJoin(id);
        expect(joining.status).toBe("active");
        expect(joining.epochAuthenticator).toEqual(a.epochAuthenticator);
      } else {
        await again.rejectJoin(id);
        await expect(again.group(id)).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
        expect((await contents(storage)).filter((record) => /^g\d/.test(record))).toEqual([]);
      }
    }
  });

  test("M-RCV-13: the echo of an external commit that was accepted before it came is a duplicate", async () => {
    const { world, alice } = await invitation();
    const { client: dave } = await world.newClient("dave");
    const { commit, group } = await dave.joinExternally(await alice.groupInfo());
    await dave.acceptJoin(group.id);
    expect((await group.process(commit)).kind).toBe("duplicate");
  });

  test("M-JOIN-14: the tree may be brought along", async () => {
    const world = await testGroup({ members: 3 });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("d");
    const info = await a.groupInfo({ ratchetTree: false });
    await expect(client.joinExternally(info)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
    const ratchetTree = a.ratchetTree();
    const { commit } = await client.joinExternally(info, { ratchetTree });
    expect((await world.deliver(commit)).map(({ kind }) => kind)).toEqual(Array(3).fill("commit"));
  });

  test("M-JOIN-15: any number of PSKs in an external commit", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("c");
    const ids = ["x", "y", "z"].map(utf8);
    for (const each of [client, world.member(0).client, world.member(1).client]) {
      for (const id of ids) await each.putPsk(id, utf8("a shared secret"));
    }
    for (const count of [3, 1]) {
      const psks = ids.slice(0, count);
      const { group, commit } = await client.joinExternally(await a.groupInfo(), { psks });
      const [outcome] = await world.deliver(commit);
      expect(outcome?.kind === "commit" && outcome.summary.psks).toHaveLength(count);
      await client.acceptJoin(group.id);
      expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
      await world.commit(0, { remove: [group.ownLeafIndex] });
      await client.deleteGroup(group.id);
    }
  });

  test("M-JOIN-16: a resync replaces the leaf by index, signature key or identity, if the successor may", async () => {
    const world = await testGroup({ members: ["a", "b", "c"] });
    const [a] = world.groups as [Group];
    const { client } = world.member(2);
    const { signatureKey } = client.identity;
    const ways = [{ leafIndex: 2 }, { signatureKey }, { identity: "c" }, true] as const;
    for (const resync of ways) {
      const { group, commit } = await client.joinExternally(await a.groupInfo(), { resync });
      for (const at of [0, 1]) {
        const outcome = await world.member(at).group.process(commit, { accept: true });
        expect(outcome.kind).toBe("commit");
      }
      await client.acceptJoin(group.id);
      expect(group.ownLeafIndex).toBe(2);
      expect(a.memberCount).toBe(3);
    }
    // Somebody else's leaf is not ours to replace, whether we have one or not.
    const resync = { leafIndex: 1 };
    const info = await a.groupInfo();
    await expect(client.joinExternally(info, { resync })).rejects.toMatchObject({
      rule: "valn0111",
    });
    const { client: stranger } = await world.newClient("d");
    await expect(stranger.joinExternally(info, { resync })).rejects.toMatchObject({
      code: "CREDENTIAL_REJECTED",
      rule: "mk-48",
    });
    // Receivers ask as well, so that a joiner that does not care gets nowhere.
    const parties = await Parties.of(["alice", "bob"]);
    const authenticationService: AuthenticationService = {
      validate: (all) => all.map(() => true),
      isSuccessor: ({ signatureKey: x }, { signatureKey: y }) =>
        equalBytes(x, y) || { reason: "somebody else" },
    };
    const receiver = await seat(parties, await newDesk("dave", { authenticationService }));
    const removed = 1;
    const bob = parties.party("bob").bundle;
    for (const [joiner, isHim] of [
      [await newClient("mallory"), false],
      [bob, true],
    ] as const) {
      const { bytes } = await forgeExternalCommit(joiner, parties.party("alice"), {
        proposals: (init) => [init, { type: "remove", removed }],
      });
      const outcome = await receiver.process(bytes, { accept: false });
      if (isHim) expect(outcome).toMatchObject({ removals: [{ reason: "resync" }] });
      else expect(outcome).toMatchObject({ kind: "invalid", error: { rule: "mk-48" } });
    }
  });

  test("M-JOIN-12: a public Commit with a path, signed by its new leaf, makes a group that waits", async () => {
    for (const config of [{}, { handshake: { send: "private", accept: "private" } }] as const) {
      const world = await testGroup({ members: 2, config });
      const [a] = world.groups as [Group];
      const { client } = await world.newClient("c");
      const { group, commit } = await client.joinExternally(await a.groupInfo());
      expect(group.status).toBe("pendingJoin");
      expect(viewPublicCommit(commit)).toMatchObject({
        pathLeaf: { signatureKey: client.identity.signatureKey },
      });
      const decoded = decodeMlsMessage(commit);
      if (decoded.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
      expect(decoded.message.content.sender).toEqual({ type: "newMemberCommit" });
      expect(await a.process(commit, { accept: false })).toMatchObject({
        kind: "commit",
        summary: { isExternal: true, hasPath: true },
      });
      // Of the authenticators behind the content, the signature alone comes before the tag.
      const forged = commit.slice();
      forged[commit.length - 34]! ^= 1;
      expect(await a.process(forged)).toMatchObject({ error: { code: "SIGNATURE_INVALID" } });
      await world.deliver(commit);
      await client.acceptJoin(group.id);
      expect(group.status).toBe("active");
      expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
    }
  });

  test("M-JOIN-17: leaf extensions, capabilities, authenticated data and padding", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("c");
    const capabilities = {
      versions: [1],
      cipherSuites: [1],
      extensions: [0xf0f0],
      proposals: [],
      credentials: [1],
    };
    const leafExtensions = [{ type: 0xf0f0, data: utf8("leaf") }];
    const { group, commit } = await client.joinExternally(await a.groupInfo(), {
      capabilities,
      leafExtensions,
      authenticatedData: utf8("hello"),
      config: { padding: { type: "fixed", size: 300 } },
    });
    const [outcome] = await world.deliver(commit);
    expect(outcome).toMatchObject({ kind: "commit", authenticatedData: utf8("hello") });
    const joined = a.members().at(-1)!;
    expect(joined).toMatchObject({ capabilities, extensions: leafExtensions });
    await client.acceptJoin(group.id);
    expect(group.config.padding).toEqual({ type: "fixed", size: 300 });
  });

  test("M-JOIN-19: a GroupInfo is validated alone, with a given or included tree", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const { client, storage } = await world.newClient("c");
    const before = await contents(storage);
    const included = await client.checkGroupInfo(await a.groupInfo());
    expect(included.epoch.context.epoch).toBe(1n);
    const info = await a.groupInfo({ ratchetTree: false });
    await expect(client.checkGroupInfo(info)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
    const given = await client.checkGroupInfo(info, a.ratchetTree());
    expect(given.epoch.tree.memberCount).toBe(2);
    await expect(client.checkGroupInfo(flipLast(info), a.ratchetTree())).rejects.toMatchObject({
      code: "SIGNATURE_INVALID",
    });
    expect(await contents(storage)).toEqual(before);
  });

  test("M-JOIN-20: after a rejection the join is tried again with a fresh GroupInfo", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("c");
    const stale = await client.joinExternally(await a.groupInfo());
    await world.commit(1);
    expect((await a.process(stale.commit)).kind).toBe("stale");
    await client.rejectJoin(stale.group.id);
    const { group, commit } = await client.joinExternally(await a.groupInfo());
    await world.deliver(commit);
    expect((await client.process(commit)).kind).toBe("ownCommit");
    expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
  });

  test("M-JOIN-21: a GroupInfo with external key, with or without tree, with extra extensions", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const extra = { type: 0xf0f0, data: utf8("extra") };
    for (const ratchetTree of [true, false]) {
      const decoded = decodeMlsMessage(await a.groupInfo({ ratchetTree, extensions: [extra] }));
      if (decoded.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
      const { extensions, signer } = decoded.message;
      expect(signer).toBe(0);
      expect(findExtension(extensions, ExtensionType.externalPub)).toBeDefined();
      const tree = findExtension(extensions, ExtensionType.ratchetTree);
      expect(tree !== undefined).toBe(ratchetTree);
      expect(findExtension(extensions, extra.type)).toEqual(extra.data);
    }
    for (const type of [ExtensionType.ratchetTree, ExtensionType.externalPub]) {
      await expect(a.groupInfo({ extensions: [{ ...extra, type }] })).rejects.toMatchObject({
        code: "INVALID_EXTENSION",
      });
    }
  });

  test("M-JOIN-22: a group that is closed publishes no key and refuses with POLICY_REJECTED", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const { client } = await world.newClient("c");
    const { commit } = await client.joinExternally(await a.groupInfo());
    await b.configure({ externalCommits: false });
    const decoded = decodeMlsMessage(await b.groupInfo());
    if (decoded.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
    const { extensions } = decoded.message;
    expect(findExtension(extensions, ExtensionType.externalPub)).toBeUndefined();
    expect(await b.process(commit)).toMatchObject({
      kind: "invalid",
      error: { code: "POLICY_REJECTED" },
    });
  });

  test("M-JOIN-25: messages for a group being joined wait until it is entered", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const { client } = await world.newClient("c");
    const { group, commit } = await client.joinExternally(await a.groupInfo());
    await world.deliver(commit);
    const early = await a.send("welcome");
    expect(await group.process(early.bytes)).toMatchObject({ kind: "buffered", isBuffered: true });
    const outcome = await group.process(commit);
    expect(outcome).toMatchObject({
      kind: "ownCommit",
      replayed: [{ kind: "application", data: utf8("welcome") }],
    });
  });
});

describe("why a join fails", () => {
  test("M-JOIN-26: each reason has an error of its own", async () => {
    const extension = { type: 0xf0f0, data: utf8("of the group") };
    const knowing = {
      proposals: new Map(),
      credentials: new Map(),
      extensions: new Set([extension.type]),
    };
    const { bob, welcome, world, alice, storage } = await invitation({
      storage: () => faultStorage(memoryStorage()),
      types: knowing,
    });
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const decoded = decodeMlsMessage(welcome);
    if (decoded.wireFormat !== "welcome") throw new Error("a Welcome was expected");
    const { message } = decoded;
    const [entry] = message.secrets;
    const { encryptedGroupSecrets } = entry!;
    const ciphertext = flipLast(encryptedGroupSecrets.ciphertext);
    const unreadable = encodeMlsMessage({
      wireFormat: "welcome",
      message: {
        ...message,
        secrets: [
          { ...entry!, encryptedGroupSecrets: { ...encryptedGroupSecrets, ciphertext } },
          ...message.secrets.slice(1),
        ],
      },
    });
    const otherSuite = encodeMlsMessage({
      wireFormat: "welcome",
      message: { ...message, cipherSuite: 3 },
    });
    const { client: stranger } = await world.newClient("stranger");
    const info = await alice.groupInfo({ ratchetTree: false });
    const tree = alice.ratchetTree();
    const unknownSigner = info.slice();
    // The signature of 64 bytes with its header of two comes last, the signer before it.
    unknownSigner[info.length - 67] = 77;
    const check = (bytes: Uint8Array, nodes?: Uint8Array) => stranger.checkGroupInfo(bytes, nodes);
    const older = world.member(1).group.ratchetTree();
    const nodes = decode(RatchetTreeNodes, tree);
    const odd = encode(RatchetTreeNodes, [nodes[1], ...nodes.slice(1)]);
    const door = await Door.of();
    const wrongTag = await door.forgedWelcome({
      alterConfirmationTag: (tag) => tag.map((byte) => ~byte),
    });
    const ignorant = await Client.create({
      storage: memoryStorage(),
      authenticationService: world.directory,
      clock: world.clock,
      identity: "ignorant",
    });
    world.directory.add(ignorant.identity);
    const lost = await invitation({}, [utf8("psk")]);
    const late = await testGroup({ members: 1, limits: { strictLifetimes: true } });
    const { client: strict } = await late.newClient("strict");
    const expired = await late.member(0).group.groupInfo();
    late.clock.advance(100n * 86_400n);

    const failing: Record<string, () => Promise<unknown>> = {
      "no matching key package": () => stranger.join(welcome),
      "suite mismatch": () => bob.join(otherSuite),
      "HPKE open failed": () => bob.join(unreadable),
      "PSK missing": () => lost.bob.join(lost.welcome),
      "GroupInfo signature": () => check(flipLast(info), tree),
      "unknown signer": () => check(unknownSigner, tree),
      "tree missing": () => check(info),
      "tree hash": () => check(info, older),
      "tree invalid": () => check(info, odd),
      "leaf invalid": () => strict.checkGroupInfo(expired),
      "confirmation tag": () => door.client.join(wrongTag),
      "unsupported extension": async () => {
        await alice.commitImmediately({ extensions: [extension] });
        await ignorant.joinExternally(await alice.groupInfo());
      },
      storage: () => {
        storage.plan.failWrite = storage.writes + 1;
        return bob.join(welcome);
      },
      "group exists": async () => {
        await bob.join(welcome);
        const again = (await bob.createKeyPackage()).bytes;
        await alice.commitImmediately({ remove: [2] });
        const { welcomes } = await alice.commitImmediately({ add: [again] });
        await bob.join(welcomes[0]!.bytes);
      },
    };
    const errors = new Map<string, string>();
    for (const [reason, action] of Object.entries(failing)) {
      const [result] = await Promise.allSettled([action()]);
      if (result?.status !== "rejected") throw new Error(`${reason} is no reason to fail`);
      const error: unknown = result.reason;
      if (!MlsError.is(error)) throw error;
      errors.set(reason, `${error.code} ${error.rule}`);
    }
    expect(new Set(errors.values()).size, [...errors].join("; ")).toBe(errors.size);
    expect(errors.get("storage")).toMatch(/^STORAGE_FAILED/);
    expect(errors.get("group exists")).toMatch(/^GROUP_EXISTS/);
    expect(errors.get("unsupported extension")).toMatch(/^UNSUPPORTED_EXTENSION/);
  });
});

test("M-JOIN-18: SelfRemove proposals that come with the GroupInfo are committed by reference", async () => {
  const world = await testGroup({
    members: 3,
    types: { proposals: new Map([[SELF_REMOVE, selfRemoveType]]) },
    config: { handshake: { send: "public", accept: "both" } },
  });
  const [a, b, c] = world.groups as [Group, Group, Group];
  const { bytes } = await c.propose(selfRemove());
  for (const group of [a, b]) await group.process(bytes, { accept: true });
  const { client } = await world.newClient("d");
  const { commit } = await client.joinExternally(await a.groupInfo(), {
    pendingProposals: [bytes],
  });
  const outcome = await a.process(commit, { accept: true });
  expect(outcome.kind === "commit" && outcome.summary.removed).toMatchObject([{ leafIndex: 2 }]);
});
