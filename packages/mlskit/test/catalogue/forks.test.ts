/** Catalogue M-FRK: telling that a group has split, and becoming one group again. */
import { describe, expect, test } from "vitest";
import {
  addAgain,
  compareBeacon,
  compareGroupInfo,
  createBeacon,
} from "../../src/production/index.ts";
import { utf8 } from "../../src/codec/index.ts";
import {
  Client,
  type ClientEvent,
  ExtensionType,
  type Group,
  makeExtension,
  type Member,
  RequiredCapabilities,
} from "../../src/index.ts";
import { assertAgreement, broadcast, type TestGroup, testGroup } from "../../src/testing/index.ts";

type Forked = Extract<ClientEvent, { type: "forkSuspected" }>;

function suspicions(world: TestGroup, index: number): Forked[] {
  const found: Forked[] = [];
  world.member(index).client.on((event) => {
    if (event.type === "forkSuspected") found.push(event);
  });
  return found;
}

/** Members 0 and 1 follow one Commit, members 2 and 3 another of the same epoch. */
async function split(options: Parameters<typeof testGroup>[0] = {}): Promise<TestGroup> {
  const world = await testGroup({ members: 4, ...options });
  const [a, b, c, d] = world.groups as [Group, Group, Group, Group];
  const [left, right] = [await a.update(), await c.update()];
  await b.process(left.commit, { accept: true });
  await d.process(right.commit, { accept: true });
  await a.acceptCommit();
  await c.acceptCommit();
  return world;
}

describe("detecting a fork", () => {
  test("M-FRK-01: a signed beacon of the other branch raises forkSuspected, with both values", async () => {
    const world = await split();
    const [a, b, c] = world.groups as [Group, Group, Group];
    const found = suspicions(world, 0);
    expect(await compareBeacon(a, await createBeacon(b))).toMatchObject({ result: "equal" });
    expect(found).toEqual([]);
    const beacon = await createBeacon(c);
    const comparison = await compareBeacon(a, beacon);
    expect(comparison).toMatchObject({ result: "different", leafIndex: 2, epoch: 2n });
    expect(comparison.ours).not.toEqual(comparison.theirs);
    const { ours, theirs } = comparison;
    const fingerprints = { ours, theirs };
    expect(found).toMatchObject([{ evidence: "beacon", groupId: a.id, epoch: 2n, fingerprints }]);
    const forged = beacon.slice();
    forged[forged.length - 1]! ^= 1;
    await expect(compareBeacon(a, forged)).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
    expect(found).toHaveLength(1);
  });

  test("M-FRK-02: two valid Commits of one epoch raise it, and so do repeated failures", async () => {
    const world = await testGroup({ members: 4 });
    const [a, b, c, d] = world.groups as [Group, Group, Group, Group];
    const found = suspicions(world, 1);
    const [left, right] = [await a.update(), await c.update()];
    await b.process(left.commit, { accept: true });
    expect((await b.process(right.commit, { accept: true })).kind).toBe("stale");
    expect(found).toMatchObject([{ evidence: "secondCommit" }]);
    await d.process(right.commit, { accept: true });
    await c.acceptCommit();
    // Neither a damaged Commit nor the same one again is evidence.
    const damaged = right.commit.slice();
    damaged[damaged.length - 1]! ^= 1;
    await b.process(damaged);
    await b.process(left.commit);
    expect(found).toHaveLength(1);
    for (const text of ["1", "2", "3"]) {
      expect((await b.process((await d.send(text)).bytes)).kind).toBe("invalid");
    }
    expect(found.map(({ evidence }) => evidence)).toEqual(["secondCommit", "decryptionFailures"]);
  });

  test("M-FRK-02 M-STO-16: repeated failures count as well where groups are read for each call", async () => {
    const world = await split();
    const { storage } = world.member(1);
    const { clock, directory: authenticationService } = world;
    const options = { storage, clock, authenticationService, cache: "reload" } as const;
    const client = await Client.open(options);
    const found: Forked[] = [];
    client.on((event) => void (event.type === "forkSuspected" && found.push(event)));
    const b = await client.group(world.member(1).group.id);
    const [a, , , d] = world.groups as [Group, Group, Group, Group];
    const fails = async (): Promise<void> => {
      expect((await b.process((await d.send("x")).bytes)).kind).toBe("invalid");
    };
    await fails();
    await fails();
    expect((await b.process((await a.send("y")).bytes)).kind).toBe("application");
    await fails();
    await fails();
    expect(found).toEqual([]);
    await fails();
    expect(found).toMatchObject([{ evidence: "decryptionFailures", epoch: 2n }]);
  });

  test("M-FRK-02: a GroupInfo with a transcript that we do not know raises it, in any epoch we know", async () => {
    const world = await split();
    const [a, b, c] = world.groups as [Group, Group, Group];
    const found = suspicions(world, 0);
    expect(await compareGroupInfo(a, await b.groupInfo())).toEqual({ epoch: 2n, result: "equal" });
    const theirs = await c.groupInfo();
    const ahead = await b.commitImmediately();
    const later = await b.groupInfo();
    expect(await compareGroupInfo(a, later)).toEqual({ epoch: 3n, result: "other" });
    expect(found).toEqual([]);
    expect(await compareGroupInfo(a, theirs)).toEqual({ epoch: 2n, result: "different" });
    expect(found).toMatchObject([{ evidence: "transcript", epoch: 2n }]);
    expect(found[0]!.fingerprints!.ours).toEqual(a.confirmedTranscriptHash);
    expect(found[0]!.fingerprints!.theirs).toEqual(c.confirmedTranscriptHash);
    // The same when the epoch of the other branch is over for us.
    await a.process(ahead.commit, { accept: true });
    expect(await compareGroupInfo(a, theirs)).toEqual({ epoch: 2n, result: "different" });
    expect(found).toHaveLength(2);
    // What nobody of ours signed is no evidence.
    const forged = theirs.slice();
    forged[forged.length - 1]! ^= 1;
    await expect(compareGroupInfo(a, forged)).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
    expect(found).toHaveLength(2);
  });

  test("M-FRK-02: what an outsider signed itself is no evidence, whether or not it may join", async () => {
    for (const externalCommits of [true, false]) {
      const world = await testGroup({ members: 3 });
      const [a, b] = world.groups as [Group, Group, Group];
      const { client: outsider } = await world.newClient("outsider");
      const { commit } = await outsider.joinExternally(await a.groupInfo());
      await b.configure({ externalCommits });
      const found = suspicions(world, 1);
      await world.commit(0);
      expect((await b.process(commit, { accept: true })).kind).toBe("stale");
      expect(found).toEqual([]);
    }
  });
});

