/** The store under a client: its interface, what is kept in it, and when. M-STO. */
import { describe, expect, test } from "vitest";
import { skipOpaque, toHex, utf8 } from "../../src/codec/index.ts";
import { MlsError, StorageError } from "../../src/errors.ts";
import { Client, type Group, type Storage, type WriteBatch } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { storageContract, testGroup } from "../../src/testing/index.ts";
import { CrashWorld } from "../production/crash-world.ts";
import { MapStorage } from "../production/map-storage.ts";
import { OPERATIONS } from "../production/operations.ts";
import { acceptAnyCredential } from "../support/environment.ts";

/** What a third party would write, from the interface alone: a Map behind asynchronous calls. */
class ForeignStorage implements Storage {
  readonly #records: Map<string, { readonly value: Uint8Array; readonly version: number }>;
  #isOpen = true;

  constructor(records = new Map<string, { value: Uint8Array; version: number }>()) {
    this.#records = records;
  }

  again(): ForeignStorage {
    return new ForeignStorage(this.#records);
  }

  async get(key: string) {
    return (await this.list(key)).find((record) => record.key === key);
  }

  async list(prefix: string) {
    await this.#turn();
    const keys = [...this.#records.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => {
      const { value, version } = this.#records.get(key)!;
      return { key, value: value.slice(), version };
    });
  }

  async write({ puts, deletes, expect: expected }: WriteBatch) {
    const copies = puts.map(({ key, value }) => ({ key, value: value.slice() }));
    const written = [...puts.map(({ key }) => key), ...deletes];
    const isValid = written.every((key) => /^[\x20-\x7e]{1,512}$/.test(key));
    if (!isValid || new Set(written).size < written.length) {
      throw new StorageError("INVALID_BATCH", "no such batch");
    }
    await this.#turn();
    const version = (key: string): number => this.#records.get(key)?.version ?? 0;
    for (const each of expected) {
      if (version(each.key) !== each.version) throw new StorageError("STORAGE_CONFLICT", "stale");
    }
    for (const { key, value } of copies) {
      this.#records.set(key, { value, version: version(key) + 1 });
    }
    for (const key of deletes) this.#records.delete(key);
  }

  async close() {
    this.#isOpen = false;
  }

  async #turn() {
    await new Promise((resume) => setImmediate(resume));
    if (!this.#isOpen) throw new StorageError("STORAGE_FAILED", "closed");
  }
}

describe("M-STO-01 the storage interface", () => {
  test("get, list and one atomic versioned write are all that a store of somebody else must have", async () => {
    for (const { run } of storageContract) {
      await run({
        open: () => new ForeignStorage(),
        reopen: (storage) => (storage as ForeignStorage).again(),
      });
    }
    const world = await testGroup({ storage: () => new ForeignStorage() });
    await world.say(0, "hello");
    await world.commit(1);
    const storage = world.member(0).storage as ForeignStorage;
    await world.reopen(0, storage.again());
    await world.say(0, "hello again");
    world.assertAgreement();
  });

  test("what a client writes is one batch for each operation, with the version that it read", async () => {
    const batches: WriteBatch[] = [];
    const world = await testGroup({
      storage: () => {
        const inner = new MapStorage();
        const write = inner.write.bind(inner);
        inner.write = (batch) => {
          batches.push(batch);
          write(batch);
        };
        return inner;
      },
    });
    const { group } = world.member(0);
    const all: readonly (() => Promise<unknown>)[] = [
      () => group.send("hello"),
      () => group.update(),
      () => group.acceptCommit(),
    ];
    for (const operation of all) {
      batches.length = 0;
      await operation();
      expect(batches).toHaveLength(1);
      expect(batches[0]!.expect.map(({ key }) => key)).toEqual(["g0/v"]);
    }
  });
});

/** All that a client shows of itself. */
async function view(client: Client): Promise<unknown> {
  const groups: unknown[] = [];
  for (const group of await client.groups()) groups.push(await viewOf(group));
  return {
    groups,
    identities: await client.identities(),
    keyPackages: await client.keyPackages(),
    psks: await client.pskIds(),
    checkpoint: await client.transaction((tx) => tx.checkpoint()),
  };
}

