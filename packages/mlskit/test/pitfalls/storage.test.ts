/** What went wrong elsewhere with state that has to outlive a process. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { retire } from "../../src/group/past-epoch.ts";
import {
  Client,
  type CommitRequest,
  type Group,
  memoryStorage,
  type Storage,
} from "../../src/index.ts";
import { type TestGroup as World, testGroup } from "../../src/testing/index.ts";
import { contents } from "../support/forge-join.ts";
import { TestGroup } from "../support/test-group.ts";

/** Member 0 of a group of three, in a new client over the same records. */
async function restart(world: World, index = 0): Promise<Group> {
  const { storage } = world.member(index);
  const copy = memoryStorage();
  const puts = [...(await storage.list(""))].map(({ key, value }) => ({ key, value }));
  await copy.write({ puts, deletes: [], expect: [] });
  return (await world.reopen(index, copy)).group;
}

describe("sto-2 what survives a restart", () => {
  test("the signer, and with it the group", async () => {
    const world = await testGroup({ members: 3 });
    const before = world.member(0).client.identity.signatureKey;
    await restart(world);
    expect(toHex(world.member(0).client.identity.signatureKey)).toBe(toHex(before));
    await world.commit(0);
    world.assertAgreement();
  });

  test("key packages with their private keys", async () => {
    const world = await testGroup({ members: 3 });
    const { client, storage } = await world.newClient("dave");
    const { bytes } = await client.createKeyPackage();
    const again = await Client.open({
      storage,
      authenticationService: world.directory,
      clock: world.clock,
    });
    expect(await again.keyPackages()).toHaveLength(1);
    const { welcomes } = await world.commit(0, { add: [bytes] });
    const group = await again.join(welcomes[0]!.bytes);
    expect(toHex(group.epochAuthenticator)).toBe(toHex(world.groups[0]!.epochAuthenticator));
  });

  test("a pending Commit, with its Welcomes", async () => {
    const world = await testGroup({ members: 3 });
    const { client } = await world.newClient("dave");
    const { bytes } = await client.createKeyPackage();
    const made = await world.member(0).group.add([bytes]);
    const group = await restart(world);
    expect(toHex(group.pendingCommit!.commit)).toBe(toHex(made.commit));
    await world.deliver(made.commit, 0);
    for (const other of world.groups.slice(1)) await other.process(made.commit, { accept: true });
    const { welcomes } = await group.acceptCommit();
    await client.join(welcomes[0]!.bytes);
    world.assertAgreement();
  });

  test("our proposals with their references, and the keys of a pending Update", async () => {
    const world = await testGroup({ members: 3 });
    const update = await world.member(0).group.proposeUpdate();
    const removal = await world.member(0).group.proposeRemove(2);
    const group = await restart(world);
    const references = group.pendingProposals.map(({ reference }) => toHex(reference));
    expect(references).toEqual([update, removal].map(({ reference }) => toHex(reference)));
    for (const { bytes } of [update, removal]) {
      await world.member(1).group.process(bytes, { accept: true });
    }
    const { commit } = await world.member(1).group.commit();
    expect((await group.process(commit, { accept: true })).kind).toBe("commit");
    await world.member(1).group.acceptCommit();
    world.forget(2);
    world.assertAgreement();
    await world.commit(0);
    world.assertAgreement();
  });

  test("the private keys of our path", async () => {
    const world = await testGroup({ members: 4 });
    for (const by of [0, 1, 2, 3]) await world.commit(by);
    await restart(world, 2);
    // Encrypted to parents that the third member has in common with others.
    for (const by of [3, 1, 0]) await world.commit(by);
    world.assertAgreement();
  });

  test("keys of skipped messages, and which were used", async () => {
    const world = await testGroup({ members: 3 });
    const sent = await world.member(1).group.sendMany(["0", "1", "2", "3"]);
    await world.member(0).group.process(sent[3]!.bytes);
    await world.member(0).group.process(sent[1]!.bytes);
    const group = await restart(world);
    const kinds: string[] = [];
    for (const { bytes } of sent) kinds.push((await group.process(bytes)).kind);
    expect(kinds).toEqual(["application", "duplicate", "application", "duplicate"]);
  });

  test("which handshake messages took effect", async () => {
    const world = await testGroup({ members: 3 });
    const { bytes } = await world.member(1).group.proposeRemove(2);
    await world.member(0).group.process(bytes, { accept: true });
    const group = await restart(world);
    expect((await group.process(bytes, { accept: true })).kind).toBe("duplicate");
  });

  test("messages that came too early", async () => {
    const world = await testGroup({ members: 3 });
    const { commit } = await world.member(1).group.commit();
    await world.member(1).group.acceptCommit();
    const { bytes } = await world.member(1).group.send("early");
    expect((await world.member(0).group.process(bytes)).kind).toBe("future");
    const group = await restart(world);
    const outcome = await group.process(commit, { accept: true });
    expect(outcome).toMatchObject({ replayed: [{ kind: "application", data: utf8("early") }] });
  });

  test("past epochs and their keys", async () => {
    const world = await testGroup({ members: 3 });
    const { bytes } = await world.member(1).group.send("late");
    await world.commit(2);
    const group = await restart(world);
    const outcome = await group.process(bytes);
    expect(outcome).toMatchObject({ kind: "application", data: utf8("late") });
  });

  test("PSKs, external ones and those of resumption", async () => {
    const world = await testGroup({ members: 3 });
    for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
    await world.commit(1);
    await restart(world);
    await world.commit(1, { psks: [utf8("id")], resumptionPsks: [{ epoch: 1n }] });
    world.assertAgreement();
  });

  test("how a group ended: removed, or closed by a ReInit", async () => {
    const world = await testGroup({ members: 3 });
    await world.commit(1, { remove: [2] });
    expect((await restart(world, 2)).status).toBe("inactive");
    world.forget(2);
    await world.commit(1, { reInit: reInitOf("the successor") });
    const group = await restart(world);
    expect(group.status).toBe("suspended");
    await expect(group.send("no")).rejects.toMatchObject({ code: "GROUP_SUSPENDED" });
  });
});

