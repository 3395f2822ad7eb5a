/** Four clients whose stores can be set back to one moment, as often as it takes. */
import { eventLog } from "../../src/production/index.ts";
import { toHex } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import {
  Client,
  type CreatedWelcome,
  type CryptoProvider,
  type Group,
  KeyDirectory,
} from "../../src/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { assertAgreement, seededProvider, testClock } from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

export type Name = "alice" | "bob" | "carol" | "dave";
const NAMES: readonly Name[] = ["alice", "bob", "carol", "dave"];

/** Alice is the one that crashes. */
export class CrashWorld {
  readonly clock = testClock();
  readonly directory: KeyDirectory;
  readonly stores = new Map<Name, Storage>();
  readonly clients = new Map<Name, Client>();
  /** Commits that the delivery service has accepted. */
  readonly accepted: Set<string>;
  /** Commits of others, which Alice can fetch. */
  readonly log: Uint8Array[] = [];
  /** For clients that are made; may be set before. */
  newStorage: (name: Name) => Storage = () => new MapStorage();
  providerOf: (name: Name) => CryptoProvider;

  constructor(seed: string, directory = new KeyDirectory(), accepted = new Set<string>()) {
    this.directory = directory;
    this.accepted = accepted;
    const provider = seededProvider(seed);
    this.providerOf = () => provider;
  }

  client(name: Name): Client {
    const found = this.clients.get(name);
    if (found === undefined) throw new Error(`${name} has no client`);
    return found;
  }

  get alice(): Client {
    return this.client("alice");
  }

