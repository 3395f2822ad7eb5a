/** Damaged bytes and forged structures against decoders and live groups. Rules err-2, codec-2; M-SEC-19. */
import { encode } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { decodeMlsMessage, MlsMessage } from "../../src/framing/mls-message.ts";
import type { Outcome } from "../../src/index.ts";
import { Insider } from "./insider.ts";
import {
  AAD,
  fingerprint,
  type LiveGroup,
  liveGroup,
  type Party,
  stateOf,
  type Target,
} from "./live-group.ts";
import { mutate } from "./mutate.ts";
import { SeededRandom } from "./random.ts";

/** What was done how often. */
export interface Executions {
  decoder: number;
  /** Damaged messages to members. */
  damaged: number;
  /** Welcomes and GroupInfos, damaged or forged. */
  joins: number;
  /** Messages that are signed and wrong. */
  forged: number;
}

export interface FuzzReport {
  readonly executions: Executions;
  /** By outcome kind or error code. */
  readonly rejections: Map<string, number>;
  readonly findings: string[];
  honest: number;
  epochs: number;
  /** Smallest heap seen in the first and in the last part of the run, in MiB. */
  heap: readonly [first: number, last: number];
}

/** Outcomes after which nothing may have changed. */
const UNCHANGED: ReadonlySet<Outcome["kind"]> = new Set<Outcome["kind"]>([
  "invalid",
  "invalidProposal",
  "duplicate",
  "ownMessage",
  "ownProposal",
  "stale",
  "farFuture",
  "epochTooOld",
  "generationTooOld",
  "generationTooFar",
  "unknownGroup",
  "wrongGroup",
  "welcome",
  "groupInfo",
  "keyPackage",
]);

/** CPU time of one call: what takes longer is a hang. */
const PATIENCE_MS = 2000;

export class Fuzzer {
  readonly report: FuzzReport = {
    executions: { decoder: 0, damaged: 0, joins: 0, forged: 0 },
    rejections: new Map(),
    findings: [],
    honest: 0,
    epochs: 0,
    heap: [0, 0],
  };
  readonly #random: SeededRandom;
  readonly #live: LiveGroup;
  readonly #insider: Insider;
  readonly #heap: number[] = [];

  private constructor(random: SeededRandom, live: LiveGroup, insider: Insider) {
    this.#random = random;
    this.#live = live;
    this.#insider = insider;
  }

  static async start(seed: number): Promise<Fuzzer> {
    const random = new SeededRandom(seed);
    return new Fuzzer(random, await liveGroup(), await Insider.start(random));
  }

  get total(): number {
    const { decoder, damaged, joins, forged } = this.report.executions;
    return decoder + damaged + joins + forged;
  }

  /** Until `isOver`; every round ends with honest traffic. */
  async run(isOver: () => boolean): Promise<FuzzReport> {
    while (!isOver()) {
      const all = [...this.#live.parties, this.#insider.target];
      const before = await Promise.all(all.map((target) => fingerprint(target)));
      for (let i = 0; i < 500; i++) this.#attackDecoder();
      for (let i = 0; i < 10; i++) await this.#attackJoin();
      const after = await Promise.all(all.map((target) => fingerprint(target)));
      if (after.join() !== before.join()) this.#find("what was refused changed a record");
      for (let i = 0; i < 5; i++) await this.#attackGroup();
      for (let i = 0; i < 40; i++) await this.#attackFromInside();
      await this.#attackInvited();
      await this.#honestRound();
      this.#heap.push(process.memoryUsage().heapUsed / 2 ** 20);
    }
    const third = Math.max(1, Math.floor(this.#heap.length / 3));
    this.report.heap = [
      Math.min(...this.#heap.slice(0, third)),
      Math.min(...this.#heap.slice(-third)),
    ];
    return this.report;
  }

  #attackDecoder(): void {
    const bytes = this.#damagedCorpus();
    this.report.executions.decoder += 1;
    try {
      const decoded = decodeMlsMessage(bytes);
      const again = encode(MlsMessage, decoded);
      const isSame = again.length === bytes.length && again.every((byte, i) => byte === bytes[i]);
      if (!isSame) this.#find("a decoded message encodes to other bytes", bytes);
      this.#count(`decoded ${decoded.wireFormat}`);
    } catch (error) {
      if (MlsError.is(error) && error.blame !== "internal" && error.blame !== "usage") {
        this.#count(error.code);
      } else this.#find(`the decoder threw ${String(error)}`, bytes);
    }
  }

  /** A fresh honest message is damaged before it arrives; the honest one must still work. */
  async #attackGroup(): Promise<void> {
    const [sender, receiver] = this.#pair();
    const honest = (await sender.group.send(this.#random.bytes(20), { authenticatedData: AAD }))
      .bytes;
    for (let i = 0; i < 10; i++) {
      await this.#shootDamaged(receiver, mutate(honest, this.#random, this.#live.corpus));
    }
    for (let i = 0; i < 10; i++) await this.#shootDamaged(receiver, this.#damagedCorpus());
    for (const party of this.#live.parties) {
      if (party !== sender) await this.#expect(party, honest, "application");
    }
  }

  async #attackJoin(): Promise<void> {
    const party = this.#random.pick(this.#live.parties);
    await this.#join(party, this.#damagedCorpus(), "a damaged join changed the state");
  }

  /** Correctly sealed by a member, for somebody who may expect it. */
  async #attackInvited(): Promise<void> {
    const { target, welcome, groupInfo } = await this.#insider.invitation();
    await this.#join(target, groupInfo, "a forged GroupInfo changed the state");
    await this.#join(target, welcome, "a forged Welcome changed the state");
  }

  async #join(target: Target, bytes: Uint8Array, what: string): Promise<void> {
    const before = await stateOf(target);
    this.report.executions.joins += 1;
    const start = process.cpuUsage();
    try {
      if (bytes[3] === 3) await target.client.join(bytes);
      else await target.client.checkGroupInfo(bytes);
      this.#count("accepted");
      if (bytes[3] === 3) return;
    } catch (error) {
      if (MlsError.is(error) && error.blame !== "internal") this.#count(error.code);
      else this.#find(`joining threw ${String(error)}`, bytes);
    }
    this.#checkTime(start, bytes);
    if ((await stateOf(target)) !== before) this.#find(what, bytes);
  }

  /** Commits and proposals are not taken over, so that the group stays one; messages are read. */
  async #attackFromInside(): Promise<void> {
    const bytes = await this.#insider.message();
    this.report.executions.forged += 1;
    await this.#shoot(this.#insider.target, bytes);
  }

  async #shootDamaged(target: Party, bytes: Uint8Array): Promise<void> {
    this.report.executions.damaged += 1;
    const kind = await this.#shoot(target, bytes);
    if (kind === "application" || kind === "commit") {
      this.#find(`a damaged message was accepted as ${kind}`, bytes);
    }
  }

