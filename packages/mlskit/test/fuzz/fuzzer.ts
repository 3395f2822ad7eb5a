/** Mutated bytes against decoders and against a live group. Rules err-2, codec-2; M-SEC-19. */
import { encode } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { decodeMlsMessage, MlsMessage } from "../../src/framing/mls-message.ts";
import type { Outcome } from "../../src/index.ts";
import { AAD, fingerprint, type LiveGroup, liveGroup, type Party } from "./live-group.ts";
import { mutate } from "./mutate.ts";
import { SeededRandom } from "./random.ts";

export interface FuzzReport {
  executions: number;
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

/** One call may not take longer: what takes longer is a hang. */
const PATIENCE_MS = 5000;

export class Fuzzer {
  readonly report: FuzzReport = {
    executions: 0,
    rejections: new Map(),
    findings: [],
    honest: 0,
    epochs: 0,
    heap: [0, 0],
  };
  readonly #random: SeededRandom;
  #live: LiveGroup;
  #heap: number[] = [];

  private constructor(seed: number, live: LiveGroup) {
    this.#random = new SeededRandom(seed);
    this.#live = live;
  }

  static async start(seed: number): Promise<Fuzzer> {
    return new Fuzzer(seed, await liveGroup());
  }

  /** Until `isOver`; every round ends with honest traffic. */
  async run(isOver: () => boolean): Promise<FuzzReport> {
    while (!isOver()) {
      for (let i = 0; i < 200; i++) this.#attackDecoder();
      for (let i = 0; i < 20; i++) await this.#attackGroup();
      await this.#attackJoin();
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
    const bytes = mutate(this.#random.pick(this.#live.corpus), this.#random, this.#live.corpus);
    this.report.executions += 1;
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
    await this.#shoot(receiver, mutate(honest, this.#random, this.#live.corpus));
    await this.#shoot(
      receiver,
      mutate(this.#random.pick(this.#live.corpus), this.#random, [honest]),
    );
    for (const party of this.#live.parties) {
      if (party !== sender) await this.#expect(party, honest, "application");
    }
  }

  async #attackJoin(): Promise<void> {
    const bytes = mutate(this.#random.pick(this.#live.corpus), this.#random, this.#live.corpus);
    const party = this.#random.pick(this.#live.parties);
    const before = await fingerprint(party.storage);
    this.report.executions += 1;
    try {
      if (this.#random.below(2) === 0) await party.client.join(bytes);
      else await party.client.checkGroupInfo(bytes);
      this.#count("accepted");
    } catch (error) {
      if (MlsError.is(error) && error.blame !== "internal") this.#count(error.code);
      else this.#find(`joining threw ${String(error)}`, bytes);
    }
    if ((await fingerprint(party.storage)) !== before)
      this.#find("a failed join changed the store", bytes);
  }

  async #shoot(target: Party, bytes: Uint8Array): Promise<void> {
    this.report.executions += 1;
    const before = await fingerprint(target.storage);
    const started = Date.now();
    let outcome: Outcome;
    try {
      outcome = await target.client.process(bytes);
    } catch (error) {
      if (MlsError.is(error) && (error.blame === "state" || error.blame === "policy")) {
        this.#count(error.code);
        if ((await fingerprint(target.storage)) !== before) {
          this.#find(`a message refused with ${error.code} changed the store`, bytes);
        }
      } else this.#find(`processing threw ${String(error)}`, bytes);
      return;
    }
    if (Date.now() - started > PATIENCE_MS) this.#find("processing took too long", bytes);
    this.#count("error" in outcome ? outcome.error.code : outcome.kind);
    if (UNCHANGED.has(outcome.kind) && (await fingerprint(target.storage)) !== before) {
      this.#find(`a message with the outcome ${outcome.kind} changed the store`, bytes);
    }
    if (outcome.kind === "application" || outcome.kind === "commit") {
      this.#find(`a damaged message was accepted as ${outcome.kind}`, bytes);
    }
  }

  /** A Commit by somebody, public or private, damaged first and then delivered as it was. */
  async #honestRound(): Promise<void> {
    const [committer] = this.#pair();
    const others = this.#live.parties.filter((party) => party !== committer);
    const wireForm = this.#random.below(2) === 0 ? "public" : "private";
    const pending = await committer.group.update({}, { wireForm, authenticatedData: AAD });
    for (const party of others) {
      for (let i = 0; i < 5; i++) {
        await this.#shoot(party, mutate(pending.commit, this.#random, this.#live.corpus));
      }
    }
    for (const party of others) await this.#expect(party, pending.commit, "commit");
    await committer.group.acceptCommit();
    this.report.epochs += 1;
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

  #pair(): [Party, Party] {
    const { parties } = this.#live;
    const first = this.#random.below(parties.length);
    const second = (first + 1 + this.#random.below(parties.length - 1)) % parties.length;
    const [a, b] = [parties[first], parties[second]];
    if (a === undefined || b === undefined) throw new Error("nobody is there");
    return [a, b];
  }

  #count(code: string): void {
    this.report.rejections.set(code, (this.report.rejections.get(code) ?? 0) + 1);
  }

  #find(what: string, bytes: Uint8Array): void {
    if (this.report.findings.length < 20) {
      this.report.findings.push(`${what}: ${Buffer.from(bytes).toString("hex").slice(0, 4000)}`);
    }
  }
}
