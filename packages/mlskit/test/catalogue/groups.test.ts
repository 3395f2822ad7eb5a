/** Catalogue M-GRP: making groups and configuring them. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import {
  DEFAULT_CONFIG,
  ExternalSenders,
  ExtensionType,
  type Group,
  makeExtension,
  memoryStorage,
  MlsError,
  type Padding,
  readExtension,
  RequiredCapabilities,
  type Storage,
} from "../../src/index.ts";
import { FaultStorage, faultStorage, testGroup } from "../../src/testing/index.ts";
import { decode, decodeMlsMessage, findExtension, GroupContext } from "../../src/wire.ts";
import { accessOf } from "../../src/client/group.ts";
import { contents } from "../support/forge-join.ts";

const required = makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, {
  extensionTypes: [],
  proposalTypes: [],
  credentialTypes: [1],
});

const own = (group: Group) => group.members().find(({ isOwn }) => isOwn)!;

async function kinds(group: Group, messages: readonly Uint8Array[]): Promise<string[]> {
  const found: string[] = [];
  for (const bytes of messages) found.push((await group.process(bytes, { accept: true })).kind);
  return found;
}

describe("groups", () => {
  test("M-GRP-01: a new group has one member, epoch 0, a random id of KDF.Nh bytes, and is stored", async () => {
    const cases = [
      [1, 32],
      [7, 48],
      [5, 64],
    ] as const;
    for (const [cipherSuite, size] of cases) {
      const world = await testGroup({
        members: 1,
        cipherSuite,
        storage: () => faultStorage(memoryStorage()),
      });
      const { group, client, storage } = world.member(0);
      if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
      expect([group.epoch, group.memberCount, group.ownLeafIndex]).toEqual([0n, 1, 0]);
      const other = await client.createGroup();
      expect([group.id.length, other.id.length]).toEqual([size, size]);
      expect(other.id).not.toEqual(group.id);
      const again = (await world.reopen(0, storage)).group;
      expect([again.status, again.id, again.epoch]).toEqual(["active", group.id, 0n]);
      await again.commitImmediately();
      expect([again.id, again.epoch]).toEqual([group.id, 1n]);
      storage.plan.failWrite = storage.writes + 1;
      await expect(world.member(0).client.createGroup()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
      });
      expect(await world.member(0).client.groups()).toHaveLength(2);
    }
  });

  test("M-GRP-18: calls of a group take turns, other groups go on, and a failure passes the turn on", async () => {
    const inner = memoryStorage();
    let stuck: Promise<void> | undefined;
    const storage: Storage = {
      get: (key) => inner.get(key),
      list: (prefix) => inner.list(prefix),
      write: async (batch) => {
        const wait = stuck;
        stuck = undefined;
        await wait;
        await inner.write(batch);
      },
      close: () => inner.close(),
    };
    const { client } = (await testGroup({ members: 1, storage: () => storage })).member(0);
    const [first, second] = [await client.createGroup(), await client.createGroup()];
    // Generations are reserved ahead, so a Commit is what writes for certain.
    let fail: () => void = () => undefined;
    stuck = new Promise((_, reject) => {
      fail = () => reject(new Error("the disk is gone"));
    });
    const order: string[] = [];
    const note = (name: string, call: Promise<unknown>): Promise<number> =>
      call.then(
        () => order.push(name),
        (error: unknown) => order.push(`${name} ${MlsError.is(error) ? error.code : "?"}`),
      );
    const calls = [
      note("update", first.update()),
      note("refused", first.acceptCommit()),
      note("commit", first.commit()),
      note("pending", first.proposeUpdate()),
      note("accept", first.acceptCommit()),
      note("send", first.send("in the next epoch")),
    ];
    await second.commitImmediately();
    expect([second.epoch, order]).toEqual([1n, []]);
    fail();
    await Promise.all(calls);
    expect(order).toEqual([
      "update STORAGE_FAILED",
      "refused NO_PENDING_COMMIT",
      "commit",
      "pending PENDING_COMMIT",
      "accept",
      "send",
    ]);
    expect(first.epoch).toBe(1n);
  });

  test("M-GRP-02: a given id, GROUP_EXISTS, and replacing an inactive group by a flag", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(1);
    const groupId = utf8("my group");
    const mine = await client.createGroup({ groupId });
    expect(mine.id).toEqual(groupId);
    await expect(client.createGroup({ groupId })).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    await expect(client.createGroup({ groupId, replace: true })).rejects.toMatchObject({
      code: "GROUP_EXISTS",
    });
    await world.commit(0, { remove: [1] });
    expect(group.status).toBe("inactive");
    const { id } = group;
    await expect(client.createGroup({ groupId: id })).rejects.toMatchObject({
      code: "GROUP_EXISTS",
    });
    const fresh = await client.createGroup({ groupId: id, replace: true });
    expect(fresh.status).toBe("active");
    expect((await client.group(id)).memberCount).toBe(1);
  });

  test("M-GRP-03: the first epoch is random and its transcript begins with a real tag", async () => {
    const world = await testGroup({ members: 1 });
    const { client } = world.member(0);
    const groupId = utf8("the same id");
    const a = await client.createGroup({ groupId });
    const secret = a.epochAuthenticator;
    const { confirmationTag } = a;
    expect(confirmationTag.length).toBe(32);
    expect(confirmationTag.some((byte) => byte !== 0)).toBe(true);
    await client.deleteGroup(groupId);
    const b = await client.createGroup({ groupId });
    expect(b.epochAuthenticator).not.toEqual(secret);
    expect(b.confirmationTag).not.toEqual(confirmationTag);
    // Members that come in later compute the same transcript from it.
    const { client: bob } = await world.newClient("bob");
    await b.add([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await b.acceptCommit();
    const joined = await bob.join(welcomes[0]!.bytes);
    expect(joined.confirmedTranscriptHash).toEqual(b.confirmedTranscriptHash);
    const update = await joined.update();
    expect((await b.process(update.commit, { accept: true })).kind).toBe("commit");
  });

  test("M-GRP-04: extensions of the context at creation, which the creator must support", async () => {
    const types = { extensions: new Set([0xf0f0]), proposals: new Map(), credentials: new Map() };
    const world = await testGroup({ members: 1, types });
    const { client } = world.member(0);
    const senders = makeExtension(ExtensionType.externalSenders, ExternalSenders, [
      client.identity,
    ]);
    const extensions = [required, senders, { type: 0xf0f0, data: utf8("known to us") }];
    const group = await client.createGroup({ extensions });
    expect(group.extensions).toEqual(extensions);
    const unknown = [{ type: 0xf0f1, data: utf8("?") }];
    await expect(client.createGroup({ extensions: unknown })).rejects.toMatchObject({
      code: "INVALID_EXTENSION",
    });
    const demanding = makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, {
      extensionTypes: [0xf0f1],
      proposalTypes: [],
      credentialTypes: [],
    });
    await expect(client.createGroup({ extensions: [demanding] })).rejects.toMatchObject({
      code: "INVALID_EXTENSION",
    });
  });

  test("M-GRP-05: the creator chooses capabilities, extensions, lifetime and credential", async () => {
    const world = await testGroup({ members: 1 });
    const { client } = world.member(0);
    const identity = await client.addIdentity({ identity: "another name" });
    world.directory.add(identity);
    const now = world.clock();
    const lifetime = { notBefore: now, notAfter: now + 1000n };
    const capabilities = {
      versions: [1],
      cipherSuites: [1],
      extensions: [0xf0f0],
      proposals: [],
      credentials: [1],
    };
    const leafExtensions = [{ type: 0xf0f0, data: utf8("leaf") }];
    const group = await client.createGroup({
      identity,
      leaf: { lifetime, capabilities, leafExtensions },
    });
    expect(own(group)).toMatchObject({
      credential: { type: "basic", identity: utf8("another name") },
      capabilities,
      extensions: leafExtensions,
    });
    const info = await client.checkGroupInfo(await group.groupInfo());
    const leaf = [...info.epoch.tree.members()][0]![1];
    expect(leaf.origin).toEqual({ source: "keyPackage", lifetime });
  });

  test("M-GRP-06: a group from an own key package, which is consumed", async () => {
    const { client } = (await testGroup({ members: 1 })).member(0);
    const { reference, bytes } = await client.createKeyPackage();
    const group = await client.createGroup({ keyPackage: reference });
    const decoded = decodeMlsMessage(bytes);
    if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
    expect(own(group).encryptionKey).toEqual(decoded.message.leafNode.encryptionKey);
    expect(await client.keyPackages()).toEqual([]);
    await expect(client.createGroup({ keyPackage: reference })).rejects.toMatchObject({
      code: "NO_MATCHING_KEY_PACKAGE",
    });
    await group.update();
    expect((await group.acceptCommit()).epoch).toBe(1n);
  });

  test("M-GRP-07: one configuration serves many groups, and agreed values are kept apart", async () => {
    const config = { pastEpochs: 1, padding: { type: "none" } } as const;
    const world = await testGroup({ members: 2, config });
    const { client } = world.member(0);
    const groups = [await client.createGroup(), await client.createGroup()];
    for (const group of groups) expect(group.config).toEqual({ ...DEFAULT_CONFIG, ...config });
    await groups[0]!.configure({ pastEpochs: 7 });
    expect(groups[1]!.config.pastEpochs).toBe(1);
    // Local values are no business of the others; agreed ones are the same for all.
    await world.member(0).group.configure({ pastEpochs: 5 });
    expect(world.member(1).group.config.pastEpochs).toBe(1);
    await world.commit(0, { extensions: [required] });
    expect(world.member(1).group.extensions).toEqual([required]);
    world.assertAgreement();
  });

  test("M-GRP-08: four policies for handshake messages, INCOMPATIBLE_WIRE_FORMAT, private data", async () => {
    expect(DEFAULT_CONFIG.handshake).toEqual({ send: "private", accept: "both" });
    for (const send of ["private", "public"] as const) {
      for (const accept of [send, "both"] as const) {
        const world = await testGroup({ members: 2, config: { handshake: { send, accept } } });
        const [a, b] = world.groups as [Group, Group];
        const { bytes } = await a.proposeUpdate();
        expect(decodeMlsMessage(bytes).wireFormat).toBe(`${send}Message`);
        expect(decodeMlsMessage((await b.send("x")).bytes).wireFormat).toBe("privateMessage");
        const other = send === "private" ? "public" : "private";
        await a.configure({ handshake: { send: other, accept: "both" } });
        const outcome = await b.process((await a.proposeUpdate()).bytes);
        if (accept === "both") expect(outcome.kind).toBe("proposal");
        else {
          expect(outcome).toMatchObject({ error: { code: "INCOMPATIBLE_WIRE_FORMAT" } });
        }
        await a.dropAllProposals();
        // New members are exempt: what they send is public.
        const { client } = await world.newClient("outside");
        const { commit } = await client.joinExternally(await a.groupInfo());
        expect((await b.process(commit)).kind).toBe("commit");
      }
    }
  });

  test("M-GRP-09: padding is padme with a floor of 128 bytes, or what was configured", async () => {
    expect(DEFAULT_CONFIG.padding).toEqual({ type: "padme", floor: 128 });
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const lengths = async (sizes: readonly number[]): Promise<Set<number>> => {
      const found = new Set<number>();
      for (const size of sizes) found.add((await group.send(new Uint8Array(size))).bytes.length);
      return found;
    };
    expect((await lengths([0, 1, 20])).size).toBe(1);
    expect((await lengths([1000, 1001, 1010])).size).toBe(1);
    const paddings: readonly Padding[] = [
      { type: "multiple", size: 256 },
      { type: "fixed", size: 512 },
      { type: "steps", sizes: [256, 1024] },
    ];
    for (const padding of paddings) {
      await group.configure({ padding });
      expect((await lengths([0, 1, 20])).size).toBe(1);
    }
    await group.configure({ padding: { type: "none" } });
    expect((await lengths([0, 1, 20])).size).toBe(3);
  });

  test("M-GRP-10: three past epochs for at most seven days, or none", async () => {
    expect(DEFAULT_CONFIG).toMatchObject({ pastEpochs: 3, pastEpochLifetime: 7 * 86_400 });
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const late: Uint8Array[] = [];
    for (let i = 0; i < 5; i++) {
      late.push((await a.send(`epoch ${i}`)).bytes, (await a.send("again")).bytes);
      if (i < 4) await world.commit(0);
    }
    const firsts = late.filter((_, i) => i % 2 === 0);
    const app = "application";
    expect(await kinds(b, firsts)).toEqual(["epochTooOld", app, app, app, app]);
    world.clock.advance(7 * 86_400 + 1);
    await world.commit(0);
    expect(await kinds(b, [late[7]!])).toEqual(["epochTooOld"]);
    await b.configure({ pastEpochs: 0 });
    const last = (await a.send("x")).bytes;
    await world.commit(0);
    expect(await kinds(b, [last])).toEqual(["epochTooOld"]);
  });

  test("M-GRP-11: eight past resumption PSKs are kept, or as many as configured", async () => {
    expect(DEFAULT_CONFIG.resumptionPsks).toBe(8);
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    for (let i = 0; i < 10; i++) await group.commitImmediately();
    const uses = (epoch: bigint) => group.commit({ resumptionPsks: [{ epoch }] });
    await expect(uses(1n)).rejects.toMatchObject({ code: "MISSING_PSK" });
    await expect(uses(2n)).resolves.toBeDefined();
    await group.discardCommit();
    await group.configure({ resumptionPsks: 2 });
    await expect(uses(7n)).rejects.toMatchObject({ code: "MISSING_PSK" });
    await expect(uses(8n)).resolves.toBeDefined();
  });

  test("M-GRP-12: the tree goes with Welcome and GroupInfo unless it is switched off", async () => {
    expect(DEFAULT_CONFIG.ratchetTree).toBe(true);
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const hasTree = async (): Promise<boolean> => {
      const decoded = decodeMlsMessage(await group.groupInfo());
      if (decoded.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
      return findExtension(decoded.message.extensions, ExtensionType.ratchetTree) !== undefined;
    };
    expect(await hasTree()).toBe(true);
    await group.configure({ ratchetTree: false });
    expect(await hasTree()).toBe(false);
    const { client } = await world.newClient("b");
    await group.add([(await client.createKeyPackage()).bytes]);
    const { welcomes, ratchetTree } = await group.acceptCommit();
    const welcome = welcomes[0]!.bytes;
    await expect(client.join(welcome)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
    expect((await client.join(welcome, { ratchetTree })).memberCount).toBe(2);
  });

  test("M-GRP-13: the window: 32 skipped keys per ratchet, 4096 per group, 1000 ahead", async () => {
    expect(DEFAULT_CONFIG).toMatchObject({
      outOfOrderTolerance: 32,
      maximumSkippedKeys: 4096,
      maximumForwardDistance: 1000,
    });
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const sent = (await a.sendMany(Array.from({ length: 1100 }, () => "x"))).map(
      ({ bytes }) => bytes,
    );
    expect(await kinds(b, [sent[1001]!])).toEqual(["generationTooFar"]);
    expect(await kinds(b, [sent[40]!, sent[8]!, sent[7]!])).toEqual([
      "application",
      "application",
      "generationTooOld",
    ]);
    await b.configure({ outOfOrderTolerance: 2, maximumForwardDistance: 10 });
    expect(await kinds(b, [sent[60]!, sent[50]!, sent[49]!, sent[48]!, sent[47]!])).toEqual([
      "generationTooFar",
      "application",
      "application",
      "application",
      "generationTooOld",
    ]);
  });

  test("M-GRP-13: 4096 skipped keys in a group, or as many as configured, whoever sent them", async () => {
    // 33 senders: 128 ratchets of 32 would be needed to fill the default, so that more are allowed in each.
    for (const [maximumSkippedKeys, senders, skipped] of [
      [undefined, 5, 1000],
      [10, 3, 6],
    ] as const) {
      const config = {
        outOfOrderTolerance: 1000,
        maximumForwardDistance: 1000,
        ...(maximumSkippedKeys === undefined ? {} : { maximumSkippedKeys }),
      };
      const world = await testGroup({ members: senders + 1, config });
      const [receiver, ...others] = world.groups as [Group, ...Group[]];
      const limit = maximumSkippedKeys ?? 4096;
      expect(receiver.config.maximumSkippedKeys).toBe(limit);
      const kept = () => accessOf(receiver).peek().epoch.secretTree.skippedKeyCount;
      const early: Uint8Array[][] = [];
      for (const [i, group] of others.entries()) {
        const texts = Array.from({ length: skipped + 1 }, () => "x");
        const sent = (await group.sendMany(texts)).map(({ bytes }) => bytes);
        early.push(sent.slice(0, -1));
        expect(await kinds(receiver, [sent.at(-1)!])).toEqual(["application"]);
        expect(kept()).toBe(Math.min(limit, (i + 1) * skipped));
      }
      // What there was no room for is lost, and only that.
      const outcomes = await kinds(receiver, early.flat());
      const read = outcomes.filter((kind) => kind === "application").length;
      const lost = outcomes.filter((kind) => kind === "generationTooOld").length;
      expect([read, lost]).toEqual([limit, others.length * skipped - limit]);
      expect(kept()).toBe(0);
    }
  });

  test("M-GRP-14: settings change later and are stored; a narrower window drops the oldest only", async () => {
    const world = await testGroup({ members: 2 });
    const [a] = world.groups as [Group];
    const sent = (await a.sendMany(Array.from({ length: 11 }, () => "x"))).map(
      ({ bytes }) => bytes,
    );
    const { group, storage } = world.member(1);
    await group.process(sent[10]!);
    await group.configure({ outOfOrderTolerance: 3, padding: { type: "fixed", size: 300 } });
    const { group: again } = await world.reopen(1, storage);
    expect(again.config).toMatchObject({
      outOfOrderTolerance: 3,
      padding: { type: "fixed", size: 300 },
    });
    expect(await kinds(again, [sent[6]!, sent[7]!, sent[8]!, sent[9]!])).toEqual([
      "generationTooOld",
      "application",
      "application",
      "application",
    ]);
  });

  test("M-GRP-14 M-SEC-05: a smaller buffer drops the oldest early messages at once, and says so", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const { commit } = await a.commitImmediately();
    const early = (await a.sendMany(["1", "2", "3", "4"])).map(({ bytes }) => bytes);
    await kinds(b, early);
    const dropped: string[] = [];
    world.member(1).client.on(({ type }) => dropped.push(type));
    const buffered = () => [...accessOf(b).peek().buffer.values()].map(({ bytes }) => bytes);
    await b.configure({ bufferedMessages: 3 });
    expect(buffered()).toEqual(early.slice(1));
    await b.configure({ bufferedBytes: 2 * early[2]!.length });
    expect(buffered()).toEqual(early.slice(2));
    expect(dropped).toEqual(["bufferFull", "bufferFull"]);
    world.clock.advance(100);
    await b.configure({ bufferedSeconds: 50 });
    expect(buffered()).toEqual([]);
    const again = (await world.reopen(1, world.member(1).storage)).group;
    expect(accessOf(again).peek().buffer.size).toBe(0);
    expect(await again.process(commit, { accept: true })).toMatchObject({ replayed: [] });
  });

  test("M-GRP-15: required capabilities and external senders have typed helpers, also later", async () => {
    const world = await testGroup({ members: 2, extensions: [required] });
    const [a, b] = world.groups as [Group, Group];
    const type = ExtensionType.requiredCapabilities;
    expect(readExtension(b.extensions, type, RequiredCapabilities)).toMatchObject({
      credentialTypes: [1],
    });
    const sender = world.member(0).client.identity;
    const senders = makeExtension(ExtensionType.externalSenders, ExternalSenders, [sender]);
    await world.commit(0, { setExtension: senders });
    const read = readExtension(b.extensions, ExtensionType.externalSenders, ExternalSenders);
    expect(read).toMatchObject([{ signatureKey: sender.signatureKey }]);
    expect(readExtension(a.extensions, type, RequiredCapabilities)).toBeDefined();
  });

  test("M-GRP-16: everything public about a group can be read", async () => {
    const world = await testGroup({ members: 2, extensions: [required] });
    const { group } = world.member(0);
    expect(group.id.length).toBe(32);
    expect([group.epoch, group.cipherSuite, group.version]).toEqual([1n, 1, 1]);
    expect(group.ownLeafIndex).toBe(0);
    expect(own(group).leafIndex).toBe(0);
    expect(group.members()).toHaveLength(2);
    const context = decode(GroupContext, group.contextBytes);
    expect(context).toMatchObject({ groupId: group.id, epoch: 1n, treeHash: group.treeHash });
    expect(context.confirmedTranscriptHash).toEqual(group.confirmedTranscriptHash);
    expect(group.extensions).toEqual([required]);
    expect(group.confirmationTag.length).toBe(32);
    expect(group.pendingCommit).toBeUndefined();
    await group.proposeUpdate();
    expect(group.pendingProposals).toHaveLength(1);
    const { commit } = await group.update();
    expect(group.pendingCommit).toMatchObject({ commit, epoch: 2n });
    expect(group.status).toBe("pendingCommit");
  });

  test("M-GRP-17: five states, stored, and named by the error of a forbidden call", async () => {
    const world = await testGroup({ members: 3 });
    const reopen = async (at: number): Promise<Group> =>
      (await world.reopen(at, world.member(at).storage)).group;
    expect((await reopen(0)).status).toBe("active");
    await world.member(0).group.update();
    const pending = await reopen(0);
    expect(pending.status).toBe("pendingCommit");
    await expect(pending.update()).rejects.toMatchObject({ code: "PENDING_COMMIT" });
    await expect(pending.proposeUpdate()).rejects.toMatchObject({ code: "PENDING_COMMIT" });
    await expect(pending.send("allowed")).resolves.toBeDefined();
    await pending.discardCommit();
    const { client } = await world.newClient("d");
    const { group: joining } = await client.joinExternally(await pending.groupInfo());
    expect(joining.status).toBe("pendingJoin");
    await expect(joining.send("x")).rejects.toMatchObject({ code: "PENDING_JOIN" });
    expect(() => joining.export("x", utf8(""), 16)).toThrow(
      expect.objectContaining({ code: "PENDING_JOIN" }),
    );
    await world.commit(0, { remove: [2] });
    const gone = await reopen(2);
    expect(gone.status).toBe("inactive");
    await expect(gone.commit()).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };
    const { commit } = await pending.commit({ reInit });
    await world.member(1).group.process(commit, { accept: true });
    const suspended = await reopen(1);
    expect(suspended.status).toBe("suspended");
    await expect(suspended.send("x")).rejects.toMatchObject({ code: "GROUP_SUSPENDED" });
    expect(suspended.export("x", utf8(""), 16).length).toBe(16);
  });

  test("M-GRP-20: groups are listed, loaded and deleted with all their secrets in one write", async () => {
    const world = await testGroup({
      members: 2,
      storage: () => faultStorage(memoryStorage()),
    });
    const { client, group, storage } = world.member(1);
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const second = await client.createGroup();
    await world.commit(0);
    await group.update();
    const listed = (await client.groups()).map(({ id }) => toHex(id));
    expect(new Set(listed)).toEqual(new Set([toHex(group.id), toHex(second.id)]));
    const { id } = group;
    expect((await client.group(id)).epoch).toBe(2n);
    storage.plan.failWrite = storage.writes + 1;
    await expect(client.deleteGroup(id)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect((await client.group(id)).status).toBe("pendingCommit");
    const writes = storage.writes;
    await client.deleteGroup(id);
    expect(storage.writes - writes).toBe(1);
    const left = (await contents(storage)).filter((record) => record.startsWith("g0/"));
    expect(left).toEqual([]);
    expect(await client.groups()).toHaveLength(1);
  });

  test("M-GRP-21: a group and its first members in one call, staged like any Commit", async () => {
    const world = await testGroup({ members: 1 });
    const { client: alice } = world.member(0);
    const { client: bob } = await world.newClient("bob");
    const invited = [(await bob.createKeyPackage()).bytes];
    const { group, pending } = await alice.createGroupWith(invited);
    expect(group.status).toBe("pendingCommit");
    expect(group.epoch).toBe(0n);
    expect(pending.summary.added).toHaveLength(1);
    const { welcomes } = await group.acceptCommit();
    expect((await bob.join(welcomes[0]!.bytes)).epochAuthenticator).toEqual(
      group.epochAuthenticator,
    );
  });
});