async function viewOf(group: Group): Promise<unknown> {
  const hasSecrets = ["active", "pendingCommit", "suspended"].includes(group.status);
  return {
    id: toHex(group.id),
    status: group.status,
    epoch: group.epoch,
    config: group.config,
    tree: toHex(group.ratchetTree()),
    context: toHex(group.contextBytes),
    authenticator: hasSecrets ? toHex(group.epochAuthenticator) : undefined,
    // Of a reserved block the rest is skipped.
    generation: group.config.generationBlock === 1 ? group.nextGeneration : undefined,
    proposals: group.pendingProposals.map(({ reference, bytes }) => [reference, bytes]),
    queued: group.queuedProposals,
    pending: group.pendingCommit?.commit,
    join: group.joinCommit,
    isLeaving: group.isLeaving,
    isFrozen: group.isFrozen,
  };
}

describe("M-STO-12 every call that changes state is durable when it returns", () => {
  test.each(OPERATIONS.map((operation) => [operation.name, operation] as const))(
    "%s",
    async (_, operation) => {
      const world = new CrashWorld("durable");
      const run = await operation.prepare(world);
      if (!world.stores.has("alice")) world.stores.set("alice", new MapStorage());
      await run(world);
      // The process dies in the moment in which the call has returned.
      const disk = (world.stores.get("alice") as MapStorage).copy();
      const before = await view(world.alice);
      const options = { storage: disk, clock: world.clock };
      const again = await Client.open({ ...options, authenticationService: world.directory });
      expect(await view(again)).toEqual(before);
    },
  );
});

describe("M-STO-08 what is kept", () => {
  /** Alice with one of everything; Bob on the other side. */
  async function full() {
    const world = new CrashWorld("entities");
    for (const name of ["alice", "bob", "carol", "dave"] as const) await world.create(name);
    const { alice } = world;
    const bob = world.client("bob");
    const id = await world.group();
    const [a, b] = [await alice.group(id), await bob.group(id)];
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };

    await alice.putPsk(utf8("psk"), utf8("an external PSK"));
    const unused = await alice.createKeyPackage();
    // A past epoch with a late message, and a message that comes too early.
    const late = (await b.send("late")).bytes;
    for (const group of [await bob.createGroup(), await bob.createGroup()]) {
      await group.add([await world.keyPackage("alice")]);
      const { welcomes } = await group.acceptCommit();
      await alice.join(welcomes[0]!.bytes);
    }
    const [suspended, pending] = (await bob.groups()).filter((group) => group.memberCount === 2);
    await suspended!.commit({ reInit });
    const closing = suspended!.pendingCommit!.commit;
    await suspended!.acceptCommit();
    await (await alice.group(suspended!.id)).process(closing, { accept: true });
    const commit = (await b.update()).commit;
    await b.acceptCommit();
    await a.process(commit, { accept: true });
    const next = (await b.update()).commit;
    await b.acceptCommit();
    const early = (await b.send("early")).bytes;
    expect((await a.process(early)).kind).toBe("future");
    const proposal = await a.proposeUpdate();
    const waiting = await (await alice.group(pending!.id)).update();
    const outside = await world.client("dave").createGroup();
    const join = await alice.joinExternally(await outside.groupInfo());
    await alice.transaction(async (tx) => tx.setCheckpoint(utf8("cursor")));
    const objects = { a, b, suspended: suspended!, pending: pending!, outside };
    return { world, id, objects, late, next, proposal, waiting, join, unused };
  }

  test("every entity has records of its own", async () => {
    const { world } = await full();
    const kinds = new Set(
      [...(world.stores.get("alice") as MapStorage).records.keys()].map((key) =>
        /^g\d+\//.test(key) ? `g/${key.split("/")[1]![0]}` : key.split("/")[0]!,
      ),
    );
    const own = ["identity", "keypackage", "psk", "group", "app-checkpoint", "meta"];
    // Head, tree, ratchets, past epochs, resumption PSKs, proposals, pending Commit, buffer.
    const ofGroups = ["h", "t", "r", "x", "k", "p", "c", "b"].map((letter) => `g/${letter}`);
    for (const kind of [...own, ...ofGroups]) expect([...kinds], kind).toContain(kind);
  });

  test("every entity does its work after a restart", async () => {
    const { world, id, objects, late, next, proposal, waiting, join, unused } = await full();
    const disk = (world.stores.get("alice") as MapStorage).copy();
    const alice = await world.open("alice", disk);
    const a = await alice.group(id);
    expect(a.pendingProposals.map(({ reference }) => reference)).toEqual([proposal.reference]);
    expect(await a.process(late)).toMatchObject({ kind: "application" });
    const replayed = await a.process(next, { accept: true });
    expect(replayed.kind === "commit" && replayed.replayed.map(({ kind }) => kind)).toEqual([
      "application",
    ]);
    const { b, pending, suspended, outside } = objects;
    expect(await a.process((await b.send("ratchets")).bytes)).toMatchObject({
      kind: "application",
    });
    const byPsk = await a.commit({
      psks: [utf8("psk")],
      resumptionPsks: [{ epoch: a.epoch - 1n }],
    });
    await world.client("bob").putPsk(utf8("psk"), utf8("an external PSK"));
    expect((await b.process(byPsk.commit, { accept: true })).kind).toBe("commit");
    await a.acceptCommit();
    expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);

    const own = await alice.group(pending.id);
    expect(own.pendingCommit?.commit).toEqual(waiting.commit);
    await pending.process(waiting.commit, { accept: true });
    await own.acceptCommit();
    expect(own.epochAuthenticator).toEqual(pending.epochAuthenticator);

    const { group, welcomes } = await alice.createSuccessor(suspended.id, [
      await world.keyPackage("bob"),
    ]);
    const joined = await world.client("bob").join(welcomes[0]!.bytes);
    expect(group.epochAuthenticator).toEqual(joined.epochAuthenticator);

    await outside.process(join.commit, { accept: true });
    await alice.acceptJoin(outside.id);
    const entered = await alice.group(outside.id);
    expect(entered.epochAuthenticator).toEqual(outside.epochAuthenticator);

    await outside.add([unused.bytes]).catch((error: unknown) => {
      // Alice is in there already, with the same signature key.
      expect(MlsError.is(error)).toBe(true);
    });
    expect((await alice.keyPackages()).map(({ reference }) => reference)).toContainEqual(
      unused.reference,
    );
    expect(await alice.transaction((tx) => tx.checkpoint())).toEqual(utf8("cursor"));
  });
});

