/** What runs inside the browser; chromium.test.ts calls it by name. */
import { fromHex, fromUtf8, toHex } from "../../src/codec/index.ts";
import {
  Client,
  type CryptoProvider,
  type Group,
  KeyDirectory,
  MlsError,
} from "../../src/index.ts";
import { webCryptoProvider } from "../../src/providers/webcrypto/index.ts";
import { type StorageHarness, storageContract } from "../../src/storage/contract.ts";
import { type IndexedDbStorageOptions, indexedDbStorage } from "../../src/storage/indexeddb.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { SecretWatch } from "../production/secret-watch.ts";

export interface Sent {
  readonly generation: number;
  readonly bytes: string;
  readonly text: string;
}

/** Secrets are in hex. */
export interface KeptSecrets {
  /** In the store at the end. */
  readonly held: readonly string[];
  /** In it before, or never. */
  readonly gone: readonly string[];
  /** Labels of those that its records had after an operation, though they were over. */
  readonly left: readonly string[];
  readonly searches: number;
}

const UNENCRYPTED = { dangerouslyUnencrypted: true } as const;
const people = new Map<string, Client>();
const trust = new KeyDirectory();
let id: Uint8Array = new Uint8Array();
let provider: CryptoProvider | undefined;
let held: Storage | undefined;
let pairs = 0;

/** A key that no script can read, kept where the browser keeps everything else. */
async function storeKey(): Promise<CryptoKey> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open("keys", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
  });
  const answer = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no answer"));
    });
  const read = database.transaction("keys").objectStore("keys").get("key");
  const found = (await answer(read)) as CryptoKey | undefined;
  if (found !== undefined) return found;
  const algorithm = { name: "AES-GCM", length: 256 };
  const made = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
  await answer(database.transaction("keys", "readwrite").objectStore("keys").put(made, "key"));
  database.close();
  return made;
}

async function optionsOf(kind: string): Promise<IndexedDbStorageOptions> {
  return kind.endsWith("encrypted") ? { key: await storeKey() } : UNENCRYPTED;
}

async function openClient(name: string, kind: string): Promise<void> {
  provider ??= await webCryptoProvider();
  const storage = await indexedDbStorage(`${name} ${kind}`, await optionsOf(kind));
  const isNew = (await storage.list("")).length === 0;
  const options = { storage, provider, authenticationService: trust };
  const client = isNew
    ? await Client.create({ ...options, identity: name })
    : await Client.open(options);
  trust.add(client.identity);
  people.set(name, client);
}

function client(name: string): Client {
  const found = people.get(name);
  if (found === undefined) throw new Error(`${name} is not here`);
  return found;
}

const groupOf = (name: string): Promise<Group> => client(name).group(id);

async function expectKind(group: Group, bytes: Uint8Array, kind: string): Promise<void> {
  const outcome = await group.process(bytes, { accept: true });
  if (outcome.kind !== kind) throw new Error(`${outcome.kind} instead of ${kind}`);
}

/** Both ways, and a new epoch; what is equal for both then. */
async function talk(): Promise<string> {
  const [alice, bob] = [await groupOf("alice"), await groupOf("bob")];
  await expectKind(bob, (await alice.send("from alice")).bytes, "application");
  await expectKind(alice, (await bob.send("from bob")).bytes, "application");
  await expectKind(alice, (await bob.update()).commit, "commit");
  await bob.acceptCommit();
  if (toHex(alice.epochAuthenticator) !== toHex(bob.epochAuthenticator)) throw new Error("a fork");
  return toHex(alice.epochAuthenticator);
}

