/** One history of a group over a network that loses, repeats and reorders. RFC 9420 §12, §14. */
import { expect } from "vitest";
import { fromUtf8, utf8 } from "../../src/codec/index.ts";
import { createSigner, Secret } from "../../src/crypto/index.ts";
import {
  type Client,
  type CommitRequest,
  customProposal,
  type Group,
  MlsError,
  type Outcome,
  type RegisteredTypes,
  type SentProposalView,
} from "../../src/index.ts";
import { defaultProvider } from "../../src/providers/default.ts";
import {
  assertAgreement,
  SeededRandom,
  type TestGroup,
  testGroup,
  VirtualDeliveryService,
} from "../../src/testing/index.ts";

export interface Party {
  readonly client: Client;
  readonly group: Group;
  readonly read: Set<string>;
  /** The epoch in which it came, before which it knows no secrets. */
  readonly since: bigint;
}

export const LARGEST = 5;

/** What a step of a history does. */
export const OPERATIONS = [
  "quiet",
  "race",
  "update",
  "add",
  "join",
  "lateJoin",
  "remove",
  "leave",
  "swap",
  "psk",
  "resumptionPsk",
  "extensions",
  "custom",
  "rotate",
  "reInit",
  "branch",
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** Everybody knows its secret. */
const PSK = utf8("a word of mouth");
const CUSTOM = 0xf001;
const TOPIC = 0xf0a1;

const types: RegisteredTypes = {
  proposals: new Map([[CUSTOM, { requiresPath: false }]]),
  credentials: new Map(),
  extensions: new Set([TOPIC]),
};

/** A group whose messages go through one ordered log and a bad network in front of every member. */
export class History {
  readonly #world: TestGroup;
  readonly #service = new VirtualDeliveryService();
  readonly #random: SeededRandom;
  #parties: readonly Party[];
  #cursor = 0;
  #named = 0;

  private constructor(world: TestGroup, seed: number) {
    this.#world = world;
    this.#random = new SeededRandom(seed);
    this.#parties = world.members.map(({ client, group }) => newParty(client, group));
    this.#service.register(this.#party(0).group.id, 1n);
  }

  static async begin(seed: number): Promise<History> {
    const psk = (id: { readonly type: string }) =>
      id.type === "external" ? new Secret(utf8("what everybody was told")) : undefined;
    return new History(await testGroup({ members: 3, seed, types, psk }), seed);
  }

  #party(index: number): Party {
    return this.#parties[index % this.#parties.length]!;
  }

  /** What the service takes is in the log; what it does not take never reached anybody. */
  #submit(bytes: Uint8Array): boolean {
    return this.#service.submit(bytes).type === "accepted";
  }

  async send(from: number, expected: string[]): Promise<void> {
    const party = this.#party(from);
    const text = `message ${this.#named++}`;
    try {
      const { bytes } = await party.group.send(text);
      expect(this.#submit(bytes)).toBe(true);
      party.read.add(text);
      expected.push(text);
    } catch (error) {
      if (!MlsError.is(error, "COMMIT_REQUIRED", "PENDING_JOIN")) throw error;
    }
  }

  /** Does one thing; a member that comes in by it is returned and not settled yet. */
  async act(kind: Operation, first: number, second: number): Promise<Party | undefined> {
    const [by, other] = [this.#party(first), this.#party(second)];
    const isEven = (first + second) % 2 === 0;
    switch (kind) {
      case "quiet":
        return undefined;
      case "race":
        for (const { group } of new Set([by, other])) this.#submit((await group.update()).commit);
        return undefined;
      case "update":
        if (by !== other) await this.#propose(by, other, await by.group.proposeUpdate());
        return undefined;
      case "add":
        return this.#add(by, isEven ? { psks: [PSK] } : {});
      case "join":
        return this.#joinExternally(by, undefined, isEven ? [PSK] : []);
      case "lateJoin":
        return this.#joinExternally(by, other, []);
      case "remove":
        if (by === other || this.#parties.length < 3) return undefined;
        return this.#commit(by, { remove: [other.group.ownLeafIndex] });
      case "leave":
        if (by === other || this.#parties.length < 3) return undefined;
        return this.#propose(by, other, await by.group.leave());
      case "swap":
        if (by === other) return undefined;
        return this.#add(by, { remove: [other.group.ownLeafIndex] });
      case "psk":
        if (isEven) return this.#commit(by, { psks: [PSK], withoutPath: true });
        return this.#propose(by, other, await by.group.proposePsk(PSK));
      case "resumptionPsk": {
        const epoch = this.#commonEpoch();
        if (isEven) return this.#commit(by, { resumptionPsks: [{ epoch }], withoutPath: true });
        return this.#propose(by, other, await by.group.proposeResumptionPsk({ epoch }));
      }
      case "extensions": {
        const extensions = [{ type: TOPIC, data: utf8(`topic ${this.#named++}`) }];
        if (isEven) return this.#commit(by, { extensions });
        const proposal = { type: "groupContextExtensions", extensions } as const;
        return this.#propose(by, other, await by.group.propose(proposal));
      }
      case "custom": {
        const proposal = customProposal(CUSTOM, utf8(`body ${this.#named++}`));
        if (isEven) return this.#commit(by, { proposals: [proposal] });
        return this.#propose(by, other, await by.group.propose(proposal));
      }
      case "rotate":
        return this.#rotate(by, isEven ? undefined : other);
      case "reInit": {
        const groupId = isEven ? by.group.id : utf8(`successor ${this.#named++}`);
        const extensions = [{ type: TOPIC, data: utf8("a new start") }];
        return this.#commit(by, { reInit: { groupId, version: 1, cipherSuite: 1, extensions } });
      }
      case "branch":
        return this.#branch(by, other);
    }
  }

  async #commit({ group }: Pick<Party, "group">, request: CommitRequest): Promise<undefined> {
    expect(this.#submit((await group.commit(request)).commit)).toBe(true);
    return undefined;
  }

  /** The one proposes, the other commits what was proposed. */
  async #propose(by: Party, committer: Party, { bytes }: SentProposalView): Promise<undefined> {
    expect(this.#submit(bytes)).toBe(true);
    if (by !== committer) await committer.group.process(bytes, { accept: true });
    const { commit, unused = [] } = await committer.group.commit();
    expect(unused).toEqual([]);
    expect(this.#submit(commit)).toBe(true);
    return undefined;
  }

  async #newcomer(): Promise<Client> {
    return (await this.#world.newClient(`newcomer ${this.#named++}`)).client;
  }

  /** Adds a newcomer, in the place of whoever is removed. */
  async #add({ group }: Party, request: CommitRequest): Promise<Party | undefined> {
    const { remove } = request;
    if (remove === undefined && this.#parties.length >= LARGEST) return undefined;
    const client = await this.#newcomer();
    const add = [(await client.createKeyPackage()).bytes];
    const change = remove === undefined ? { ...request, add } : { swap: { remove, add } };
    await this.#commit({ group }, change);
    const { welcomes } = await group.acceptCommit();
    return newParty(client, await client.join(welcomes[0]!.bytes));
  }

  async #joinExternally(
    through: Party,
    racer: Party | undefined,
    psks: readonly Uint8Array[],
  ): Promise<Party | undefined> {
    if (this.#parties.length >= LARGEST) return undefined;
    const client = await this.#newcomer();
    const info = await through.group.groupInfo();
    if (racer !== undefined) this.#submit((await racer.group.update()).commit);
    const { group, commit } = await client.joinExternally(info, { psks });
    if (this.#submit(commit)) return newParty(client, group);
    await client.rejectJoin(group.id);
    return undefined;
  }

  /** A new signature key: by a Commit of our own, or by an Update that the other commits. */
  async #rotate(by: Party, committer: Party | undefined): Promise<undefined> {
    const { client, group } = by;
    const identity = fromUtf8(client.identity.identity);
    if (committer === undefined) {
      const next = await client.addIdentity({ identity, cipherSuite: 1 });
      this.#world.directory.add(next);
      return this.#commit(by, { identity: next });
    }
    if (by === committer) return undefined;
    const suite = defaultProvider().suite(1);
    const signer = createSigner(suite, await suite.generateSignatureKeyPair());
    this.#world.directory.add({ identity, signatureKey: signer.publicKey });
    return this.#propose(by, committer, await group.proposeUpdate({ signer }));
  }

  /** A second group of all but one, which lives beside this one for a while. */
  async #branch(by: Party, left: Party): Promise<undefined> {
    const others = this.#parties.filter((party) => party !== by && party !== left);
    const packages = await Promise.all(others.map(({ client }) => client.createKeyPackage()));
    const keyPackages = packages.map(({ bytes }) => bytes);
    const { group, welcomes } = await by.client.createBranch(by.group.id, keyPackages);
    const branch = [newParty(by.client, group)];
    for (const { client } of others) {
      branch.push(newParty(client, await client.join(welcomes[0]!.bytes)));
    }
    assertAgreement(branch.map((party) => party.group));
    await this.#everybodyHears(branch);
    const { id } = group;
    for (const { client } of branch) await client.deleteGroup(id);
    return undefined;
  }

  /** A past epoch that everybody has lived in, as far back as secrets are kept. */
  #commonEpoch(): bigint {
    const { epoch, config } = this.#party(0).group;
    const kept = epoch - BigInt(config.resumptionPsks);
    const earliest = [kept, ...this.#parties.map(({ since }) => since)];
    return earliest.reduce((a, b) => (a > b ? a : b));
  }

  /** After a ReInit: somebody starts the new group, and all others follow. RFC 9420 §11.2. */
  async #succeed(): Promise<void> {
    const creator = this.#random.pick(this.#parties)!;
    const others = this.#parties.filter((party) => party !== creator);
    const packages = await Promise.all(others.map(({ client }) => client.createKeyPackage()));
    const keyPackages = packages.map(({ bytes }) => bytes);
    const { group, welcomes } = await creator.client.createSuccessor(creator.group.id, keyPackages);
    const next = [newParty(creator.client, group)];
    for (const { client } of others) {
      next.push(newParty(client, await client.join(welcomes[0]!.bytes)));
    }
    this.#parties = next;
    this.#service.register(group.id, group.epoch);
    this.#cursor = 0;
  }

  /** Delivers what is new: first as a bad network would, then again from the log, in order. */
  async settle(newcomer: Party | undefined, expected: readonly string[]): Promise<void> {
    const { id } = this.#party(0).group;
    const entries = this.#service.entriesAfter(id, this.#cursor).map(({ bytes }) => bytes);
    this.#cursor = this.#service.lastSequence(id);
    const old = this.#parties;
    if (newcomer !== undefined) this.#parties = [...old, newcomer];
    for (const party of this.#parties) {
      for (const bytes of [...this.#disturb(entries), ...entries]) await receive(party, bytes);
    }
    this.#parties = this.#parties.filter(({ group }) => group.status !== "inactive");
    for (const { read } of this.#parties.filter((party) => old.includes(party))) {
      for (const text of expected) expect(read).toContain(text);
    }
    const statuses = [...new Set(this.#parties.map(({ group }) => group.status))];
    expect(statuses).toHaveLength(1);
    expect(this.#party(0).group.epoch).toBe(this.#service.epochOf(id));
    if (statuses[0] === "suspended") await this.#succeed();
    else expect(statuses).toEqual(["active"]);
    assertAgreement(this.#parties.map(({ group }) => group));
    await this.#everybodyHears(this.#parties);
  }

  #disturb(entries: readonly Uint8Array[]): Uint8Array[] {
    const order = entries.flatMap((bytes) => {
      const copies = this.#random.chance(0.3) ? 0 : this.#random.chance(0.3) ? 2 : 1;
      return Array.from({ length: copies }, () => ({ bytes, at: this.#random.below(1000) }));
    });
    return order.sort((a, b) => a.at - b.at).map(({ bytes }) => bytes);
  }

  async #everybodyHears(parties: readonly Party[]): Promise<void> {
    const speaker = this.#random.pick(parties)!;
    const { bytes } = await speaker.group.send("Can you all hear me?");
    for (const { group } of parties) {
      const outcome = await group.process(bytes);
      expect(outcome.kind).toBe(group === speaker.group ? "ownMessage" : "application");
    }
  }
}

function newParty(client: Client, group: Group): Party {
  return { client, group, read: new Set(), since: group.epoch };
}

const settled = new Set<Outcome["kind"]>([
  "application",
  "commit",
  "removed",
  "reinit",
  "proposal",
  "ownCommit",
  "ownMessage",
  "ownProposal",
  "duplicate",
  "future",
  "farFuture",
  "buffered",
  "missingProposal",
  "stale",
  "epochTooOld",
  "groupInactive",
]);

async function receive({ group, read }: Party, bytes: Uint8Array): Promise<void> {
  note(await group.process(bytes, { accept: true }), read);
}

function note(outcome: Outcome, read: Set<string>): void {
  expect(settled).toContain(outcome.kind);
  if (outcome.kind === "application") {
    const text = fromUtf8(outcome.data);
    // Nothing is read twice.
    expect(read).not.toContain(text);
    read.add(text);
  }
  if ("replayed" in outcome) for (const later of outcome.replayed) note(later, read);
}