describe("recovering from a fork", () => {
  test("M-FRK-03 M-FRK-06: lost members return by replacing their leaf, and their branch is deleted", async () => {
    const world = await split();
    const [a, b] = world.groups as [Group, Group];
    const members = [a, b];
    for (const index of [2, 3]) {
      const { client, storage } = world.member(index);
      const old = (await storage.list("")).map(({ key, value }) => [key, value] as const);
      const request = { resync: true } as const;
      const { group, commit } = await client.joinExternally(await a.groupInfo(), request);
      for (const outcome of await broadcast(commit, members)) {
        expect(outcome).toMatchObject({ kind: "commit", isMerged: true });
      }
      await group.process(commit);
      members.push(group);
      // The branch that lost is gone from memory and from the store.
      const now = new Map((await storage.list("")).map(({ key, value }) => [key, value]));
      const ofOldBranch = old.filter(([key]) => /^g\d+\//.test(key) && now.has(key));
      expect(ofOldBranch).toEqual([]);
      expect(await client.groups()).toHaveLength(1);
      expect(group.ownLeafIndex).toBe(index);
    }
    assertAgreement(members);
    expect(a.memberCount).toBe(4);
    const { bytes } = await members[3]!.send("together again");
    for (const outcome of await broadcast(bytes, members.slice(0, 3))) {
      expect(outcome.kind).toBe("application");
    }
  });

  test("M-FRK-04 M-FRK-06: one Commit removes and adds the lost members again", async () => {
    const world = await split();
    const [a, b] = world.groups as [Group, Group];
    const lost = [world.member(2), world.member(3)];
    const directory = new Map(lost.map(({ name, client }) => [name, client]));
    const keyPackage = async ({ identity }: Member): Promise<Uint8Array> => {
      const client = directory.get(new TextDecoder().decode(identity));
      return (await client!.createKeyPackage()).bytes;
    };
    const pending = await addAgain(a, { present: [b.ownLeafIndex], keyPackage });
    const everybody = addAgain(a, { present: [1, 2, 3], keyPackage });
    await expect(everybody).rejects.toMatchObject({ code: "EMPTY_INPUT" });
    await b.process(pending.commit, { accept: true });
    const { welcomes } = await a.acceptCommit();
    const members = [a, b];
    for (const { client, group, storage } of lost) {
      // A live branch is not overwritten by a Welcome: it has to be given up first.
      await expect(client.join(welcomes[0]!.bytes)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
      await client.deleteGroup(group.id);
      const left = (await storage.list("g")).filter(({ key }) => /^g(\d+|roup)\//.test(key));
      expect(left).toEqual([]);
      members.push(await client.join(welcomes[0]!.bytes));
      expect(await client.groups()).toHaveLength(1);
    }
    assertAgreement(members);
    expect(a.members().map(({ identity }) => identity)).toEqual(
      ["member 0", "member 1", "member 2", "member 3"].map(utf8),
    );
  });

  test("M-FRK-05 M-FRK-06: a new group takes over members and extensions, and the old ones go", async () => {
    const required = { extensionTypes: [], proposalTypes: [], credentialTypes: [1] };
    const extensions = [
      makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, required),
    ];
    const world = await split({ extensions });
    const { client, group: old } = world.member(0);
    const members = old.members().filter(({ isOwn }) => !isOwn);
    const packages = new Map<string, Uint8Array>();
    for (const { name, client: other } of world.members) {
      packages.set(name, (await other.createKeyPackage()).bytes);
    }
    const add = members.map(({ identity }) => packages.get(new TextDecoder().decode(identity))!);
    const { group } = await client.createGroupWith(add, { extensions: old.extensions });
    const { welcomes } = await group.acceptCommit();
    const joined = [group];
    for (const other of world.members.slice(1)) {
      joined.push(await other.client.join(welcomes[0]!.bytes));
    }
    for (const { client: each, group: branch } of world.members) {
      await each.deleteGroup(branch.id);
      expect(await each.groups()).toHaveLength(1);
    }
    assertAgreement(joined);
    expect(group.extensions).toEqual(extensions);
    expect(group.memberCount).toBe(4);
  });
});
