/** Delivery service and peers of the client that gets killed, and the judge of what it sends. */
import { expect } from "vitest";
import { RFC_TYPES, toHex } from "../../src/codec/index.ts";
import { readGroup } from "../../src/client/records/read-group.ts";
import { storedTypes } from "../../src/client/records/record-codecs.ts";
import { createSigner, type Secret } from "../../src/crypto/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { openSenderData } from "../../src/framing/private-message.ts";
import {
  Client,
  defaultProvider,
  type Group,
  KeyDirectory,
  memoryStorage,
  MlsError,
  type Storage,
} from "../../src/index.ts";
import type { Entry, Reply, Report, Request } from "./kill-protocol.ts";

interface Peer {
  readonly name: string;
  readonly group: Group;
}

interface LoggedEntry extends Entry {
  readonly author: string;
}

const SUITE = 1;
const provider = defaultProvider();

export class Arena {
  readonly #random: () => number;
  readonly #directory: KeyDirectory;
  readonly #store: Storage;
  readonly #alice: Peer;
  readonly #peers: Peer[];
  /** Guests that were invited and have no Welcome yet. */
  #guests: Client[] = [];
  readonly #log: LoggedEntry[] = [];
  /** Where in the log each epoch begins. */
  readonly #begins = new Map<bigint, number>();
  readonly #authenticators = new Map<bigint, string>();
  readonly #senderDataSecrets = new Map<bigint, Secret>();
  /** The ciphertext that used each generation of each ratchet. */
  readonly #used = new Map<string, string>();
  #last: Report | undefined;
  received = 0;

  private constructor(
    random: () => number,
    directory: KeyDirectory,
    store: Storage,
    alice: Peer,
    bob: Peer,
  ) {
    this.#random = random;
    this.#directory = directory;
    this.#store = store;
    this.#alice = alice;
    this.#peers = [alice, bob];
  }