  async create(name: Name, storage: Storage = this.newStorage(name)): Promise<Client> {
    this.stores.set(name, storage);
    const client = await Client.create({ ...this.#options(name, storage), identity: name });
    this.clients.set(name, client);
    this.directory.add(client.identity);
    return client;
  }

  async open(name: Name, storage: Storage): Promise<Client> {
    this.stores.set(name, storage);
    const client = await Client.open({ ...this.#options(name, storage), identity: name });
    this.clients.set(name, client);
    return client;
  }

  #options(name: Name, storage: Storage) {
    const { clock, directory } = this;
    const authenticationService = directory;
    return {
      storage,
      clock,
      provider: this.providerOf(name),
      authenticationService,
      eventLog: eventLog(),
    };
  }

  async keyPackage(name: Name): Promise<Uint8Array> {
    return (await this.client(name).createKeyPackage()).bytes;
  }

  /** Alice, Bob and Carol in one group. */
  async group(): Promise<Uint8Array> {
    const group = await this.alice.createGroup();
    await group.add([await this.keyPackage("bob"), await this.keyPackage("carol")]);
    const accepted = await group.acceptCommit();
    await this.handOut(accepted.welcomes);
    await group.handedOut(accepted);
    return group.id;
  }

  /** Groups of all others who are active in this one. */
  async others(id: Uint8Array): Promise<Group[]> {
    const found: Group[] = [];
    for (const [name, client] of this.clients) {
      if (name === "alice") continue;
      for (const group of await client.groups()) {
        if (toHex(group.id) === toHex(id) && group.status === "active") found.push(group);
      }
    }
    return found;
  }

  /** The delivery service takes it and hands it to all others. */
  async deliver(bytes: Uint8Array, id: Uint8Array): Promise<void> {
    const key = toHex(bytes);
    if (this.accepted.has(key)) return;
    this.accepted.add(key);
    for (const group of await this.others(id)) await group.process(bytes, { accept: true });
  }

  /** Welcomes to everybody; whoever is meant joins, unless it has done so. */
  async handOut(welcomes: readonly CreatedWelcome[]): Promise<void> {
    for (const [name, client] of this.clients) {
      if (name === "alice") continue;
      for (const { bytes } of welcomes) await client.join(bytes).catch(unlessNotMeant);
    }
  }

  /** What everybody has now. */
  snapshot(): ReadonlyMap<Name, MapStorage> {
    const copies = new Map<Name, MapStorage>();
    for (const [name, store] of this.stores) {
      if (!(store instanceof MapStorage)) throw new Error("not a copyable store");
      copies.set(name, store.copy());
    }
    return copies;
  }

  /** Everybody as they were, or Alice alone; she is on a store of the caller's making. */
  static async restore(
    from: CrashWorld,
    snapshot: ReadonlyMap<Name, MapStorage>,
    wrap: (inner: MapStorage) => Storage | Promise<Storage>,
    who: "everybody" | "alice" = "everybody",
  ): Promise<CrashWorld> {
    const world = new CrashWorld("run", from.directory, new Set(from.accepted));
    world.log.push(...from.log);
    for (const name of NAMES) {
      const inner = snapshot.get(name);
      if (name === "alice") {
        const storage = await wrap(inner?.copy() ?? new MapStorage());
        const isEmpty = inner === undefined || inner.records.size === 0;
        if (isEmpty) world.stores.set("alice", storage);
        else await world.open("alice", storage);
      } else if (inner !== undefined && who === "everybody") await world.open(name, inner.copy());
    }
    return world;
  }
}

/** What a careful application does after a start, and then what users do. */
export async function goOn(world: CrashWorld): Promise<void> {
  if (!world.clients.has("alice")) return;
  await world.alice.createKeyPackage();
  for (const group of await world.alice.groups()) {
    const { id } = group;
    await sendWhatWaits(world, group);
    for (const commit of world.log) await group.process(commit, { accept: true });
    const { pendingCommit, joinCommit } = group;
    if (pendingCommit !== undefined) {
      await world.deliver(pendingCommit.commit, id);
      await group.acceptCommit();
    } else if (joinCommit !== undefined) {
      await world.deliver(joinCommit, id);
      await world.alice.acceptJoin(id);
    }
    for (const accepted of group.toHandOut) {
      await world.handOut(accepted.welcomes);
      await group.handedOut(accepted);
    }
    if (group.status === "active") await everyMemberIsIn(world, group);
    if (group.isFrozen) await heal(world, group);
    if (group.status === "active") await talk(world, group);
    else if (group.status === "suspended") await succeed(world, id);
    else if (group.status !== "inactive") throw new Error(`the group is ${group.status}`);
  }
}

/** Who was added got its Welcome, wherever the cut was. */
async function everyMemberIsIn(world: CrashWorld, group: Group): Promise<void> {
  for (const [name, client] of world.clients) {
    const keys = (await client.identities()).map(({ signatureKey }) => toHex(signatureKey));
    const isMember = group.members().some(({ signatureKey }) => keys.includes(toHex(signatureKey)));
    if (!isMember || name === "alice") continue;
    const own = (await client.groups()).find(({ id }) => toHex(id) === toHex(group.id));
    if (own?.status !== "active") throw new Error(`${name} was added and cannot join`);
  }
}

/** The outbox of the application, and proposals, which the library keeps. */
async function sendWhatWaits(world: CrashWorld, group: Group): Promise<void> {
  const waiting: Uint8Array[] = [];
  for (const { bytes } of group.pendingProposals) if (bytes !== undefined) waiting.push(bytes);
  const outbox = await world.alice.transaction((tx) => tx.get("outbox"));
  if (outbox !== undefined) waiting.push(outbox);
  for (const bytes of waiting) await world.deliver(bytes, group.id);
}

/** Nobody else has this state: a later Commit of another member is enough. */
async function heal(world: CrashWorld, group: Group): Promise<void> {
  await group.limitRollback(group.epoch);
  const [first, ...more] = await world.others(group.id);
  if (first === undefined) throw new Error("nobody can heal the group");
  const { commit } = await first.update();
  for (const receiver of [group, ...more]) await expectKind(receiver, commit, "commit");
  await first.acceptCommit();
}

/** Both ways, and a new epoch. */
async function talk(world: CrashWorld, group: Group): Promise<void> {
  const { commit } = await group.update();
  for (const other of await world.others(group.id)) {
    await expectKind(other, commit, "commit", "removed");
  }
  await group.acceptCommit();
  const others = await world.others(group.id);
  assertAgreement([group, ...others]);
  const { bytes } = await group.send("from alice");
  for (const other of others) await expectKind(other, bytes, "application");
  const [first, ...more] = others;
  if (first === undefined) return;
  await expectKind(group, (await first.send("to alice")).bytes, "application");
  const next = await first.update();
  for (const receiver of [group, ...more]) await expectKind(receiver, next.commit, "commit");
  await first.acceptCommit();
  assertAgreement([group, ...others]);
}

async function succeed(world: CrashWorld, id: Uint8Array): Promise<void> {
  const names: Name[] = [];
  for (const [name, client] of world.clients) {
    const groups = await client.groups();
    const isIn = groups.some((group) => toHex(group.id) === toHex(id));
    if (name !== "alice" && isIn) names.push(name);
  }
  const keyPackages: Uint8Array[] = [];
  for (const name of names) keyPackages.push(await world.keyPackage(name));
  const { group, welcomes } = await world.alice.createSuccessor(id, keyPackages);
  for (const name of names) await world.client(name).join(welcomes[0]!.bytes);
  await talk(world, group);
}

function unlessNotMeant(error: unknown): void {
  if (MlsError.is(error, "GROUP_EXISTS", "ORPHAN_WELCOME", "NO_MATCHING_KEY_PACKAGE")) return;
  throw error;
}

async function expectKind(
  group: Group,
  bytes: Uint8Array,
  ...kinds: readonly string[]
): Promise<void> {
  const outcome = await group.process(bytes, { accept: true });
  if (kinds.includes(outcome.kind)) return;
  const why = "error" in outcome ? `: ${outcome.error.code} ${outcome.error.message}` : "";
  throw new Error(`instead of ${kinds.join()}: ${outcome.kind}${why}`);
}
