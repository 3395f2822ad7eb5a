/** What RFC 9420 §9.2 wants deleted is in no byte of any store. M-SEC-02. */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import {
  acceptDetached,
  Client,
  commitDetached,
  type Group,
  KeyDirectory,
} from "../../src/index.ts";
import { encryptedStorage } from "../../src/storage/encrypted.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { type SqliteDatabase, sqliteStorage } from "../../src/storage/sqlite.ts";
import type { Storage, StoredRecord } from "../../src/storage/storage.ts";
import { seededProvider, testClock } from "../../src/testing/index.ts";
import { allBytes, temporaryDirectories } from "../unit/storage/directories.ts";
import { MapStorage } from "./map-storage.ts";
import { SecretWatch, type SeenSecret } from "./secret-watch.ts";

vi.setConfig({ testTimeout: 120_000 });
const newDirectory = temporaryDirectories();

interface Medium {
  readonly storage: Storage;
  /** Every byte that the store has written somewhere. */
  bytes(): Buffer;
}

const open: Storage[] = [];
afterEach(async () => {
  for (const storage of open.splice(0)) await storage.close();
});

function bytesOf(store: MapStorage): Buffer {
  return Buffer.concat([...store.records.values()].map(({ value }) => value));
}

const media: Record<string, () => Promise<Medium>> = {
  memory: async () => {
    const storage = new MapStorage();
    return { storage, bytes: () => bytesOf(storage) };
  },
  file: async () => {
    const directory = newDirectory();
    return {
      storage: await fileStorage(directory, { dangerouslyUnencrypted: true }),
      bytes: () => allBytes(directory),
    };
  },
  SQLite: async () => {
    const directory = newDirectory();
    fs.mkdirSync(directory);
    const { Database } = createRequire(import.meta.url)("node-sqlite3-wasm") as {
      Database: new (file: string) => SqliteDatabase;
    };
    const storage = await sqliteStorage(new Database(path.join(directory, "store.db")), {
      dangerouslyUnencrypted: true,
    });
    return { storage, bytes: () => allBytes(directory) };
  },
};

/** Alice on the medium, watched; Bob and Carol beside her. */
class Watched {
  readonly watch = new SecretWatch(seededProvider("alice"));
  readonly directory = new KeyDirectory();
  readonly #clock = testClock();
  readonly medium: Medium;

  constructor(medium: Medium) {
    this.medium = medium;
    open.push(medium.storage);
  }

  async client(identity: string): Promise<Client> {
    const isAlice = identity === "alice";
    const client = await Client.create({
      identity,
      storage: isAlice ? this.medium.storage : new MapStorage(),
      provider: isAlice ? this.watch.provider : seededProvider(identity),
      clock: this.#clock,
      authenticationService: this.directory,
    });
    this.directory.add(client.identity);
    return client;
  }

  /** Alice, as after a restart. */
  open(): Promise<Client> {
    return Client.open({
      storage: this.medium.storage,
      provider: this.watch.provider,
      clock: this.#clock,
      authenticationService: this.directory,
    });
  }

  /** Secrets that are in the store now. */
  found(secrets: readonly SeenSecret[]): SeenSecret[] {
    const bytes = this.medium.bytes();
    return secrets.filter(({ value }) => bytes.includes(Buffer.from(value)));
  }

  expectGone(secrets: readonly SeenSecret[], when: string): void {
    const left = this.found(secrets).map(({ label }) => label);
    expect(left, when).toEqual([]);
  }

  /** What must hold at any time. */
  check(when: string, ...groups: readonly Group[]): void {
    const current = groups
      .filter(({ status }) => status !== "inactive")
      .map(({ epochAuthenticator }) => toHex(epochAuthenticator));
    const pending = groups.filter(({ status }) => status === "pendingCommit").length;
    this.expectGone(this.watch.over(new Set(current), pending), when);
  }
}

