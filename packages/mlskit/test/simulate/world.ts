/** Clients, a network and a delivery service under one seed. Everything that happens follows from it. */
import { createHash } from "node:crypto";
import { applyRetention } from "../../src/production/index.ts";
import { fromHex, fromUtf8, toHex } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import {
  type CommitRequest,
  type CommitSummary,
  type Group,
  KeyDirectory,
  type Outcome,
} from "../../src/index.ts";
import {
  disagreement,
  type LogEntry,
  SeededRandom,
  seededProvider,
  type TestClock,
  testClock,
  VirtualDeliveryService,
  VirtualNetwork,
} from "../../src/testing/index.ts";
import { Device, type OutboxItem } from "./device.ts";
import { type CommitEffect, Ledger } from "./ledger.ts";
import { SealWatch } from "./seals.ts";

export interface SimulationOptions {
  readonly seed: number | string;
  readonly clients: number;
  readonly steps: number;
  /** Steps between two quiet points. Default: 500. */
  readonly quietEvery?: number | undefined;
  /** Called at every quiet point. */
  readonly onProgress?: ((world: World) => void) | undefined;
  /** Told every step, for looking into a run. */
  readonly onTrace?: ((line: string) => void) | undefined;
}

export interface WelcomeInQueue {
  readonly group: string;
  readonly bytes: Uint8Array;
  /** Of the Commit that added the client. */
  readonly sequence: number;
  readonly epoch: bigint;
}

type Payload =
  | { readonly type: "item"; readonly item: OutboxItem }
  | {
      readonly type: "commit";
      readonly group: string;
      readonly bytes: Uint8Array;
      readonly effect: CommitEffect;
    }
  | { readonly type: "ack"; readonly key: string }
  | {
      readonly type: "answer";
      readonly group: string;
      readonly bytes: Uint8Array;
      readonly accepted: boolean;
    }
  | { readonly type: "entry"; readonly group: string; readonly entry: LogEntry };

const SERVICE = "delivery service";
/** More members than this are not added to a group. */
export const GROUP_SIZE = 8;
const KEY_PACKAGES = 3;
/** Seconds that used key packages are remembered: a run of 10,000 steps is a day. */
const REMEMBERED = 6 * 3600;