  async #shoot(target: Target, bytes: Uint8Array): Promise<Outcome["kind"] | undefined> {
    const before = await stateOf(target);
    const start = process.cpuUsage();
    let outcome: Outcome;
    try {
      outcome = await target.client.process(bytes, { accept: false });
    } catch (error) {
      if (MlsError.is(error) && (error.blame === "state" || error.blame === "policy")) {
        this.#count(error.code);
        if ((await stateOf(target)) !== before) {
          this.#find(`a message refused with ${error.code} changed the state`, bytes);
        }
      } else this.#find(`processing threw ${String(error)}`, bytes);
      return undefined;
    }
    this.#checkTime(start, bytes);
    const blame = "error" in outcome ? outcome.error.blame : undefined;
    if (blame === "internal" || blame === "usage") {
      this.#find(`a message was answered with a ${blame} error`, bytes);
    }
    this.#count("error" in outcome ? outcome.error.code : outcome.kind);
    if (UNCHANGED.has(outcome.kind) && (await stateOf(target)) !== before) {
      this.#find(`a message with the outcome ${outcome.kind} changed the state`, bytes);
    }
    return outcome.kind;
  }

  /** A Commit by somebody, public or private, damaged first and then delivered as it was. */
  async #honestRound(): Promise<void> {
    if (!(await this.#insider.goOn())) this.#find("the client does not follow an honest Commit");
    const [committer] = this.#pair();
    const others = this.#live.parties.filter((party) => party !== committer);
    const wireForm = this.#random.below(2) === 0 ? "public" : "private";
    const pending = await committer.group.update({}, { wireForm, authenticatedData: AAD });
    for (const party of others) {
      for (let i = 0; i < 10; i++) {
        await this.#shootDamaged(party, mutate(pending.commit, this.#random, this.#live.corpus));
      }
    }
    for (const party of others) await this.#expect(party, pending.commit, "commit");
    await committer.group.acceptCommit();
    this.report.epochs += 2;
    this.#live.corpus.push(pending.commit);
    if (this.#live.corpus.length > 60) this.#live.corpus.splice(8, 1);
    const seen = new Set(
      this.#live.parties.map(({ group }) => Buffer.from(group.epochAuthenticator).toString("hex")),
    );
    if (seen.size !== 1) this.#find("the members disagree after an honest Commit", pending.commit);
  }

  async #expect(party: Party, bytes: Uint8Array, kind: Outcome["kind"]): Promise<void> {
    this.report.honest += 1;
    const outcome = await party.client.process(bytes, { accept: true });
    if (outcome.kind !== kind) this.#find(`an honest message became ${outcome.kind}`, bytes);
  }

  #damagedCorpus(): Uint8Array {
    return mutate(this.#random.pick(this.#live.corpus), this.#random, this.#live.corpus);
  }

  #pair(): [Party, Party] {
    const { parties } = this.#live;
    const first = this.#random.below(parties.length);
    const second = (first + 1 + this.#random.below(parties.length - 1)) % parties.length;
    const [a, b] = [parties[first], parties[second]];
    if (a === undefined || b === undefined) throw new Error("nobody is there");
    return [a, b];
  }

  #checkTime(start: NodeJS.CpuUsage, bytes: Uint8Array): void {
    const { user, system } = process.cpuUsage(start);
    if ((user + system) / 1000 > PATIENCE_MS) this.#find("processing took too long", bytes);
  }

  #count(code: string): void {
    this.report.rejections.set(code, (this.report.rejections.get(code) ?? 0) + 1);
  }

  #find(what: string, bytes?: Uint8Array): void {
    if (this.report.findings.length >= 20) return;
    const shown =
      bytes === undefined ? "" : `: ${Buffer.from(bytes).toString("hex").slice(0, 4000)}`;
    this.report.findings.push(what + shown);
  }
}