for (const [name, make] of Object.entries(media)) {
  describe(`M-SEC-02 on ${name}`, () => {
    test("ks-9 nothing that is consumed or over is in any byte after any operation", async () => {
      const world = new Watched(await make());
      const { watch } = world;
      const alice = await world.client("alice");
      const bob = await world.client("bob");
      const carol = await world.client("carol");
      world.check("created");
      const a = await alice.createGroup();
      world.check("group created", a);
      const keyPackages = [
        (await bob.createKeyPackage()).bytes,
        (await carol.createKeyPackage()).bytes,
      ];
      await a.add(keyPackages);
      world.check("add staged", a);
      const { welcomes } = await a.acceptCommit();
      world.check("add accepted", a);
      const b = await bob.join(welcomes[0]!.bytes);
      const c = await carol.join(welcomes[0]!.bytes);
      expect(world.found(watch.withLabel("init")).length).toBe(1);

      for (let i = 0; i < 3; i++) await a.send(`message ${i}`);
      world.check("sent", a);
      expect(watch.consumed().length).toBeGreaterThan(6);
      const [first, second, third] = await b.sendMany(["first", "second", "third"]);
      await a.process(third!.bytes);
      world.check("received out of order", a);
      const skipped = world.found(watch.withLabel("key"));
      expect(skipped.length).toBe(2);
      await a.process(first!.bytes);
      world.check("received a late one", a);
      await a.process(second!.bytes);
      world.check("received all", a);
      world.expectGone(skipped, "used late");

      const { commit: lost } = await a.update();
      world.check("update staged", a);
      const staged = new Set(watch.seen.keys());
      await a.discardCommit();
      world.check("update discarded", a);
      const discarded = watch.epochs().at(-1)!;
      world.expectGone([...discarded.values()], "the epoch of a discarded Commit");
      const keys = watch.withLabel("private key");
      world.expectGone(keys.slice(-2), "private keys of a discarded Commit");
      expect(staged.size).toBe(watch.seen.size);
      expect((await b.process(lost)).kind).toBe("commit");

      const oldKeys = world.found(watch.withLabel("private key"));
      const { commit } = await a.update();
      for (const other of [b, c]) await other.process(commit, { accept: true });
      await a.process(commit, { accept: true });
      world.check("own Commit came back", a);
      expect(oldKeys.length).toBeGreaterThan(0);
      world.expectGone(oldKeys, "private keys of the former leaf and path");

      const beforeUpdate = world.found(watch.withLabel("private key"));
      const { bytes } = await a.proposeUpdate();
      world.check("update proposed", a);
      for (const other of [b, c]) await other.process(bytes, { accept: true });
      const byBob = (await b.commit()).commit;
      await b.acceptCommit();
      await c.process(byBob, { accept: true });
      const outcome = await a.process(byBob);
      // Until it is accepted, it counts as not processed: its key stays for the next time.
      if (outcome.kind === "commit") await outcome.accept();
      world.check("Commit accepted", a);
      world.expectGone(beforeUpdate, "private keys before our Update");

      const late = (await c.send("of the epoch that ends")).bytes;
      const renewal = (await b.update()).commit;
      await b.acceptCommit();
      await c.process(renewal, { accept: true });
      await a.process(renewal, { accept: true });
      await a.process(late);
      world.check("late message read", a);
      await a.deletePastEpochs();
      world.check("past epochs deleted", a);
      const past = watch.epochs().slice(0, -1);
      world.expectGone(
        past.flatMap((epoch) =>
          [epoch.get("sender data") ?? [], epoch.get("encryption") ?? []].flat(),
        ),
        "past epochs deleted",
      );

      const keyPackage = await alice.createKeyPackage();
      const made = watch.withLabel("private key").slice(-2);
      expect(world.found(made).length).toBe(2);
      const d = await carol.createGroup();
      await d.add([keyPackage.bytes]);
      const invitation = await d.acceptCommit();
      const joined = await alice.join(invitation.welcomes[0]!.bytes);
      world.check("joined", a, joined);
      expect(world.found(made).length, "the leaf's key stays, the init key is gone").toBe(1);

      const removal = await d.remove([joined.ownLeafIndex]);
      await d.acceptCommit();
      await joined.process(removal.commit, { accept: true });
      world.check("removed", a, joined);
      world.expectGone(made, "private keys of a group that we left");

      await alice.deleteGroup(a.id);
      await alice.deleteGroup(joined.id);
      const all = [...watch.seen.values()];
      world.expectGone(
        // Those of key packages and of the identity stay.
        all.filter(({ label }) => !["private key", "signature key"].includes(label)),
        "all groups deleted",
      );
      expect(all.length).toBeGreaterThan(100);
    });
  });
}

test("M-SEC-02 what a store hands out is wiped once it was read", async () => {
  const inner = new MapStorage();
  const handed: Uint8Array[] = [];
  const hand = (record: StoredRecord): StoredRecord => {
    handed.push(record.value);
    return record;
  };
  const storage: Storage = {
    get: (key) => {
      const record = inner.get(key);
      return record === undefined ? undefined : hand(record);
    },
    list: (prefix) => inner.list(prefix).map(hand),
    write: (batch) => inner.write(batch),
    close: () => undefined,
  };
  const world = new Watched({ storage, bytes: () => bytesOf(inner) });
  const alice = await world.client("alice");
  const bob = await world.client("bob");
  const a = await alice.createGroup();
  await a.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  const b = await bob.join(welcomes[0]!.bytes);
  const psk = new Uint8Array(32).fill(0xd7);
  for (const client of [alice, bob]) await client.putPsk(psk.subarray(0, 4), psk);
  for (const from of [b, a]) {
    const { bytes } = await from.send("hello");
    await (from === a ? b : a).process(bytes);
  }
  await b.proposeUpdate();
  await a.update();
  const key = new Uint8Array(32).fill(8);
  handed.length = 0;
  const again = await world.open();
  const group = await again.group(a.id);
  await group.discardCommit();
  const detached = await commitDetached(group, key, { psks: [psk.subarray(0, 4)] });
  await b.process(detached.commit, { accept: true });
  await acceptDetached(group, key, detached);
  await again.keyPackages();
  await group.send("after");
  const secrets = [...world.watch.seen.values()];
  expect(handed.length).toBeGreaterThan(15);
  expect(secrets.length).toBeGreaterThan(50);
  const found = secrets.filter(({ value }) =>
    handed.some((bytes) => Buffer.from(bytes).includes(Buffer.from(value))),
  );
  expect(found.map(({ label }) => label)).toEqual([]);
  expect(handed.some((bytes) => Buffer.from(bytes).includes(Buffer.from(psk)))).toBe(false);
});

test("M-SEC-02 M-STO-04 an encrypted store shows no secret at all, not even those in use", async () => {
  const inner = new MapStorage();
  const storage = await encryptedStorage(inner, new Uint8Array(32).fill(1));
  const world = new Watched({ storage, bytes: () => bytesOf(inner) });
  const alice = await world.client("alice");
  const bob = await world.client("bob");
  const a = await alice.createGroup();
  await a.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  const b = await bob.join(welcomes[0]!.bytes);
  await a.send("one");
  await a.process((await b.send("two")).bytes);
  await a.update();
  const all = [...world.watch.seen.values()];
  expect(all.length).toBeGreaterThan(40);
  world.expectGone(all, "encrypted");
  const plain = Buffer.concat((await storage.list("")).map(({ value }) => value));
  expect(all.some(({ value }) => plain.includes(Buffer.from(value)))).toBe(true);
});