export class World {
  readonly random: SeededRandom;
  readonly clock: TestClock = testClock();
  readonly ledger: Ledger = new Ledger();
  readonly service: VirtualDeliveryService = new VirtualDeliveryService();
  readonly network: VirtualNetwork<Payload>;
  readonly devices: Device[] = [];
  readonly groups: string[] = [];
  readonly seals: SealWatch;
  readonly counts = new Map<string, number>();
  readonly #options: SimulationOptions;
  readonly #trust = new KeyDirectory();
  readonly #trace = createHash("sha256");
  /** Key packages on offer, and to whom every one that was ever offered belongs. */
  readonly #offered = new Map<string, { reference: string; bytes: Uint8Array }[]>();
  readonly #owners = new Map<string, string>();
  readonly #handedOut = new Set<string>();
  /** References of key packages that were used by their owners, or deleted by them. */
  readonly #spent = new Set<string>();
  readonly #welcomes = new Map<string, WelcomeInQueue[]>();
  readonly #groupInfos = new Map<string, { epoch: bigint; bytes: Uint8Array }>();
  /** Sequence number of the Commit that began an epoch. */
  readonly #begins = new Map<string, number>();
  #nextMessage = 0;
  step = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.random = new SeededRandom(`${options.seed} world`);
    this.network = new VirtualNetwork(`${options.seed} network`);
    this.seals = new SealWatch(seededProvider(`${options.seed} keys`));
  }

  get digest(): string {
    return this.#trace.copy().digest("hex").slice(0, 32);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  note(line: string): void {
    const full = `${this.step} ${line}`;
    this.#trace.update(`${full}\n`);
    this.#options.onTrace?.(full);
  }

  /** @throws Error that ends the run */
  fail(problem: string, cause?: unknown): never {
    throw new Error(`seed ${this.#options.seed}, step ${this.step}: ${problem}`, { cause });
  }

  /** Clients with key packages, and groups of one that grow. */
  async begin(): Promise<void> {
    const { clients } = this.#options;
    for (let i = 0; i < clients; i++) {
      const device = new Device(`client ${i}`, {
        authenticationService: this.#trust,
        provider: this.seals.provider,
        clock: this.clock,
        // Each third one reserves generations, each third one keeps no groups in memory.
        config: { autoAccept: true, generationBlock: i % 3 === 1 ? 8 : 1 },
        cache: i % 3 === 2 ? "reload" : "keep",
      });
      device.isEager = i % 2 === 0;
      await device.create();
      this.#trust.add(device.client.identity);
      this.devices.push(device);
      await this.offer(device);
    }
    for (let i = 0; i < Math.max(1, Math.round(clients / 4)); i++) {
      const device = this.devices[(i * 4) % clients] as Device;
      const group = await device.client.createGroup();
      const id = toHex(group.id);
      this.groups.push(id);
      this.service.register(group.id);
      this.ledger.found(id, 0n, [device.name]);
    }
    this.seals.keep();
  }

  device(name: string): Device {
    return this.devices.find((device) => device.name === name) ?? this.fail(`no ${name}`);
  }

  // What clients do

  /**
   * One step: an operation of a client. A crash or a fault that was planned ends it, and so do
   * refusals that an application must expect; everything else is a finding.
   */
  async act<T>(
    device: Device,
    name: string,
    work: () => Promise<T>,
    expected: readonly string[] = [],
  ): Promise<T | undefined> {
    this.step++;
    this.clock.advance(this.random.below(20));
    this.count(name);
    try {
      const result = await work();
      this.#keepSeals();
      this.note(`${device.name} ${name}`);
      return result;
    } catch (error) {
      return this.#afterFailure(device, name, expected, error);
    }
  }

  #afterFailure(
    device: Device,
    name: string,
    expected: readonly string[],
    error: unknown,
  ): undefined {
    const { faults } = device;
    if (faults.hasCrashed) {
      // After the write the bytes are in the store and will be sent; before, nobody has them.
      if (faults.plan.crashAfterWrite === faults.writes) this.#keepSeals();
      else this.seals.drop();
      this.note(`${device.name} ${name}: crash`);
      this.kill(device);
      return undefined;
    }
    this.seals.drop();
    if (!(error instanceof MlsError)) this.fail(`${device.name}: ${name}: ${String(error)}`, error);
    if (isInjected(error)) {
      this.note(`${device.name} ${name}: fault`);
      this.count("storage faults");
      return undefined;
    }
    if (!expected.includes(error.code)) {
      this.fail(`${device.name}: ${name}: ${error.code} ${error.message}`, error);
    }
    this.note(`${device.name} ${name}: ${error.code}`);
    this.count(`refused: ${error.code}`);
    return undefined;
  }

  #keepSeals(): void {
    try {
      this.seals.keep();
    } catch (error) {
      this.fail(String(error), error);
    }
  }

  kill(device: Device): void {
    device.die();
    this.network.setOnline(device.name, false);
    this.count("crashes");
  }

  async restart(device: Device): Promise<void> {
    await this.act(device, "restart", () => device.restart());
    this.network.setOnline(device.name, device.isOnline);
  }

  /** Uploads key packages, those first that a crash left in the store. */
  async offer(device: Device): Promise<void> {
    const shelf = this.#offered.get(device.name) ?? [];
    this.#offered.set(device.name, shelf);
    const put = (reference: Uint8Array, bytes: Uint8Array): void => {
      const key = toHex(reference);
      if (this.#handedOut.has(key) || shelf.some((found) => found.reference === key)) return;
      this.#owners.set(key, device.name);
      shelf.push({ reference: key, bytes });
    };
    for (const { reference, bytes } of await device.client.keyPackages()) put(reference, bytes);
    if (shelf.length >= KEY_PACKAGES) return;
    const made = await device.client.createKeyPackages(KEY_PACKAGES - shelf.length);
    for (const { reference, bytes } of made) put(reference, bytes);
  }

  /** A key package of this client, which nobody else gets. */
  take(name: string): Uint8Array | undefined {
    const found = this.#offered.get(name)?.shift();
    if (found !== undefined) this.#handedOut.add(found.reference);
    return found?.bytes;
  }

  async say(device: Device, group: string): Promise<void> {
    const id = `m${++this.#nextMessage}`;
    await this.act(device, "send", () => device.send(fromHex(group), id), ["COMMIT_REQUIRED"]);
    this.#push(device);
  }

  async commit(device: Device, group: string, request: CommitRequest, name: string): Promise<void> {
    const work = (): Promise<void> => device.commit(fromHex(group), request);
    await this.act(device, name, work, REFUSALS);
    await this.submit(device, group);
  }

  /** Sends a Commit or a join that waits, unless something has to go first. */
  async submit(device: Device, id: string): Promise<void> {
    if (!device.isUp) return;
    const group = await this.look(device, id);
    if (group === undefined) return;
    const pending = group.pendingCommit;
    const join = group.joinCommit;
    if (pending !== undefined) {
      // The proposals of ours that it names must be in the log before it.
      if ([...device.outbox.values()].some((item) => item.group === id && item.kind === "message"))
        return;
      const effect = effectOf(pending.summary);
      this.#send(device, { type: "commit", group: id, bytes: pending.commit, effect });
    } else if (join !== undefined && group.status === "pendingJoin") {
      const effect = { added: [device.name], removed: [] };
      this.#send(device, { type: "commit", group: id, bytes: join, effect });
    }
  }

  /** Looks without counting as a step; faults that are planned may strike here too. */
  async #quietly<T>(work: () => Promise<T>, device: Device): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      return this.#afterFailure(device, "look", ["GROUP_NOT_FOUND"], error);
    }
  }

  /** Its group, if it has one and is not stopped by a fault that was planned. */
  look(device: Device, group: string): Promise<Group | undefined> {
    return this.#quietly(() => device.group(fromHex(group)), device);
  }

  /** The latest GroupInfo that was uploaded, or one that the service asks a member for. */
  async groupInfoOf(id: string): Promise<Uint8Array | undefined> {
    const found = this.#groupInfos.get(id);
    const epoch = this.service.epochOf(fromHex(id));
    if (found?.epoch === epoch) return found.bytes;
    for (const name of this.ledger.membersOf(id).keys()) {
      const device = this.device(name);
      if (!device.isUp || !this.network.isOnline(name)) continue;
      const group = await this.look(device, id);
      if (group?.status !== "active" || group.epoch !== epoch) continue;
      const bytes = await this.act(device, "group info", () => group.groupInfo());
      if (bytes !== undefined) this.#groupInfos.set(id, { epoch, bytes });
      return bytes;
    }
    return undefined;
  }

  /** Everything that a client does when it has time: catches up, sends what waits, joins. */
  async tend(device: Device): Promise<void> {
    if (!this.network.isOnline(device.name)) return;
    for (const group of this.groups) await this.fetch(device, group);
    if (device.isUp && device.client !== undefined && this.#shelf(device) < KEY_PACKAGES) {
      await this.act(device, "offer", () => this.offer(device));
    }
    for (const group of this.groups) await this.#takeHandOuts(device, group);
    this.#push(device);
    for (const group of this.groups) await this.submit(device, group);
    await this.joinWaiting(device);
  }

  #shelf(device: Device): number {
    return this.#offered.get(device.name)?.length ?? 0;
  }

  async #takeHandOuts(device: Device, id: string): Promise<void> {
    if (!device.isUp) return;
    const group = await this.look(device, id);
    if (group === undefined || group.toHandOut.length === 0) return;
    await this.act(device, "hand out", () => device.takeHandOuts(group.id));
  }

  #push(device: Device): void {
    if (!device.isUp) return;
    for (const item of device.outbox.values()) this.#send(device, { type: "item", item });
  }

  /** Gets what is missing from the log, in order. */
  async fetch(device: Device, id: string): Promise<void> {
    if (!device.isUp) return;
    const group = await this.look(device, id);
    if (group === undefined) return;
    const entries = this.service.entriesAfter(fromHex(id), device.cursor(id));
    device.skipTo(id, (entries[0]?.sequence ?? 1) - 1);
    for (const entry of entries) {
      if (!device.isUp) return;
      if (!device.has(id, entry.sequence)) await this.receive(device, id, entry);
    }
  }

  async receive(device: Device, group: string, entry: LogEntry): Promise<void> {
    const work = async (): Promise<void> => {
      const { outcome, discarded } = await device.receive(fromHex(group), entry);
      await this.#judge(device, group, entry, outcome);
      if (discarded !== undefined) device.lost = { group, wishes: discarded };
    };
    await this.act(device, "receive", work, ["GROUP_NOT_FOUND"]);
  }

  async #judge(device: Device, group: string, entry: LogEntry, outcome: Outcome): Promise<void> {
    this.count(`outcome: ${outcome.kind}`);
    this.note(`${device.name} ${entry.sequence} ${outcome.kind}`);
    if (outcome.kind === "invalid" || outcome.kind === "invalidProposal") {
      const { code, message } = outcome.error;
      this.fail(
        `${device.name} refuses a valid ${entry.contentType}: ${code} ${message}`,
        outcome.error,
      );
    }
    if (entry.contentType !== "application") return;
    if (["epochTooOld", "groupInactive", "generationTooOld"].includes(outcome.kind)) {
      const { epoch } = (await device.group(fromHex(group))) ?? { epoch: 0n };
      this.ledger.excuse(device.name, entry.sequence, group, { kind: outcome.kind, epoch });
    }
  }

  /** Welcomes that wait, once everything before them is processed. */
  async joinWaiting(device: Device): Promise<void> {
    const queue = this.#welcomes.get(device.name) ?? [];
    for (const welcome of queue.slice()) {
      if (!device.isUp) return;
      const group = await this.look(device, welcome.group);
      if (!device.isUp) return;
      const isIn = group !== undefined && group.status !== "inactive";
      if (group?.status === "pendingJoin" || (isIn && group.epoch < welcome.epoch)) continue;
      const isUsable = !this.#isSpent(device, welcome);
      const result = isIn ? "joined" : await this.#join(device, welcome);
      if (result === "orphan" && isUsable) this.fail(`${device.name} lost a key package`);
      // After a fault it may have taken effect, and the group may end before this is known.
      this.#spend(device, welcome);
      if (result === undefined) continue;
      if (result === "joined") {
        // Once more if a crash came between: what is processed twice is recognised.
        const { group: id, sequence } = welcome;
        const set = async (): Promise<true> => device.setCursor(id, sequence).then(() => true);
        if ((await this.act(device, "set cursor", set)) !== true) continue;
      } else {
        this.ledger.miss(welcome.group, device.name, welcome.epoch);
        const isNewest = !queue.some(
          ({ group: id, epoch }) => id === welcome.group && epoch > welcome.epoch,
        );
        // Rule P-KP-06: without its key package a member comes in by the other door.
        if (isNewest && this.ledger.membersOf(welcome.group).has(device.name)) {
          await this.joinExternally(device, welcome.group, true);
          continue;
        }
      }
      queue.splice(queue.indexOf(welcome), 1);
    }
  }

  /** References of this client's key packages that a Welcome is for. */
  #referencesOf(device: Device, { bytes }: WelcomeInQueue): string[] {
    const { wireFormat, message } = decodeMlsMessage(bytes);
    if (wireFormat !== "welcome") throw new Error("a Welcome was expected");
    const all = message.secrets.map(({ newMember }) => toHex(newMember));
    return all.filter((reference) => this.#owners.get(reference) === device.name);
  }

  #spend(device: Device, welcome: WelcomeInQueue): void {
    for (const reference of this.#referencesOf(device, welcome)) this.#spent.add(reference);
  }

  #isSpent(device: Device, welcome: WelcomeInQueue): boolean {
    return this.#referencesOf(device, welcome).some((reference) => this.#spent.has(reference));
  }

  /** Undefined if a fault or a crash came in between. */
  #join(device: Device, { bytes }: WelcomeInQueue): Promise<"joined" | "orphan" | undefined> {
    return this.act(device, "join", async () => {
      try {
        await device.client.join(bytes);
        return "joined";
      } catch (error) {
        const isOrphan =
          MlsError.is(error, "ORPHAN_WELCOME") || MlsError.is(error, "NO_MATCHING_KEY_PACKAGE");
        if (!isOrphan) throw error;
        this.count("orphaned Welcomes");
        return "orphan";
      }
    });
  }

  async joinExternally(device: Device, group: string, isResync: boolean): Promise<void> {
    // What is still owed from a former stay is read first: the join sets the cursor beyond it.
    if (!isResync) await this.fetch(device, group);
    if (!device.isUp) return;
    const groupInfo = await this.groupInfoOf(group);
    if (groupInfo === undefined || !device.isUp) return;
    const cursor = this.service.lastSequence(fromHex(group));
    const resync = isResync ? ({ resync: true } as const) : {};
    const name = isResync ? "resync" : "external join";
    const work = async (): Promise<true> => {
      await device.client.joinExternally(groupInfo, resync);
      return true;
    };
    const done = await this.act(device, name, work, REFUSALS);
    if (done === true && !isResync) {
      await this.act(device, "set cursor", () => device.setCursor(group, cursor));
    }
    await this.submit(device, group);
  }

  // The network

  #send(device: Device, payload: Payload): void {
    this.network.send(device.name, SERVICE, payload);
  }

  /** Time passes by one tick; what arrives is processed. */
  async tick(): Promise<void> {
    for (const { from, to, payload } of this.network.tick()) {
      if (to === SERVICE) this.#serve(from, payload);
      else await this.#arrive(this.device(to), payload);
    }
  }

  #serve(from: string, payload: Payload): void {
    if (payload.type === "commit") {
      const { group, bytes, effect } = payload;
      const answer = this.service.submit(bytes);
      const accepted = answer.type === "accepted";
      if (accepted && answer.isNew) {
        const before = this.ledger.membersOf(group);
        this.ledger.advance(group, answer.entry.epoch, effect, answer.entry.sequence);
        this.#begins.set(`${group} ${answer.entry.epoch + 1n}`, answer.entry.sequence);
        this.#announce(group, answer.entry, before.keys());
        this.count("commits accepted");
      } else if (!accepted) this.count("commits lost");
      this.network.send(SERVICE, from, { type: "answer", group, bytes, accepted });
    } else if (payload.type === "item") {
      this.#take(from, payload.item);
      this.network.send(SERVICE, from, { type: "ack", key: payload.item.key });
    }
  }

  #take(from: string, { kind, group, note, bytes }: OutboxItem): void {
    switch (kind) {
      case "message": {
        const answer = this.service.submit(bytes);
        if (answer.type === "conflict") this.count("messages too late");
        if (answer.type === "conflict" || !answer.isNew) return;
        const { sequence, epoch } = answer.entry;
        if (note !== "") this.ledger.deliver(note, { group, epoch, sender: from, sequence });
        this.#announce(group, answer.entry, []);
        return;
      }
      case "groupInfo": {
        const epoch = epochOfGroupInfo(bytes);
        const known = this.#groupInfos.get(group);
        if (known === undefined || known.epoch < epoch)
          this.#groupInfos.set(group, { epoch, bytes });
        return;
      }
      case "welcome": {
        const [epoch = "0", ...references] = note.split("+");
        const sequence = this.#begins.get(`${group} ${epoch}`) ?? 0;
        for (const reference of references) {
          const owner = this.#owners.get(reference);
          if (owner === undefined) continue;
          const queue = this.#welcomes.get(owner) ?? [];
          this.#welcomes.set(owner, queue);
          if (queue.some((known) => toHex(known.bytes) === toHex(bytes))) continue;
          queue.push({ group, bytes, sequence, epoch: BigInt(epoch) });
        }
      }
    }
  }

  #announce(group: string, entry: LogEntry, before: Iterable<string>): void {
    const names = new Set([...before, ...this.ledger.membersOf(group).keys()]);
    for (const name of names) this.network.send(SERVICE, name, { type: "entry", group, entry });
  }

  async #arrive(device: Device, payload: Payload): Promise<void> {
    if (!device.isUp) return;
    switch (payload.type) {
      case "ack":
        if (device.outbox.has(payload.key)) {
          await this.act(device, "acknowledge", () => device.sent([payload.key]));
        }
        return;
      case "entry":
        return this.#arriveEntry(device, payload.group, payload.entry);
      case "answer":
        return this.#arriveAnswer(device, payload);
      default:
        return undefined;
    }
  }

  async #arriveEntry(device: Device, id: string, entry: LogEntry): Promise<void> {
    const group = await this.look(device, id);
    if (group === undefined || !device.isUp) return;
    if (!device.isEager && !device.has(id, entry.sequence - 1)) await this.fetch(device, id);
    if (device.isUp) await this.receive(device, id, entry);
    if (device.isUp) await this.submit(device, id);
  }

  async #arriveAnswer(
    device: Device,
    { group: id, bytes, accepted }: Extract<Payload, { type: "answer" }>,
  ): Promise<void> {
    const group = await this.look(device, id);
    if (group === undefined) return;
    const isPending = same(group.pendingCommit?.commit, bytes);
    const isJoin = same(group.joinCommit, bytes);
    if (isPending && accepted) {
      await this.act(device, "accept", async () => void (await device.accept(fromHex(id))));
    } else if (isJoin) {
      const settle = accepted
        ? () => device.acceptJoin(fromHex(id))
        : () => device.client.rejectJoin(fromHex(id));
      await this.act(device, accepted ? "accept join" : "reject join", async () => settle());
    } else if (isPending) await this.fetch(device, id);
  }

  // Quiet points

  /** Ends all faults, lets everything arrive, and checks what must hold then. */
  async settle(): Promise<void> {
    this.network.heal();
    const { conditions } = this.network;
    this.network.conditions = { loss: 0, duplication: 0, delay: 1 };
    for (const device of this.devices) {
      Object.assign(device.faults.plan, NO_FAULTS);
      device.isOnline = true;
      this.network.setOnline(device.name, device.isUp);
    }
    let rounds = 0;
    while (!(await this.#isSettled())) {
      if (++rounds > 40) this.fail(`no rest after ${rounds} rounds: ${await this.#unrest()}`);
      for (const device of this.devices) {
        if (!device.isUp) await this.restart(device);
        await this.tend(device);
      }
      while (this.network.inFlight > 0) await this.tick();
    }
    this.network.conditions = conditions;
    await this.#check();
    await this.#tidy();
    this.count("quiet points");
    this.#options.onProgress?.(this);
  }

  async #isSettled(): Promise<boolean> {
    return this.network.inFlight === 0 && (await this.#unrest()) === undefined;
  }

  /** What is still to be done; undefined if nothing is. */
  async #unrest(): Promise<string | undefined> {
    for (const device of this.devices) {
      const { name } = device;
      if (!device.isUp) return `${name} is down`;
      if (device.outbox.size > 0) return `${name} has messages to send`;
      const welcomes = this.#welcomes.get(name) ?? [];
      if (welcomes.length > 0) return `${name} has Welcomes to use`;
      for (const group of await device.client.groups()) {
        const id = toHex(group.id);
        const isAtRest = group.status === "active" || group.status === "inactive";
        if (!isAtRest) return `${name} is ${group.status}`;
        if (group.toHandOut.length > 0) return `${name} has Welcomes to hand out`;
        if (device.cursor(id) < this.service.lastSequence(group.id)) return `${name} is behind`;
      }
    }
    return undefined;
  }

  async #check(): Promise<void> {
    for (const id of this.groups) {
      const members = this.ledger.membersOf(id);
      const present: Group[] = [];
      for (const device of this.devices) {
        const group = await device.group(fromHex(id));
        const isIn = group?.status === "active";
        if (isIn !== members.has(device.name)) {
          this.fail(`${device.name} is ${isIn ? "" : "not "}in a group, unlike the ledger says`);
        }
        if (isIn) present.push(group);
      }
      const difference = disagreement(present);
      if (difference !== undefined) this.fail(`members disagree: ${difference}`);
      const [first] = present;
      if (first === undefined) continue;
      if (first.epoch !== this.service.epochOf(first.id)) this.fail("the epoch is not the log's");
      const names = first.members().map(({ identity }) => fromUtf8(identity ?? new Uint8Array()));
      if (names.sort().join() !== [...members.keys()].sort().join()) {
        this.fail("the members are not those of the ledger");
      }
      this.count("groups compared");
      this.note(`${id} ${first.epoch} ${toHex(first.epochAuthenticator)}`);
    }
    await this.#checkReads();
    await this.#checkStores();
  }

  async #checkReads(): Promise<void> {
    const readBy = new Map<string, string[]>();
    for (const device of this.devices) {
      for (const [id, times] of await device.collectReads()) {
        if (times !== 1) this.fail(`${device.name} read message ${id} ${times} times`);
        readBy.set(id, [...(readBy.get(id) ?? []), device.name]);
      }
    }
    const { problems, messages, reads, excused } = this.ledger.settle(readBy);
    if (problems.length > 0) this.fail(problems.slice(0, 5).join("; "));
    this.count("messages delivered", messages);
    this.count("messages read", reads);
    this.count("reads missed for a stated reason", excused);
  }

  async #checkStores(): Promise<void> {
    for (const device of this.devices) {
      const groups = await device.client.groups();
      const { bytes, records } = await device.storeSize();
      const limit = 16_384 + groups.length * 81_920;
      if (bytes > limit) {
        this.fail(`the store of ${device.name} has ${records} records, ${bytes} of ${limit} bytes`);
      }
      this.counts.set("largest store", Math.max(bytes, this.counts.get("largest store") ?? 0));
    }
  }

  /** What applications clean up now and then. */
  async #tidy(): Promise<void> {
    for (const id of this.groups) {
      this.service.trim(fromHex(id), this.service.lastSequence(fromHex(id)));
    }
    for (const device of this.devices) {
      for (const { reference } of await device.client.keyPackages()) {
        if (!this.#handedOut.has(toHex(reference))) continue;
        this.#spent.add(toHex(reference));
        await device.client.deleteKeyPackage(reference);
      }
      for (const group of await device.client.groups()) {
        const isOver = group.status === "inactive";
        if (isOver && this.random.chance(0.5)) await device.client.deleteGroup(group.id);
      }
      const { records } = await applyRetention(device.client, { usedKeyPackages: REMEMBERED });
      this.count("used key packages forgotten", records);
    }
  }
}