function reInitOf(name: string): NonNullable<CommitRequest["reInit"]> {
  return { groupId: utf8(name), version: 1, cipherSuite: 1, extensions: [] };
}

describe("sto-9 configuration is data", () => {
  test("it is stored with the group, and comes back without being given again", async () => {
    const config = { pastEpochs: 1, padding: { type: "fixed", size: 512 } } as const;
    const world = await testGroup({ members: 3, config });
    await world.member(0).group.configure({ maximumForwardDistance: 77 });
    const { storage } = world.member(0);
    const group = await restart(world);
    expect(group.config).toMatchObject({ ...config, maximumForwardDistance: 77 });
    // What is stored can be written as JSON: there is no function in it.
    expect(JSON.parse(JSON.stringify(group.config))).toEqual(group.config);
    const stored = (await storage.list("")).map(({ value }) => new TextDecoder().decode(value));
    expect(stored.some((text) => text.includes('"maximumForwardDistance":77'))).toBe(true);
  });

  test("functions are those given when the client is opened", async () => {
    const asked: string[] = [];
    const policy = (name: string) => ({
      reviewProposal: () => {
        asked.push(name);
        return true as const;
      },
    });
    const world = await testGroup({ members: 3, policy: policy("first") });
    const { storage, group } = world.member(0);
    const client = await Client.open({
      storage,
      authenticationService: world.directory,
      clock: world.clock,
      policy: policy("second"),
    });
    const { bytes } = await world.member(1).group.proposeRemove(2);
    asked.length = 0;
    await (await client.group(group.id)).process(bytes);
    expect(asked).toEqual(["second"]);
  });
});

describe("past-4 what is kept of a past epoch", () => {
  test("is its sender-data secret, its ratchets and who sat where, in memory", async () => {
    const { epoch } = (await TestGroup.of(["alice", "bob", "carol"])).party("alice");
    const past = retire(epoch, 0n);
    expect(Object.keys(past).sort()).toEqual([
      "context",
      "contextBytes",
      "crypto",
      "endedAt",
      "member",
      "ownLeaf",
      "secretTree",
      "senderDataSecret",
    ]);
    expect(Object.keys(past.context).sort()).toEqual(["epoch", "extensions", "groupId"]);
  });

  test("is no second tree in the store: its size does not follow that of the group", async () => {
    const sizeOf = async (members: number): Promise<number> => {
      const world = await testGroup({ members });
      await world.commit(1);
      const { storage, group } = world.member(0);
      const own = await recordsOf(storage, new RegExp(`^g\\d+/x${group.epoch - 1n}$`));
      expect(own).toHaveLength(1);
      return own[0]!.length / 2;
    };
    const [small, large] = [await sizeOf(3), await sizeOf(24)];
    expect(large).toBeLessThan(1.2 * small + 50);
  });

  test("is none of its other secrets", async () => {
    const world = await testGroup({ members: 3 });
    const { group, storage } = world.member(0);
    const exported = [group.epochAuthenticator, group.dangerouslyExportResumptionPsk()];
    const before = exported.map(toHex);
    await world.commit(1);
    const late = await recordsOf(storage, /^g\d+\/[xnr]/);
    for (const secret of before) expect(late.join(" ")).not.toContain(secret);
    expect((await contents(storage)).join(" ")).toContain(before[1]);
  });
});

async function recordsOf(storage: Storage, keys: RegExp): Promise<readonly string[]> {
  const records = (await storage.list("")).filter(({ key }) => keys.test(key));
  return records.map(({ value }) => toHex(value));
}
