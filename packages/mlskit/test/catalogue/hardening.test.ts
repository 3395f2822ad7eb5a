/** Catalogue M-SEC: invariants that hold against careless callers and hostile peers. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group, MlsError, type Storage } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { accessOf } from "../../src/client/group.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";

async function dump(store: Storage): Promise<string> {
  const records = await store.list("");
  return records.map(({ key, version, value }) => `${key} ${version} ${toHex(value)}`).join("\n");
}

/** Everything that can be asked of a group. */
function view(group: Group): string {
  const { epoch, status, nextGeneration, memberCount, pendingProposals, queuedProposals } = group;
  const hex = [group.epochAuthenticator, group.contextBytes, group.ratchetTree()].map(toHex);
  const counts = [pendingProposals.length, queuedProposals.length, memberCount, nextGeneration];
  return [epoch, status, ...counts, ...hex, group.pendingCommit?.epoch].join(" ");
}

/** The same data for a second client, as a second process would see it. */
function shared(inner: Storage): Storage {
  return {
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    write: (batch) => inner.write(batch),
    close: () => undefined,
  };
}

/** Whatever the caller does to these buffers does not reach the group. */
function expectUnmoved(group: Group, buffers: readonly Uint8Array[]): void {
  const before = view(group);
  for (const bytes of buffers) bytes.fill(0xa5);
  expect(view(group)).toBe(before);
}

async function talk(world: TestGroup): Promise<void> {
  for (const outcome of await world.say(0, "still here")) expect(outcome.kind).toBe("application");
  world.assertAgreement();
}

