/** How many bytes clients write. M-STO-13, perf-3. */
import { DefaultClient as Client } from "../client/default-client.ts";
import { coreOfClient } from "../client/client.ts";
import type { Group } from "../client/group.ts";
import { KeyDirectory } from "../client/identity/key-directory.ts";
import { makeKeyPackage } from "../client/identity/key-packages.ts";
import { utf8 } from "../codec/index.ts";
import type { CryptoProvider, MaybePromise } from "../crypto/index.ts";
import { createSigner } from "../crypto/signer.ts";
import { defaultProvider } from "../providers/default.ts";
import { memoryStorage } from "../storage/memory.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import type { Storage, StoredRecord, WriteBatch } from "../storage/storage.ts";

/** Adds up what is written to the store behind it: keys and values, and the keys of deletions. */
export class MeasuringStorage implements Storage {
  readonly #inner: Storage;
  #bytes = 0;
  #writes = 0;

  constructor(inner: Storage) {
    this.#inner = inner;
  }

  get bytesWritten(): number {
    return this.#bytes;
  }

  get writes(): number {
    return this.#writes;
  }

  get(key: string): MaybePromise<StoredRecord | undefined> {
    return this.#inner.get(key);
  }

  list(prefix: string): MaybePromise<readonly StoredRecord[]> {
    return this.#inner.list(prefix);
  }

  write(batch: WriteBatch): MaybePromise<void> {
    for (const { key, value } of batch.puts) this.#bytes += key.length + value.length;
    for (const key of batch.deletes) this.#bytes += key.length;
    this.#writes++;
    return this.#inner.write(batch);
  }

  close(): MaybePromise<void> {
    return this.#inner.close();
  }
}

export interface Spread {
  readonly median: number;
  readonly max: number;
}

export interface StorageSizes {
  readonly members: number;
  /** Bytes per application message. */
  readonly sent: Spread;
  readonly received: Spread;
  /** The same when messages arrive in the worst order, so that as many keys as possible are kept. */
  readonly receivedLate: Spread;
  /** Bytes per Commit of our own, accepting it included, and per Commit of somebody else. */
  readonly ownCommit: Spread;
  readonly receivedCommit: Spread;
  /** Everything about the group, when it has been used for a while. */
  readonly group: { readonly bytes: number; readonly records: number };
  /** Opening the client and the group: time, and memory that they take then if it can be asked. */
  readonly openMilliseconds: number;
  readonly openBytes: number | undefined;
  /** Of the encoded tree. */
  readonly treeBytes: number;
}

export interface MeasureStorageOptions {
  /** At least 2. */
  readonly members: number;
  readonly provider?: CryptoProvider | undefined;
  /** Messages and Commits that are measured. Default: 40 and 8. */
  readonly messages?: number | undefined;
  readonly commits?: number | undefined;
  /** Bytes that the program has in use, after a garbage collection. */
  readonly memory?: (() => Promise<number>) | undefined;
}

/** A group of this size is made, used and opened again; memory is the store. */
export async function measureStorage(options: MeasureStorageOptions): Promise<StorageSizes> {
  const { members, memory, messages = 40, commits = 8, provider = defaultProvider() } = options;
  const directory = new KeyDirectory();
  const shared = { authenticationService: directory, provider };
  const client = async (identity: string, storage: Storage): Promise<Client> => {
    const made = await Client.create({ ...shared, identity, storage });
    directory.add(made.identity);
    return made;
  };
  const [aliceStore, bobStore] = [memoryStorage(), memoryStorage()].map(
    (inner) => new MeasuringStorage(inner),
  ) as [MeasuringStorage, MeasuringStorage];
  const alice = await client("alice", aliceStore);
  const bob = await client("bob", bobStore);
  const keyPackages = [(await bob.createKeyPackage()).bytes];
  for (let i = 2; i < members; i++) {
    keyPackages.push(await silentMember(alice, directory, `member ${i}`));
  }
  const a = await alice.createGroup();
  await a.add(keyPackages);
  const { welcomes } = await a.acceptCommit();
  const b = await bob.join((welcomes[0] as (typeof welcomes)[number]).bytes);

  const own = await perCommit(a, b, commits, aliceStore, bobStore);
  const foreign = await perCommit(b, a, commits, bobStore, aliceStore);
  const talk = await perMessage(a, b, messages, aliceStore, bobStore);
  const late = await perLateMessage(a, b, bobStore);
  const groupRecords = (await bobStore.list("g")).filter(({ key }) => /^g\d/.test(key));
  const bytes = groupRecords.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const memoryBefore = await memory?.();
  const started = performance.now();
  const again = await Client.open({ ...shared, storage: bobStore });
  const opened = await again.group(b.id);
  const openMilliseconds = performance.now() - started;
  const memoryAfter = await memory?.();
  return {
    members,
    sent: talk.sent,
    received: talk.received,
    receivedLate: late,
    ownCommit: spread([...own.sent, ...foreign.sent]),
    receivedCommit: spread([...own.received, ...foreign.received]),
    group: { bytes, records: groupRecords.length },
    openMilliseconds,
    openBytes: memoryAfter === undefined ? undefined : memoryAfter - (memoryBefore ?? 0),
    treeBytes: opened.ratchetTree().length,
  };
}