const page = {
  /** Names of checks and what was wrong with them. */
  async contract(kind: string): Promise<readonly string[]> {
    const options = await optionsOf(kind);
    const names = new WeakMap<Storage, string>();
    let count = 0;
    const open = async (name: string): Promise<Storage> => {
      const storage = await indexedDbStorage(name, options);
      names.set(storage, name);
      return storage;
    };
    const harness: StorageHarness = {
      open: () => open(`contract ${kind} ${++count}`),
      reopen: (storage) => open(names.get(storage) as string),
    };
    // What a kill or a full disk leaves is shown by tests of their own: a page cannot cause it.
    const possible = storageContract.filter(({ needs }) => {
      return needs.every((part) => harness[part] !== undefined);
    });
    const others = storageContract.length - possible.length;
    const problems: string[] = [];
    for (const { name, run } of possible) {
      try {
        await run(harness);
      } catch (error) {
        problems.push(`${name}: ${String(error)}`);
      }
    }
    const summary = `${possible.length} checks, ${problems.length} failures, ${others} not possible in a page`;
    return [summary, ...problems];
  },

  /** Alice and Bob, and Alice with a Commit that waits. */
  async begin(kind: string): Promise<string> {
    for (const name of ["alice", "bob"]) await openClient(name, kind);
    const group = await client("alice").createGroup();
    id = group.id;
    await group.add([(await client("bob").createKeyPackage()).bytes]);
    const { welcomes } = await group.acceptCommit();
    for (const { bytes } of welcomes) await client("bob").join(bytes);
    await talk();
    await group.update();
    return toHex(id);
  },

  /** After a restart: the Commit is still there, and everything goes on. */
  async goOn(kind: string, groupId: string): Promise<string> {
    for (const name of ["alice", "bob"]) await openClient(name, kind);
    id = fromHex(groupId);
    const alice = await groupOf("alice");
    const { pendingCommit } = alice;
    if (pendingCommit !== undefined) {
      await expectKind(await groupOf("bob"), pendingCommit.commit, "commit");
      await alice.acceptCommit();
    }
    await talk();
    await alice.update();
    return `${provider?.name} ${alice.status} ${alice.epoch}`;
  },

  /** Only one of the two, for a second tab. */
  async visit(name: string, kind: string, groupId: string): Promise<void> {
    id = fromHex(groupId);
    await openClient(name, kind);
    const group = await groupOf(name);
    if (group.pendingCommit !== undefined) await group.discardCommit();
  },

  async sendMany(name: string, label: string, seconds: number): Promise<readonly Sent[]> {
    const group = await groupOf(name);
    const sent: Sent[] = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const text = `${label} ${sent.length}`;
      const { generation, bytes } = await group.send(text);
      sent.push({ generation, bytes: toHex(bytes), text });
    }
    return sent;
  },

  /** How many could be read, in the order given. */
  async readAll(name: string, messages: readonly Sent[]): Promise<number> {
    const group = await groupOf(name);
    let read = 0;
    for (const { bytes, text } of messages) {
      const outcome = await group.process(fromHex(bytes));
      if (outcome.kind === "application" && fromUtf8(outcome.data) === text) read++;
    }
    return read;
  },

  /** Alice in a store of her own, with a group, messages both ways and some epochs. */
  async keepSecrets(kind: string): Promise<KeptSecrets> {
    const watch = new SecretWatch(await webCryptoProvider());
    const store = await indexedDbStorage(`secrets ${kind}`, await optionsOf(kind));
    const create = async (name: string, storage: Storage, watched: CryptoProvider) => {
      const options = { storage, provider: watched, authenticationService: trust };
      const made = await Client.create({ ...options, identity: name });
      trust.add(made.identity);
      return made;
    };
    const alice = await create("alice", store, watch.provider);
    const bob = await create("bob", memoryStorage(), await webCryptoProvider());
    const a = await alice.createGroup();
    const records = async () => (await store.list("")).map(({ value }) => toHex(value)).join(" ");
    const left: string[] = [];
    let searches = 0;
    const look = async (): Promise<void> => {
      const live = new Set([toHex(a.epochAuthenticator)]);
      const { pendingCommit } = a;
      if (pendingCommit !== undefined) live.add(toHex(pendingCommit.next.epochAuthenticator()));
      const text = await records();
      for (const { value, label } of watch.over(live)) {
        searches++;
        if (text.includes(toHex(value))) left.push(label);
      }
    };
    await a.add([(await bob.createKeyPackage()).bytes]);
    await look();
    const b = await bob.join((await a.acceptCommit()).welcomes[0]!.bytes);
    await look();
    await alice.createKeyPackage();
    for (let round = 0; round < 3; round++) {
      const { bytes } = await a.send(`to bob ${round}`);
      await look();
      await expectKind(b, bytes, "application");
      await expectKind(a, (await b.send(`to alice ${round}`)).bytes, "application");
      await look();
      const { commit } = await a.update();
      await look();
      await expectKind(b, commit, "commit");
      await a.acceptCommit();
      await look();
      await expectKind(a, (await b.update()).commit, "commit");
      await b.acceptCommit();
      await look();
    }
    await a.deletePastEpochs();
    await look();
    const text = await records();
    await alice.close();
    const all = [...watch.seen.keys()];
    return {
      held: all.filter((secret) => text.includes(secret)),
      gone: all.filter((secret) => !text.includes(secret)),
      left,
      searches,
    };
  },

  /** Opens a store for this tab alone; the code of the error, if that fails. */
  async own(lockTimeout: number): Promise<string> {
    try {
      const options = { ...UNENCRYPTED, exclusive: true, lockTimeout };
      held = await indexedDbStorage("owned", options);
      return "open";
    } catch (error) {
      return error instanceof MlsError ? error.code : String(error);
    }
  },

  async give(): Promise<void> {
    await held?.close();
  },

  /** Writes pairs of equal records until there is no end. */
  async writePairs(): Promise<void> {
    const storage = await indexedDbStorage("pairs", UNENCRYPTED);
    for (let i = 0; ; i++) {
      const value = new Uint8Array(100_000).fill(i);
      const puts = ["a", "b"].map((key) => ({ key, value }));
      await storage.write({ puts, deletes: [], expect: [] });
      pairs = i + 1;
    }
  },

  /** Since the page was loaded. */
  pairsWritten: (): number => pairs,

  /** Versions of the two records, if they are whole and equal. */
  async readPair(): Promise<number> {
    const storage = await indexedDbStorage("pairs", UNENCRYPTED);
    const [a, b] = await storage.list("");
    await storage.close();
    if (a === undefined || b === undefined || a.version !== b.version) return -1;
    const isWhole = a.value.every((byte, i) => byte === a.value[0] && byte === b.value[i]);
    return isWhole && a.value.length === 100_000 ? a.version : -1;
  },

  /** A batch of two records of this size, and what the store holds then. */
  async fill(size: number): Promise<string> {
    const storage = await indexedDbStorage("full", UNENCRYPTED);
    const value = crypto.getRandomValues(new Uint8Array(65_536));
    const big = new Uint8Array(size);
    for (let at = 0; at < size; at += value.length) big.set(value.subarray(0, size - at), at);
    const puts = ["a", "b"].map((key) => ({ key, value: big }));
    let result = "written";
    try {
      await storage.write({ puts, deletes: [], expect: [] });
    } catch (error) {
      result = error instanceof MlsError ? error.code : String(error);
    }
    const left = await storage.list("");
    await storage.close();
    return [
      result,
      left.map(({ key, version, value: { length } }) => `${key}${version}:${length}`).join(),
    ].join(" ");
  },
};

export type Page = typeof page;
Object.assign(globalThis, { page });