describe("hardening", () => {
  test("M-SEC-01: what fails leaves store and memory identical to the byte", async () => {
    const world = await testGroup({ members: 3 });
    const { group: a, storage, client } = world.member(0);
    const { client: outsider } = await world.newClient("outsider");
    const keyPackage = (await outsider.createKeyPackage()).bytes;
    const stranger = await Client.create({
      identity: "stranger",
      storage: memoryStorage(),
      authenticationService: world.directory,
    });
    const unknown = (await stranger.createKeyPackage()).bytes;
    const message = (await world.member(1).group.send("x")).bytes;
    const commit = (await world.member(2).group.update()).commit;
    const flip = (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice();
      copy[copy.length - 1]! ^= 1;
      return copy;
    };
    const [stored, cached] = [await dump(storage), view(a)];
    const failing: (() => Promise<unknown>)[] = [
      () => a.remove([77]),
      () => a.remove([0]),
      () => a.add([unknown]),
      () => a.add([keyPackage, keyPackage]),
      () => a.add([flip(keyPackage)]),
      () => a.commit({ psks: [utf8("nobody has it")] }),
      () => a.commit({ include: [utf8("no such reference")] }),
      () => a.acceptCommit(),
      () => a.discardCommit(),
      () => a.dropProposal(utf8("no such reference")),
      () => a.propose({ type: "remove", removed: 77 }),
      () => a.queue({ type: "remove", removed: 77 }),
      () => a.send(new Uint8Array(2 ** 21)),
      () => client.join(utf8("rubbish")),
      () => client.joinExternally(utf8("rubbish")),
      () => client.createGroup({ groupId: a.id }),
      () =>
        client.transaction(async (tx) => {
          const inside = await tx.group(a.id);
          await inside.process(message);
          await inside.update();
          throw new Error("no");
        }),
    ];
    for (const [index, attempt] of failing.entries()) {
      await expect(attempt(), `${index}`).rejects.toThrow();
      expect(await dump(storage), `${index}`).toBe(stored);
      expect(view(a), `${index}`).toBe(cached);
    }
    for (const bytes of [flip(message), flip(commit), message.subarray(0, 40), utf8("rubbish")]) {
      await a.process(bytes, { accept: true });
      expect(await dump(storage)).toBe(stored);
      expect(view(a)).toBe(cached);
    }
    expect((await a.process(message)).kind).toBe("application");
    await world.member(2).group.discardCommit();
    await world.member(1).group.process((await a.send("y")).bytes);
    world.assertAgreement();
  });

  test("M-SEC-03: parallel calls, discarded Commits and a second process use no generation twice", async () => {
    const inner = memoryStorage();
    const storage = (name: string): Storage => (name === "a" ? shared(inner) : memoryStorage());
    const world = await testGroup({ members: ["a", "b"], storage });
    const { group } = world.member(0);
    const authenticationService = world.directory;
    const second = await Client.open({ storage: shared(inner), authenticationService });
    const twin = await second.group(group.id);
    const sent = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? group : twin).send(`${i}`)),
    );
    expect(new Set(sent.map(({ generation }) => generation)).size).toBe(12);
    for (const { bytes } of sent) {
      expect((await world.member(1).group.process(bytes)).kind).toBe("application");
    }
    const commits: Uint8Array[] = [];
    for (let i = 0; i < 3; i++) {
      commits.push((await group.update()).commit);
      await group.discardCommit();
    }
    const last = await twin.update();
    for (const bytes of [...commits, last.commit]) {
      // Each has a key of its own: none is taken for one that was used before.
      expect((await world.member(1).group.process(bytes)).kind).toBe("commit");
    }
  });

  test("M-SEC-05: what peers can fill is bounded", async () => {
    const config = { pendingProposalsPerSender: 3, pendingProposals: 5, maximumSkippedKeys: 8 };
    const world = await testGroup({ members: 4, config });
    const [a, b, c, d] = world.groups as [Group, Group, Group, Group];
    const kinds: string[] = [];
    for (const group of [b, c, d]) {
      for (const id of ["1", "2", "3"]) {
        const nonce = new Uint8Array(32);
        await world.member(world.groups.indexOf(group)).client.putPsk(utf8(id), utf8("psk"));
        const psk = { type: "external", pskId: utf8(id), nonce } as const;
        const { bytes } = await group.propose({ type: "psk", psk });
        await world.member(0).client.putPsk(utf8(id), utf8("psk"));
        kinds.push((await a.process(bytes, { accept: true })).kind);
      }
    }
    expect(a.pendingProposals.length).toBeLessThanOrEqual(5);
    expect(kinds.filter((kind) => kind !== "proposal").length).toBeGreaterThanOrEqual(4);
    await a.dropAllProposals();
    const window = { outOfOrderTolerance: 8, maximumSkippedKeys: 8 };
    const other = await testGroup({ members: 3, config: window });
    const receiver = other.member(0).group;
    const late: Uint8Array[] = [];
    for (const sender of other.groups.slice(1)) {
      const sent = await sender.sendMany(Array.from({ length: 30 }, (_, i) => `${i}`));
      await receiver.process(sent[29]!.bytes);
      for (const { bytes } of sent.slice(0, 29)) late.push(bytes);
    }
    const outcomes = await receiver.processMany(late);
    // Of the second sender; those of the first, being older, made room.
    expect(outcomes.flatMap(({ kind }, i) => (kind === "application" ? [i] : []))).toEqual(
      Array.from({ length: 8 }, (_, i) => 50 + i),
    );
  });

  test("M-SEC-05: one sender alone cannot exceed the limit of skipped keys, and a lower limit counts at once", async () => {
    const count = ({ group }: { group: Group }) =>
      accessOf(group).peek().epoch.secretTree.skippedKeyCount;
    const config = { outOfOrderTolerance: 32, maximumSkippedKeys: 8 };
    const alone = await testGroup({ members: 2, config });
    const sent = await alone.member(1).group.sendMany(Array.from({ length: 61 }, (_, i) => `${i}`));
    const readable = (outcomes: readonly { kind: string }[]) =>
      outcomes.flatMap(({ kind }, i) => (kind === "application" ? [i] : []));
    for (const last of [32, 60]) {
      await alone.member(0).group.process(sent[last]!.bytes);
      expect(count(alone.member(0))).toBe(8);
    }
    const late = await alone.member(0).group.processMany(sent.map(({ bytes }) => bytes));
    expect(readable(late)).toEqual(Array.from({ length: 8 }, (_, i) => 52 + i));

    const world = await testGroup({ members: 3 });
    const { group, storage } = world.member(0);
    const early: Uint8Array[] = [];
    for (const from of world.groups.slice(1)) {
      const all = await from.sendMany(Array.from({ length: 21 }, (_, i) => `${i}`));
      await group.process(all[20]!.bytes);
      early.push(...all.slice(0, 20).map(({ bytes }) => bytes));
    }
    expect(count(world.member(0))).toBe(40);
    const keys = [...accessOf(group).peek().epoch.secretTree.ratchets()]
      .flatMap(({ ratchet }) => ratchet.skipped)
      .map(({ key }) => key.bytes);
    // The tolerance counts first; then the ratchet that began to skip first loses the oldest of its own.
    await group.configure({ outOfOrderTolerance: 16, maximumSkippedKeys: 20 });
    expect(count(world.member(0))).toBe(20);
    expect(keys.filter((key) => key.every((byte) => byte === 0))).toHaveLength(20);
    expect(count(await world.reopen(0, storage))).toBe(20);
    const again = world.member(0).group;
    await again.configure({ maximumSkippedKeys: 18 });
    const kept = [18, 19, ...Array.from({ length: 16 }, (_, i) => 24 + i)];
    expect(readable(await again.processMany(early))).toEqual(kept);
    await world.member(1).group.process((await world.member(2).group.send("x")).bytes);
    const ahead = await world.member(1).group.sendMany(["1", "2", "3"]);
    await again.process(ahead[2]!.bytes);
    expect(count(world.member(0))).toBe(2);
    await again.configure({ maximumSkippedKeys: 0 });
    expect(count(world.member(0))).toBe(0);
    expect(readable(await again.processMany(ahead.map(({ bytes }) => bytes)))).toEqual([]);
  });

  test("M-SEC-11: no invalid or conflicting proposal stops a group from committing or sending", async () => {
    const world = await testGroup({ members: 4 });
    const [, b, c] = world.groups as [Group, Group, Group];
    for (const from of [b, c]) {
      const { bytes } = await from.propose({ type: "remove", removed: 3 });
      for (const group of world.groups) await group.process(bytes, { accept: true });
    }
    const update = await world
      .member(3)
      .group.proposeUpdate()
      .catch(() => undefined);
    if (update !== undefined) {
      for (const group of world.groups) await group.process(update.bytes, { accept: true });
    }
    await world.commit(0);
    world.forget(3);
    await talk(world);
  });

  test("M-SEC-12: joining never overwrites a live group", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group, storage } = world.member(1);
    const keyPackage = (await client.createKeyPackage()).bytes;
    const { client: thief } = await world.newClient("thief");
    const copy = await thief.createGroup({ groupId: group.id });
    await copy.add([keyPackage]);
    const { welcomes } = await copy.acceptCommit();
    const before = [await dump(storage), view(group)];
    const exists = { code: "GROUP_EXISTS" };
    await expect(client.join(welcomes[0]!.bytes)).rejects.toMatchObject(exists);
    const info = await copy.groupInfo();
    await expect(client.joinExternally(info)).rejects.toMatchObject(exists);
    await expect(client.createGroup({ groupId: group.id })).rejects.toMatchObject(exists);
    expect([await dump(storage), view(group)]).toEqual(before);
    await talk(world);
  });

  test("M-SEC-14: ids with the names of object properties are ids, and serialising shows no secret", async () => {
    const world = await testGroup({ members: 2 });
    const { client, group } = world.member(0);
    for (const name of ["__proto__", "constructor", "toString"]) {
      const made = await client.createGroup({ groupId: utf8(name) });
      await client.putPsk(utf8(name), utf8("a psk"));
      await made.commitImmediately({ psks: [utf8(name)] });
      expect((await client.group(utf8(name))).epoch).toBe(1n);
    }
    await expect(client.group(utf8("hasOwnProperty"))).rejects.toBeInstanceOf(MlsError);
    expect(JSON.stringify({ client, group })).toBe('{"client":{},"group":{}}');
  });

  test("M-SEC-15: inputs are copied when they are kept, and outputs share nothing with the state", async () => {
    const world = await testGroup({ members: 2 });
    const { group: a, client } = world.member(0);
    const b = world.member(1).group;
    expectUnmoved(a, [a.id, a.epochAuthenticator, a.treeHash, a.ratchetTree(), a.contextBytes]);
    expectUnmoved(a, [a.confirmationTag, a.confirmedTranscriptHash, a.export("x", utf8("y"), 32)]);
    expectUnmoved(a, [a.dangerouslyExportResumptionPsk(), await a.groupInfo()]);
    const [id, psk] = [utf8("psk id"), utf8("psk")];
    await client.putPsk(id, psk);
    await world.member(1).client.putPsk(utf8("psk id"), utf8("psk"));
    psk.fill(0);
    id.fill(0);
    const proposal = await b.proposeUpdate();
    const received = proposal.bytes.slice();
    await a.process(received, { accept: true });
    received.fill(0);
    await world.commit(0, { psks: [utf8("psk id")] });
    const early = await a.commit();
    await a.acceptCommit();
    const message = (await a.send("early")).bytes;
    const kept = message.slice();
    await b.process(kept);
    kept.fill(0);
    const outcome = await b.process(early.commit, { accept: true });
    expect(outcome).toMatchObject({ replayed: [{ kind: "application" }] });
    await talk(world);
  });
});