test("M-STO-13 opening a large group decodes none of the leaves that it does not need", async () => {
  const type = 0xf0c1;
  let decoded = 0;
  const count: typeof skipOpaque = (reader) => {
    decoded++;
    return skipOpaque(reader);
  };
  const options = {
    authenticationService: acceptAnyCredential,
    types: { credentials: new Map([[type, count]]) },
  };
  const create = (identity: string, storage: Storage): Promise<Client> =>
    Client.create({ ...options, identity, storage });
  const size = 1000;
  const store = new MapStorage();
  const [alice, crowd] = [await create("alice", store), await create("crowd", memoryStorage())];
  const keyPackages: Uint8Array[] = [];
  for (let i = 1; i < size; i++) {
    const body = Uint8Array.of(4, i >> 8, i & 0xff, 0, 0);
    const credential = { type: "custom", credentialType: type, body } as const;
    const identity = await crowd.addIdentity({ identity: credential });
    keyPackages.push((await crowd.createKeyPackage({ identity })).bytes);
  }
  const { id } = await alice.createGroup();
  const group = await alice.group(id);
  await group.add(keyPackages);
  await group.acceptCommit();

  decoded = 0;
  const again = await (await Client.open({ ...options, storage: store.copy() })).group(id);
  await again.send("hello");
  expect(again.memberCount).toBe(size);
  console.log(`opened a group of ${size} and sent: ${decoded} leaves decoded`);
  expect(decoded).toBeLessThan(48);
  expect(again.members()).toHaveLength(size);
  expect(decoded).toBeGreaterThan(size - 48);
});

test("M-PSK-01 ids of any length name groups and PSKs", async () => {
  const world = await testGroup({ members: 2 });
  const { client, storage } = world.member(0);
  const [long, longer] = [new Uint8Array(600).fill(1), new Uint8Array(601).fill(1)];
  const group = await client.createGroup({ groupId: long });
  await client.createGroup({ groupId: longer });
  expect((await client.group(long)).id).toEqual(long);
  expect(new Set((await client.groups()).map(({ id }) => id.length))).toEqual(
    new Set([32, 600, 601]),
  );
  await expect(client.createGroup({ groupId: long })).rejects.toMatchObject({
    code: "GROUP_EXISTS",
  });
  await client.putPsk(long, utf8("a"));
  await client.putPsk(longer, utf8("b"));
  expect(new Set(await client.pskIds())).toEqual(new Set([toHex(long), toHex(longer)]));
  expect([await client.psk(long), await client.psk(longer)]).toEqual([utf8("a"), utf8("b")]);
  await group.commit({ psks: [longer] });
  await group.acceptCommit();
  await client.deletePsk(long);
  expect(await client.pskIds()).toEqual([toHex(longer)]);
  await client.deleteGroup(long);
  await expect(client.group(long)).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
  for (const { key } of await storage.list("")) expect(key.length).toBeLessThanOrEqual(300);
});