const NO_FAULTS = {
  failRead: undefined,
  failWrite: undefined,
  crashBeforeWrite: undefined,
  crashAfterWrite: undefined,
};

/** What an application must be ready for when it wants to change a group. */
const REFUSALS: readonly string[] = [
  "COMMIT_REQUIRED",
  "PENDING_COMMIT",
  "PENDING_JOIN",
  "GROUP_INACTIVE",
  "GROUP_NOT_FOUND",
  "GROUP_EXISTS",
  "MEMBER_NOT_FOUND",
];

function effectOf(summary: CommitSummary): CommitEffect {
  const nameOf = (leaf: {
    readonly credential: CommitSummary["added"][number]["leaf"]["credential"];
  }) => (leaf.credential.type === "basic" ? fromUtf8(leaf.credential.identity) : "");
  return {
    added: summary.added.map(({ leaf }) => nameOf(leaf)),
    removed: summary.removed.map(({ leaf }) => nameOf(leaf)),
  };
}

function epochOfGroupInfo(bytes: Uint8Array): bigint {
  const decoded = decodeMlsMessage(bytes);
  return decoded.wireFormat === "groupInfo" ? decoded.message.groupContext.epoch : 0n;
}

function isInjected(error: MlsError): boolean {
  const { cause } = error;
  if (cause instanceof MlsError) return isInjected(cause);
  return cause instanceof Error && cause.message === "injected fault";
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && toHex(a) === toHex(b);
}