  static async create(random: () => number): Promise<Arena> {
    const directory = new KeyDirectory();
    const store = memoryStorage();
    const alice = await newClient("alice", directory, store);
    const bob = await newClient("bob", directory);
    const group = await alice.createGroup();
    await group.add([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await group.acceptCommit();
    const joined = await bob.join(welcomes[0]?.bytes ?? new Uint8Array());
    const a = { name: "alice", group };
    const arena = new Arena(random, directory, store, a, { name: "bob", group: joined });
    await arena.#noteEpoch();
    return arena;
  }

  get ciphertexts(): number {
    return this.#used.size;
  }

  get epoch(): bigint {
    return this.#alice.group.epoch;
  }

  authenticators(): string[] {
    return this.#peers.map(({ group }) => toHex(group.epochAuthenticator));
  }

  async handle(request: Request): Promise<Reply | undefined> {
    this.received += 1;
    switch (request.type) {
      case "failed":
        throw new Error(`the client failed: ${request.reason}`);
      case "hello":
        this.#checkReopened(request.report);
        return this.#note(request.report);
      case "done":
      case "finished":
        return this.#note(request.report);
      case "refused":
        return this.#record(request.bytes);
      case "message":
        this.#record(request.bytes);
        await this.#append("message", "victim", request.bytes);
        return undefined;
      case "poll":
        return { id: request.id, entries: await this.#entries(request.cursor) };
      case "commit":
        return { id: request.id, isAccepted: await this.#submit(request.epoch, request.bytes) };
      case "welcome":
        await this.#welcomeGuest(request.bytes);
        return { id: request.id };
      case "invite":
        await this.#invite(request.keyPackage);
        return { id: request.id };
      case "groupInfo":
        return { id: request.id, bytes: await this.#alice.group.groupInfo() };
      case "keyPackage": {
        const guest = await newClient("guest", this.#directory);
        this.#guests.push(guest);
        return { id: request.id, bytes: (await guest.createKeyPackage()).bytes };
      }
    }
  }

  /** Nothing that the client had reported may be gone. */
  #checkReopened(report: Report): void {
    const last = this.#last;
    if (last === undefined) return;
    expect(toHex(report.signatureKey)).toBe(toHex(last.signatureKey));
    expect(report.cursor).toBeGreaterThanOrEqual(last.cursor);
    if (last.status !== "none") expect(report.status).not.toBe("none");
    if (report.authenticator !== undefined && last.authenticator !== undefined) {
      expect(report.epoch).toBeGreaterThanOrEqual(last.epoch);
    }
  }

  /** Whatever epoch it is in, its secrets are those of the others. */
  #note(report: Report): undefined {
    this.#directory.add({ identity: "victim", signatureKey: report.signatureKey });
    this.#last = report;
    if (report.authenticator === undefined) return;
    expect(toHex(report.authenticator)).toBe(this.#authenticators.get(report.epoch));
  }

  /** Every generation of a ratchet encrypts one message. RFC 9420 §9.1. */
  #record(bytes: Uint8Array): undefined {
    const decoded = decodeMlsMessage(bytes);
    if (decoded.wireFormat !== "privateMessage") return;
    const { epoch, contentType } = decoded.message;
    const secret = this.#senderDataSecrets.get(epoch);
    if (secret === undefined) throw new Error(`a message from epoch ${epoch}, which never was`);
    const sender = openSenderData(provider.suite(SUITE), decoded.message, secret);
    const ratchet = contentType === "application" ? "application" : "handshake";
    const use = `epoch ${epoch}, leaf ${sender.leafIndex}, ${ratchet} ${sender.generation}`;
    const text = toHex(bytes);
    expect(this.#used.get(use) ?? text, `${use} encrypts two messages`).toBe(text);
    this.#used.set(use, text);
  }

  async #submit(epoch: bigint, bytes: Uint8Array): Promise<boolean> {
    this.#record(bytes);
    const text = toHex(bytes);
    if (this.#log.some((entry) => toHex(entry.bytes) === text)) return true;
    if (epoch !== this.epoch) return false;
    await this.#append("commit", "victim", bytes);
    return true;
  }

  async #append(kind: Entry["kind"], author: string, bytes: Uint8Array): Promise<void> {
    const entry = { index: this.#log.length, kind, author, bytes };
    this.#log.push(entry);
    if (kind === "welcome") return;
    for (const peer of this.#peers.slice()) await this.#deliver(peer, entry);
    await this.#noteEpoch();
  }

  async #deliver(peer: Peer, { author, bytes, kind, index }: LoggedEntry): Promise<void> {
    if (author === peer.name || kind === "welcome") return;
    const outcome = await peer.group.process(bytes, { accept: true });
    // A proposal may come too late, for its author did not know of the last Commit.
    const fine = ["application", "proposal", "commit", "removed", "stale"];
    if (outcome.kind === "invalid") throw outcome.error;
    expect(fine, `entry ${index} at ${peer.name}`).toContain(outcome.kind);
    if (outcome.kind === "removed") this.#peers.splice(this.#peers.indexOf(peer), 1);
  }

  async #noteEpoch(): Promise<void> {
    const { epoch, epochAuthenticator } = this.#alice.group;
    if (this.#authenticators.has(epoch)) return;
    this.#authenticators.set(epoch, toHex(epochAuthenticator));
    this.#begins.set(epoch, this.#log.length);
    const crypto = provider.suite(SUITE);
    const loaded = await readGroup(
      {
        storage: this.#store,
        provider,
        types: storedTypes(RFC_TYPES),
        signer: async () => createSigner(crypto, await crypto.generateSignatureKeyPair()),
      },
      0,
    );
    if (loaded !== undefined) {
      this.#senderDataSecrets.set(epoch, loaded.state.epoch.secrets.senderDataSecret);
    }
  }

  /** What the client has not seen, now and then with something old. First somebody else acts. */
  async #entries(cursor: number): Promise<readonly Entry[]> {
    await this.#act();
    const entries: Entry[] = this.#log.slice(cursor);
    const old = this.#log[Math.floor(this.#random() * cursor)];
    if (old !== undefined && old.kind !== "welcome" && this.#random() < 0.3) entries.push(old);
    return entries.map(({ index, kind, bytes }) => ({ index, kind, bytes }));
  }

  async #act(): Promise<void> {
    const dice = this.#random();
    if (dice > 0.6) return;
    const peer = this.#peers[Math.floor(this.#random() * 2)] ?? this.#alice;
    const { group, name } = peer;
    const victim = group.findMembers({ identity: "victim" });
    if (dice < 0.03 && victim.length > 0) {
      await this.#commit(peer, () => group.removeMember({ identity: "victim" }));
    } else if (dice < 0.15 || group.pendingProposals.length > 0) {
      await this.#commit(peer, () => group.commit());
    } else {
      const { bytes } = await group.send(`from ${name}, ${this.#log.length}`);
      await this.#append("message", name, bytes);
    }
  }

  async #commit(
    { group, name }: Peer,
    build: () => Promise<{ readonly commit: Uint8Array }>,
  ): Promise<readonly { readonly bytes: Uint8Array }[]> {
    const { commit } = await build();
    const { welcomes } = await group.acceptCommit();
    await this.#append("commit", name, commit);
    return welcomes;
  }

  async #invite(keyPackage: Uint8Array): Promise<void> {
    const { group } = this.#alice;
    if (group.findMembers({ identity: "victim" }).length > 0) return;
    const welcomes = await this.#commit(this.#alice, () => group.add([keyPackage]));
    for (const { bytes } of welcomes) await this.#append("welcome", "alice", bytes);
  }

  /** The same Welcome may come twice, if the client was killed after sending it. */
  async #welcomeGuest(bytes: Uint8Array): Promise<void> {
    for (const guest of this.#guests) {
      try {
        const group = await guest.join(bytes);
        this.#guests = this.#guests.filter((other) => other !== guest);
        const peer = { name: "guest", group };
        this.#peers.push(peer);
        for (const entry of this.#log.slice(this.#begins.get(group.epoch))) {
          if (this.#peers.includes(peer)) await this.#deliver(peer, entry);
        }
        return;
      } catch (error) {
        if (!MlsError.is(error, "NO_MATCHING_KEY_PACKAGE")) throw error;
      }
    }
  }
}

async function newClient(
  name: string,
  directory: KeyDirectory,
  storage: Storage = memoryStorage(),
): Promise<Client> {
  const client = await Client.create({
    identity: name,
    storage,
    authenticationService: directory,
    cipherSuite: SUITE,
  });
  directory.add(client.identity);
  return client;
}
