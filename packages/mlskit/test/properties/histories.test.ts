/** Random histories of a group over a network that loses, repeats and reorders. Catalogue M-SEC-19. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromUtf8 } from "../../src/codec/index.ts";
import { type Client, type Group, MlsError, type Outcome } from "../../src/index.ts";
import {
  assertAgreement,
  SeededRandom,
  type TestGroup,
  testGroup,
  VirtualDeliveryService,
} from "../../src/testing/index.ts";

interface Party {
  readonly client: Client;
  readonly group: Group;
  readonly read: Set<string>;
}

const LARGEST = 5;

/** A group whose messages go through one ordered log and a bad network in front of every member. */
class History {
  readonly #world: TestGroup;
  readonly #service = new VirtualDeliveryService();
  readonly #random: SeededRandom;
  #parties: Party[];
  #cursor = 0;
  #named = 0;

  private constructor(world: TestGroup, seed: number) {
    this.#world = world;
    this.#random = new SeededRandom(seed);
    this.#parties = world.members.map(({ client, group }) => ({ client, group, read: new Set() }));
    this.#service.register(this.#party(0).group.id, 1n);
  }

  static async begin(seed: number): Promise<History> {
    return new History(await testGroup({ members: 3, seed }), seed);
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

  async race(from: number, other: number): Promise<void> {
    const committers = new Set([this.#party(from), this.#party(other)]);
    for (const { group } of committers) this.#submit((await group.update()).commit);
  }

  async propose(from: number, committer: number): Promise<void> {
    const [by, party] = [this.#party(from), this.#party(committer)];
    if (by === party) return;
    const { bytes } = await by.group.proposeUpdate();
    this.#submit(bytes);
    await party.group.process(bytes, { accept: true });
    this.#submit((await party.group.commit()).commit);
  }

  async add(by: number): Promise<Party | undefined> {
    if (this.#parties.length >= LARGEST) return undefined;
    const { client } = await this.#world.newClient(`newcomer ${this.#named++}`);
    const { group } = this.#party(by);
    const pending = await group.add([(await client.createKeyPackage()).bytes]);
    expect(this.#submit(pending.commit)).toBe(true);
    const { welcomes } = await group.acceptCommit();
    return { client, group: await client.join(welcomes[0]!.bytes), read: new Set() };
  }

  async joinExternally(through: number, racer: number | undefined): Promise<Party | undefined> {
    if (this.#parties.length >= LARGEST) return undefined;
    const { client } = await this.#world.newClient(`newcomer ${this.#named++}`);
    const info = await this.#party(through).group.groupInfo();
    if (racer !== undefined) this.#submit((await this.#party(racer).group.update()).commit);
    const { group, commit } = await client.joinExternally(info);
    if (this.#submit(commit)) return { client, group, read: new Set() };
    await client.rejectJoin(group.id);
    return undefined;
  }

  async remove(by: number, whom: number): Promise<void> {
    if (this.#parties.length < 3) return;
    const [party, gone] = [this.#party(by), this.#party(whom)];
    if (party === gone) return;
    this.#submit((await party.group.remove([gone.group.ownLeafIndex])).commit);
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
    expect(new Set(this.#parties.map(({ group }) => group.status))).toEqual(new Set(["active"]));
    assertAgreement(this.#parties.map(({ group }) => group));
    expect(this.#party(0).group.epoch).toBe(this.#service.epochOf(id));
    for (const { read } of this.#parties.filter((party) => old.includes(party))) {
      for (const text of expected) expect(read).toContain(text);
    }
    await this.#everybodyHears();
  }

  #disturb(entries: readonly Uint8Array[]): Uint8Array[] {
    const order = entries.flatMap((bytes) => {
      const copies = this.#random.chance(0.3) ? 0 : this.#random.chance(0.3) ? 2 : 1;
      return Array.from({ length: copies }, () => ({ bytes, at: this.#random.below(1000) }));
    });
    return order.sort((a, b) => a.at - b.at).map(({ bytes }) => bytes);
  }

  async #everybodyHears(): Promise<void> {
    const speaker = this.#random.pick(this.#parties)!;
    const { bytes } = await speaker.group.send("Can you all hear me?");
    for (const { group } of this.#parties) {
      const outcome = await group.process(bytes);
      expect(outcome.kind).toBe(group === speaker.group ? "ownMessage" : "application");
    }
  }
}

const settled = new Set<Outcome["kind"]>([
  "application",
  "commit",
  "removed",
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

const place = fc.nat(LARGEST - 1);
const step = fc.record({
  kind: fc.constantFrom(
    "quiet" as const,
    "race" as const,
    "propose" as const,
    "add" as const,
    "join" as const,
    "lateJoin" as const,
    "remove" as const,
  ),
  first: place,
  second: place,
  speakers: fc.array(place, { maxLength: 3 }),
});

test("M-SEC-19 cc-1: random histories over a bad network end in agreement", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(step, { minLength: 1, maxLength: 7 }),
      async (seed, steps) => {
        const history = await History.begin(seed);
        for (const { kind, first, second, speakers } of steps) {
          const expected: string[] = [];
          for (const speaker of speakers) await history.send(speaker, expected);
          let newcomer: Party | undefined;
          if (kind === "race") await history.race(first, second);
          if (kind === "propose") await history.propose(first, second);
          if (kind === "add") newcomer = await history.add(first);
          if (kind === "join") newcomer = await history.joinExternally(first, undefined);
          if (kind === "lateJoin") newcomer = await history.joinExternally(first, second);
          if (kind === "remove") await history.remove(first, second);
          await history.settle(newcomer, expected);
        }
      },
    ),
    { numRuns: 12 },
  );
});
