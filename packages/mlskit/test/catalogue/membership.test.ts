/** Catalogue M-MEM: who comes and who goes. */
import { describe, expect, test, vi } from "vitest";
import { equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import type { SuiteCrypto } from "../../src/crypto/index.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/index.ts";
import {
  type Client,
  type ClientEvent,
  type CommitOutcome,
  createExternalProposal,
  type Group,
  type Outcome,
  type RegisteredTypes,
} from "../../src/index.ts";
import { defaultProvider } from "../../src/providers/default.ts";
import { broadcast, seededProvider, testGroup, type TestGroup } from "../../src/testing/index.ts";
import { accessOf } from "../../src/client/group.ts";
import { SecretWatch } from "../production/secret-watch.ts";
import { acceptAnyCredential } from "../support/environment.ts";
import { contents } from "../support/forge-join.ts";
import { externalSenders } from "../support/forge-lists.ts";
import { newSigner } from "../support/parties.ts";
import { stateOf } from "../support/snapshot.ts";

/** Key packages of new clients, and the clients. */
async function newcomers(world: TestGroup, ...names: readonly string[]) {
  const clients: Client[] = [];
  const keyPackages: Uint8Array[] = [];
  for (const name of names) {
    const { client } = await world.newClient(name);
    clients.push(client);
    keyPackages.push((await client.createKeyPackage()).bytes);
  }
  return { clients, keyPackages };
}

function asCommit(outcome: Outcome | undefined): CommitOutcome {
  if (outcome?.kind === "commit" || outcome?.kind === "removed") return outcome;
  throw new Error(`a Commit was expected, not ${outcome?.kind}`);
}

type Reason = readonly (number | string)[];
const byLeaf = ([a]: Reason, [b]: Reason): number => Number(a) - Number(b);

const names = (world: TestGroup, at = 0): string[] =>
  world
    .member(at)
    .group.members()
    .map(({ identity }) => new TextDecoder().decode(identity));

describe("membership", () => {
  test("M-MEM-01: members are added at once, with pending proposals and one Welcome", async () => {
    const world = await testGroup({ members: ["a", "b"] });
    const { group } = world.member(0);
    await expect(group.add([])).rejects.toMatchObject({ code: "EMPTY_INPUT" });
    const { clients, keyPackages } = await newcomers(world, "c", "d", "e");
    await group.proposeAdd(keyPackages[2]!);
    const { summary } = await group.add(keyPackages.slice(0, 2));
    expect(summary.added).toHaveLength(3);
    const { welcomes } = await group.acceptCommit();
    expect(welcomes).toHaveLength(1);
    for (const client of clients) {
      expect((await client.join(welcomes[0]!.bytes)).memberCount).toBe(5);
    }
  });

  test("M-MEM-02: an Add goes without a path on request, unless another proposal needs one", async () => {
    const world = await testGroup({ members: 3 });
    const { group } = world.member(0);
    const { keyPackages, clients } = await newcomers(world, "d");
    const without = await group.add(keyPackages, { withoutPath: true });
    expect(without.summary.hasPath).toBe(false);
    await broadcast(without.commit, [world.member(1).group, world.member(2).group]);
    const { welcomes } = await group.acceptCommit();
    expect((await clients[0]!.join(welcomes[0]!.bytes)).memberCount).toBe(4);
    world.assertAgreement();
    const more = await newcomers(world, "e");
    const both = await group.add(more.keyPackages, { withoutPath: true, remove: [1] });
    expect(both.summary.hasPath).toBe(true);
    await group.discardCommit();
    expect((await group.add(more.keyPackages)).summary.hasPath).toBe(true);
  });

  test("M-MEM-03: an Add is proposed as a message with a reference", async () => {
    const world = await testGroup({ members: ["a", "b"] });
    const { keyPackages, clients } = await newcomers(world, "c");
    const sent = await world.member(0).group.proposeAdd(keyPackages[0]!);
    expect(sent.epoch).toBe(1n);
    const [outcome] = await world.deliver(sent.bytes, 0);
    expect(outcome).toMatchObject({ kind: "proposal", reference: sent.reference });
    const { welcomes } = await world.commit(1);
    await clients[0]!.join(welcomes[0]!.bytes);
    expect(names(world)).toEqual(["a", "b", "c"]);
  });

  test("M-MEM-04: several are removed by index at once, with an error for each mistake", async () => {
    const world = await testGroup({ members: 4 });
    const { group } = world.member(0);
    await expect(group.remove([0])).rejects.toMatchObject({ code: "CANNOT_REMOVE_SELF" });
    await expect(group.remove([9])).rejects.toMatchObject({ code: "MEMBER_NOT_FOUND" });
    await expect(group.remove([])).rejects.toMatchObject({ code: "EMPTY_INPUT" });
    expect(group.status).toBe("active");
    const { summary } = await group.remove([1, 2]);
    expect(summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([1, 2]);
    await group.acceptCommit();
    await expect(group.remove([1])).rejects.toMatchObject({ code: "MEMBER_NOT_FOUND" });
    expect(group.members().map(({ leafIndex }) => leafIndex)).toEqual([0, 3]);
  });

  test("M-MEM-05: removal by identity, by key, and AMBIGUOUS_MEMBER with the candidates", async () => {
    const world = await testGroup({
      members: ["a", "b", "b", "c"],
      authenticationService: { validate: (all) => all.map(() => true), isSuccessor: () => true },
    });
    const { group } = world.member(0);
    await expect(group.removeMember({ identity: "b" })).rejects.toMatchObject({
      code: "AMBIGUOUS_MEMBER",
      details: { leaves: [1, 2] },
    });
    await expect(group.removeMember({ identity: "x" })).rejects.toMatchObject({
      code: "MEMBER_NOT_FOUND",
    });
    const { signatureKey } = world.member(2).client.identity;
    const one = await group.removeMember({ signatureKey });
    expect(one.summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([2]);
    await group.discardCommit();
    const both = await group.removeMember({ identity: "b", all: true });
    expect(both.summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([1, 2]);
    await group.acceptCommit();
    expect(names(world)).toEqual(["a", "c"]);
  });

  test("M-MEM-06: a Remove is proposed by index or credential", async () => {
    const world = await testGroup({ members: ["a", "b", "c", "d"] });
    const { group } = world.member(0);
    const { credential } = world.member(2).client.identity;
    for (const member of [1, { credential }]) {
      const sent = await group.proposeRemove(member);
      await world.deliver(sent.bytes, 0);
    }
    await world.commit(3);
    expect(names(world)).toEqual(["a", "d"]);
    await expect(group.proposeRemove(1)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
    await expect(group.proposeRemove({ credential })).rejects.toMatchObject({
      code: "MEMBER_NOT_FOUND",
    });
  });

  test("M-MEM-07: a swap removes as many as it adds, in one Commit and in their places", async () => {
    const world = await testGroup({ members: 4 });
    const { group } = world.member(0);
    const { keyPackages } = await newcomers(world, "x", "y");
    await expect(group.commit({ swap: { remove: [1], add: keyPackages } })).rejects.toMatchObject({
      code: "LENGTH_MISMATCH",
    });
    const { summary } = await group.commit({ swap: { remove: [1, 2], add: keyPackages } });
    expect(summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([1, 2]);
    expect(summary.added.map(({ leafIndex }) => leafIndex)).toEqual([1, 2]);
    await group.acceptCommit();
    expect(names(world)).toEqual(["member 0", "x", "y", "member 3"]);
  });

  test("M-MEM-08: a client is removed and added again by one Commit", async () => {
    const world = await testGroup({ members: 3 });
    const { client } = world.member(1);
    const again = await client.createKeyPackage();
    const { welcomes } = await world.commit(0, { remove: [1], add: [again.bytes] });
    expect(world.member(1).group.status).toBe("inactive");
    const group = await client.join(welcomes[0]!.bytes);
    expect(group.ownLeafIndex).toBe(1);
    expect(group.epochAuthenticator).toEqual(world.member(2).group.epochAuthenticator);
  });

  test("M-MEM-09: who leaves proposes it, does not commit it, and is out with a covering Commit", async () => {
    const world = await testGroup({ members: 3 });
    const leaver = world.member(2).group;
    const { bytes, reference } = await leaver.leave();
    expect(leaver.isLeaving).toBe(true);
    const own = await leaver.commit();
    expect(own.summary.removed).toEqual([]);
    expect(own.unused).toMatchObject([{ entry: { reference } }]);
    await leaver.discardCommit();
    await world.deliver(bytes, 2);
    await world.commit(0);
    expect(leaver.status).toBe("inactive");
    expect(world.member(1).group.memberCount).toBe(2);
  });

  test("M-MEM-10: deleteGroup drops the local state and tells nobody", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group, storage } = world.member(1);
    const { id } = group;
    await client.deleteGroup(id);
    expect((await contents(storage)).filter((record) => /^g\d/.test(record))).toEqual([]);
    await expect(client.group(id)).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
    expect(world.member(0).group.memberCount).toBe(2);
    expect(world.member(0).group.pendingProposals).toEqual([]);
  });

  test("M-MEM-11: a leave that was not covered is reported and can be sent again", async () => {
    const world = await testGroup({ members: 3 });
    const { client, group: leaver } = world.member(2);
    const events: ClientEvent[] = [];
    client.on((event) => void events.push(event));
    await leaver.leave();
    await world.commit(0);
    expect(events).toContainEqual({ type: "leaveNotCovered", groupId: leaver.id, epoch: 2n });
    expect(leaver.isLeaving).toBe(false);
    await world.deliver((await leaver.leave()).bytes, 2);
    await world.commit(1);
    expect(leaver.status).toBe("inactive");
  });

  test("M-MEM-13: the member list says everything, in leaf order", async () => {
    const world = await testGroup({ members: ["a", "b", "c"] });
    for (const [i, { group, client }] of world.members.entries()) {
      const members = group.members();
      expect(members.map(({ leafIndex }) => leafIndex)).toEqual([0, 1, 2]);
      expect(members.map(({ isOwn }) => isOwn)).toEqual([0, 1, 2].map((leaf) => leaf === i));
      const own = members[i]!;
      expect(own.identity).toEqual(utf8(["a", "b", "c"][i]!));
      expect(own.credential).toEqual(client.identity.credential);
      expect(own.signatureKey).toEqual(client.identity.signatureKey);
      expect(own.encryptionKey.length).toBe(32);
      expect(own.capabilities.versions).toContain(1);
      expect(own.capabilities.cipherSuites).toContain(1);
    }
  });

  test("M-MEM-14: members are found by index, credential, signature key or identity", async () => {
    const world = await testGroup({ members: ["a", "b", "c"] });
    const { group } = world.member(0);
    const { identity } = world.member(1).client;
    const found = (leaves: readonly { leafIndex: number }[]): number[] =>
      leaves.map(({ leafIndex }) => leafIndex);
    expect(found(group.findMembers({ leafIndex: 1 }))).toEqual([1]);
    expect(found(group.findMembers({ identity: "b" }))).toEqual([1]);
    expect(found(group.findMembers({ signatureKey: identity.signatureKey }))).toEqual([1]);
    expect(found(group.findMembers({ credential: identity.credential }))).toEqual([1]);
    expect(group.findMembers({ leafIndex: 2, identity: "b" })).toEqual([]);
  });

  test("M-MEM-15: every removal is classified, before and after the merge", async () => {
    const world = await testGroup({ members: 5 });
    const [a, b, c, d, e] = world.groups.map((group) => group);
    const reasons = ({ removals }: CommitOutcome) =>
      removals.map(({ leafIndex, reason }) => [leafIndex, reason]);
    const leave = await e!.leave();
    await broadcast(leave.bytes, [a!, b!, c!, d!]);
    const events: ClientEvent[] = [];
    world.member(0).client.on((event) => void events.push(event));
    const { commit } = await a!.remove([3]);
    const before = asCommit(await b!.process(commit, { accept: false }));
    const theirs = [
      [3, "theyWereRemoved"],
      [4, "theyLeft"],
    ];
    expect(reasons(before).sort(byLeaf)).toEqual(theirs);
    expect(reasons(await before.accept()).sort(byLeaf)).toEqual(theirs);
    const removed = asCommit(await d!.process(commit, { accept: true }));
    expect(reasons(removed)).toContainEqual([3, "weWereRemoved"]);
    const left = asCommit(await e!.process(commit, { accept: true }));
    expect(reasons(left)).toContainEqual([4, "weLeft"]);
    await a!.acceptCommit();
    const own = events.flatMap((event) =>
      event.type === "memberRemoved" ? [[event.leafIndex, event.reason]] : [],
    );
    expect(own.sort(byLeaf)).toEqual([
      [3, "weRemovedThem"],
      [4, "theyLeft"],
    ]);
    await c!.process(commit, { accept: true });
    // Somebody who lost the state comes back.
    const resync = await world.member(2).client.joinExternally(await a!.groupInfo(), {
      resync: true,
    });
    expect(reasons(asCommit(await a!.process(resync.commit)))).toEqual([[2, "resync"]]);
  });

  test("M-MEM-15: a SelfRemove is a departure, and an external sender removes like anybody else", async () => {
    const server = await newSigner();
    const types: RegisteredTypes = {
      proposals: new Map([[SELF_REMOVE, selfRemoveType]]),
      credentials: new Map(),
      extensions: new Set(),
    };
    const world = await testGroup({
      members: 4,
      types,
      config: { handshake: { send: "public", accept: "both" } },
      authenticationService: acceptAnyCredential,
      extensions: [externalSenders(server)],
    });
    const [a, b, c, d] = world.groups;
    await world.deliver((await b!.propose(selfRemove())).bytes, 1);
    const address = { groupId: a!.id, epoch: a!.epoch, extensions: a!.extensions };
    const removal = { type: "remove", removed: 2 } as const;
    await world.deliver(await createExternalProposal(address, removal, server, types));
    const { commit } = await a!.commit();
    const seenBy = async (group: Group | undefined) =>
      asCommit(await group!.process(commit, { accept: true }))
        .removals.map(({ leafIndex, reason, by }) => [leafIndex, reason, by.type])
        .sort(byLeaf);
    const [left, taken] = [
      [1, "theyLeft", "member"],
      [2, "theyWereRemoved", "external"],
    ];
    expect(await seenBy(d)).toEqual([left, taken]);
    expect(await seenBy(b)).toEqual([[1, "weLeft", "member"], taken]);
    expect(await seenBy(c)).toEqual([left, [2, "weWereRemoved", "external"]]);
  });

  test("M-MEM-16: being removed leaves the last membership readable and nothing else", async () => {
    const world = await testGroup({ members: ["a", "b", "c"] });
    const { client, group, storage } = world.member(2);
    const late = await world.member(0).group.send("late");
    await world.commit(0);
    const secret = toHex(group.dangerouslyExportResumptionPsk());
    const isStored = async (): Promise<boolean> =>
      (await contents(storage)).some((record) => record.includes(secret));
    expect(await isStored()).toBe(true);
    const { keyPackages } = await newcomers(world, "d");
    await world.commit(0, { remove: [2], add: keyPackages });
    expect(group.status).toBe("inactive");
    expect(names(world, 2)).toEqual(["a", "b", "d"]);
    await expect(group.send("x")).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
    await expect(group.commit()).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
    await expect(group.proposeUpdate()).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
    expect(() => group.epochAuthenticator).toThrow(
      expect.objectContaining({ code: "GROUP_INACTIVE" }),
    );
    expect((await group.process((await world.member(0).group.send("x")).bytes)).kind).toBe(
      "groupInactive",
    );
    // Keys of kept past epochs still open what was on its way.
    expect((await group.process(late.bytes)).kind).toBe("application");
    expect(await isStored()).toBe(false);
    expect((await client.group(group.id)).status).toBe("inactive");
  });

  test("M-MEM-16: of all secrets nothing is left but the past epochs that policy keeps", async () => {
    const watch = new SecretWatch(seededProvider("M-MEM-16"));
    for (const pastEpochs of [0, 3]) {
      const { provider } = watch;
      const world = await testGroup({ members: 3, provider, config: { pastEpochs } });
      const { client, group } = world.member(2);
      await group.proposeUpdate();
      await world.deliver((await group.proposeUpdate()).bytes, 2);
      await world.commit(0);
      await world.say(0, "kept keys, used keys");
      await world.say(2, "from the one that goes");
      await group.commit({ forcePath: true });
      const held = async (): Promise<ReadonlySet<string>> => {
        const text = JSON.stringify(await stateOf(client));
        // The signature key is the identity's, not the group's.
        const found = [...watch.seen].filter(([hex, { label }]) => {
          return label !== "signature key" && text.includes(hex);
        });
        return new Set(found.map(([, { label }]) => label));
      };
      // The search finds them as long as they are there.
      expect([...(await held())]).toEqual(
        expect.arrayContaining(["init", "exporter", "resumption", "private key", "tree"]),
      );
      await world.commit(0, { remove: [2] });
      expect(group.status).toBe("inactive");
      const { epoch, pending, resumptionPsks, proposals } = accessOf(group).peek();
      const left = [...Object.values(epoch.secrets), ...epoch.privateKeys.values()];
      expect(left.filter(({ length }) => length > 0)).toEqual([]);
      expect([...epoch.secretTree.nodes(), ...epoch.secretTree.ratchets()]).toEqual([]);
      expect([pending, resumptionPsks.size, proposals.size]).toEqual([undefined, 0, 0]);
      const ofPastEpochs = ["sender data", "tree", "handshake", "application", "secret"];
      const kept = [...(await held())].filter((label) => !ofPastEpochs.includes(label));
      expect(kept).toEqual([]);
      expect((await held()).size > 0).toBe(pastEpochs > 0);
      await group.deletePastEpochs();
      expect([...(await held())]).toEqual([]);
    }
  });

  test("M-MEM-17: one Welcome for all, one per joiner, or batches, each naming whom it serves", async () => {
    const world = await testGroup({ members: 1 });
    const { group } = world.member(0);
    const { clients, keyPackages } = await newcomers(world, "b", "c", "d");
    const references: Uint8Array[] = [];
    for (const client of clients) references.push((await client.keyPackages())[0]!.reference);
    for (const [joinersPerWelcome, sizes] of [
      [undefined, [3]],
      [1, [1, 1, 1]],
      [2, [2, 1]],
    ] as const) {
      const world2 = await world.member(0).client.createGroup();
      await world2.add(keyPackages, { joinersPerWelcome });
      const { welcomes } = await world2.acceptCommit();
      expect(welcomes.map(({ keyPackageRefs }) => keyPackageRefs.length)).toEqual(sizes);
      expect(welcomes.flatMap(({ keyPackageRefs }) => keyPackageRefs)).toEqual(references);
      if (joinersPerWelcome !== 2) continue;
      for (const [i, client] of clients.entries()) {
        const own = welcomes.find(({ keyPackageRefs }) =>
          keyPackageRefs.some((reference) => equalBytes(reference, references[i]!)),
        );
        expect((await client.join(own!.bytes)).memberCount).toBe(4);
      }
    }
    expect(group.memberCount).toBe(1);
  });

  test("M-MEM-18: adds take the leftmost free leaves, removals shrink the tree, cost is linear", async () => {
    const world = await testGroup({ members: 6 });
    const { group } = world.member(0);
    await group.commitImmediately({ remove: [1, 3] });
    const { keyPackages } = await newcomers(world, "x", "y", "z");
    const { summary } = await group.commitImmediately({ add: keyPackages });
    expect(summary.added.map(({ leafIndex }) => leafIndex)).toEqual([1, 3, 6]);
    const wide = group.ratchetTree().length;
    await group.commitImmediately({ remove: [2, 3, 4, 5, 6] });
    expect(group.members().map(({ leafIndex }) => leafIndex)).toEqual([0, 1]);
    expect(group.ratchetTree().length).toBeLessThan(wide / 2);
    const crypto = Object.getPrototypeOf(defaultProvider().suite(1)) as SuiteCrypto;
    const cost = async (count: number): Promise<readonly [bytes: number, calls: number]> => {
      const made = await newcomers(
        world,
        ...Array.from({ length: count }, (_, i) => `${count}.${i}`),
      );
      const fresh = await world.member(0).client.createGroup();
      const spies = (["hash", "expand", "hmac"] as const).map((name) => vi.spyOn(crypto, name));
      const { commit } = await fresh.add(made.keyPackages);
      const { welcomes } = await fresh.acceptCommit();
      const calls = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
      vi.restoreAllMocks();
      return [commit.length + welcomes[0]!.bytes.length, calls];
    };
    const [ten, forty] = [await cost(10), await cost(40)];
    expect(ten[1]).toBeGreaterThan(20);
    for (const i of [0, 1] as const) expect(forty[i] / ten[i]).toBeLessThan(4.4);
  });
});