/** The key package of somebody who will never say anything, and stores nothing. */
async function silentMember(
  client: Client,
  directory: KeyDirectory,
  identity: string,
): Promise<Uint8Array> {
  const core = coreOfClient(client);
  const { cipherSuite } = client.identity;
  const crypto = core.options.provider.suite(cipherSuite);
  const keys = await crypto.generateSignatureKeyPair();
  const { publicKey: signatureKey } = keys;
  const name = utf8(identity);
  directory.add({ identity, signatureKey });
  const { keyPackage } = await makeKeyPackage(
    core,
    { identity: name, credential: { type: "basic", identity: name }, signatureKey, cipherSuite },
    createSigner(crypto, keys),
    {},
  );
  return encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
}

/** One line per group size, with a heading. */
export function formatStorageSizes(sizes: readonly StorageSizes[]): string {
  const heading = [
    "members",
    "sent",
    "received",
    "received late",
    "own commit",
    "commit",
    "group",
    "tree",
    "open (ms)",
  ];
  const rows = sizes.map((size) => [
    size.members,
    ...[size.sent, size.received, size.receivedLate, size.ownCommit, size.receivedCommit].map(
      ({ median, max }) => `${median} / ${max}`,
    ),
    size.group.bytes,
    size.treeBytes,
    size.openMilliseconds.toFixed(1),
  ]);
  const lines = [heading, ...rows].map((row) =>
    row.map((cell) => String(cell).padStart(16)).join(""),
  );
  return ["Bytes written (median / largest)", ...lines].join("\n");
}

async function perMessage(
  from: Group,
  to: Group,
  count: number,
  sender: MeasuringStorage,
  receiver: MeasuringStorage,
): Promise<{ readonly sent: Spread; readonly received: Spread }> {
  const sent: number[] = [];
  const received: number[] = [];
  for (let i = 0; i < count; i++) {
    const before = sender.bytesWritten;
    const { bytes } = await from.send(`message ${i}`);
    sent.push(sender.bytesWritten - before);
    received.push(await delta(receiver, () => to.process(bytes)));
  }
  return { sent: spread(sent), received: spread(received) };
}

/** The last of many comes first, then the others backwards. */
async function perLateMessage(from: Group, to: Group, store: MeasuringStorage): Promise<Spread> {
  const sent = await from.sendMany(Array.from({ length: 33 }, (_, i) => `late ${i}`));
  const sizes: number[] = [];
  for (const { bytes } of [...sent].reverse()) {
    sizes.push(await delta(store, () => to.process(bytes)));
  }
  return spread(sizes);
}

async function perCommit(
  from: Group,
  to: Group,
  count: number,
  sender: MeasuringStorage,
  receiver: MeasuringStorage,
): Promise<{ readonly sent: readonly number[]; readonly received: readonly number[] }> {
  const sent: number[] = [];
  const received: number[] = [];
  for (let i = 0; i < count; i++) {
    const before = sender.bytesWritten;
    const { commit } = await from.update();
    await from.acceptCommit();
    sent.push(sender.bytesWritten - before);
    received.push(await delta(receiver, () => to.process(commit, { accept: true })));
  }
  return { sent, received };
}

async function delta(store: MeasuringStorage, work: () => Promise<unknown>): Promise<number> {
  const before = store.bytesWritten;
  await work();
  return store.bytesWritten - before;
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 };
}
