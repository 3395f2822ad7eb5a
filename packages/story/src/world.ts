/** Where the story happens: the members, the delivery service, and what was said. */
import { createHash } from "node:crypto";
import {
  type AcceptedCommit,
  type CommitRequest,
  type Group,
  KeyDirectory,
  type Outcome,
  type PendingCommitView,
} from "mlskit";
import { DeliveryService, type Verdict } from "./delivery-service.ts";
import { Member } from "./member.ts";
import type { Narrator } from "./narrator.ts";
import { nameOf } from "./names.ts";
import type { StoryOptions } from "./options.ts";

/** Members with a store on disk, who read everything. */
export const CAST = 20;
/** In larger groups the others are loaded from their stores when they get their mail. */
const RESIDENTS = 200;

export class World {
  readonly options: StoryOptions;
  readonly narrator: Narrator;
  readonly delivery: DeliveryService = new DeliveryService();
  /** Everybody, in the group or not. */
  readonly people: Member[] = [];
  /** Who is in the group now. */
  readonly members: Member[] = [];
  readonly problems: string[] = [];
  readonly #directory = new KeyDirectory();
  /** What was written, and by how many it was read. */
  readonly #texts: { readonly text: string; readers: number }[] = [];

  constructor(options: StoryOptions, narrator: Narrator) {
    this.options = options;
    this.narrator = narrator;
  }

  /** Makes the next person, with an identity that all others believe. */
  async createPerson(directory: string): Promise<Member> {
    const index = this.people.length;
    const { suite, members } = this.options;
    const { member, identity } = await Member.create({
      name: nameOf(index),
      suite,
      authenticationService: this.#directory,
      directory: index < CAST ? directory : undefined,
      isResident: index < CAST || members <= RESIDENTS,
    });
    this.#directory.add(identity);
    this.people.push(member);
    return member;
  }

  get sent(): number {
    return this.#texts.length;
  }

  get read(): number {
    return this.#texts.reduce((sum, { readers }) => sum + readers, 0);
  }

  readersOf(number: number): number {
    return this.#texts[number]?.readers ?? 0;
  }

  person(name: string): Member {
    const found = this.people.find((member) => member.name === name);
    if (found === undefined) throw new Error(`nobody is called ${name}`);
    return found;
  }

  /** Encrypts the next text. Its number travels along, so that every reader can be checked. */
  async write(
    author: Member,
  ): Promise<{ readonly bytes: Uint8Array; readonly text: string; readonly number: number }> {
    const { texts } = this.options;
    const number = this.#texts.length;
    const text = texts[number % texts.length] ?? "";
    const group = await author.group();
    const { bytes } = await group.send(text, { authenticatedData: encodeNumber(number) });
    this.#texts.push({ text, readers: 0 });
    return { bytes, text, number };
  }

  /** Gives a member its mail. Returns what became of it, messages that had waited included. */
  async deliver(member: Member): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const { bytes } of this.delivery.collect(member.name)) {
      outcomes.push(...(await this.receive(member, bytes)));
    }
    return outcomes;
  }

  async receive(member: Member, bytes: Uint8Array): Promise<Outcome[]> {
    const outcome = await (await member.group()).process(bytes, { accept: true });
    const outcomes = [outcome, ...("replayed" in outcome ? outcome.replayed : [])];
    for (const each of outcomes) this.#check(member, each);
    return outcomes;
  }

  /** Gives their mail to all who are in memory; the others get it in the next {@link deliverAll}. */
  async deliverSoon(what = "reading mail"): Promise<void> {
    await this.#deliver(
      this.members.filter(({ isResident }) => isResident),
      what,
    );
  }

  /** Gives everybody their mail. */
  async deliverAll(what = "reading mail"): Promise<void> {
    await this.#deliver(this.members, what);
  }

  async #deliver(members: readonly Member[], what: string): Promise<void> {
    const waiting = members.filter(({ name }) => this.delivery.hasMail(name));
    const step = this.narrator.progress("mail", what, waiting.length);
    for (const member of waiting) {
      await this.deliver(member);
      member.rest();
      step();
    }
  }

  /** Asks the delivery service to take a Commit. */
  offer(author: Member, { epoch, commit }: PendingCommitView): Verdict {
    return this.delivery.submitCommit(author.name, epoch - 1n, commit);
  }

  /** Offers a Commit that nobody contests, and begins its epoch. */
  async settle(author: Member, pending: PendingCommitView): Promise<AcceptedCommit> {
    const verdict = this.offer(author, pending);
    if (!verdict.isAccepted) throw new Error(`${verdict.winner} was faster than ${author.name}`);
    return (await author.group()).acceptCommit();
  }

  async commit(author: Member, request: CommitRequest): Promise<AcceptedCommit> {
    return this.settle(author, await (await author.group()).commit(request));
  }

  /** From now on these people are in the group and get its mail. */
  admit(newcomers: readonly Member[]): void {
    for (const member of newcomers) {
      this.delivery.subscribe(member.name);
      this.members.push(member);
    }
  }

  dismiss(member: Member): void {
    this.delivery.unsubscribe(member.name);
    this.members.splice(this.members.indexOf(member), 1);
  }

  /** Different epoch authenticators, with how many members have each. */
  async authenticators(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const step = this.narrator.progress("compare", "comparing", this.members.length);
    for (const member of this.members) {
      const digest = fingerprint(await member.group());
      counts.set(digest, (counts.get(digest) ?? 0) + 1);
      member.rest();
      step();
    }
    return counts;
  }

  #check(member: Member, outcome: Outcome): void {
    if (outcome.kind === "invalid" || outcome.kind === "invalidProposal") {
      this.problems.push(`${member.name} refused a message: ${outcome.error.message}`);
    }
    if (outcome.kind !== "application") return;
    const written = this.#texts[decodeNumber(outcome.authenticatedData)];
    if (written?.text === new TextDecoder().decode(outcome.data)) written.readers += 1;
    else this.problems.push(`${member.name} read something that nobody wrote`);
  }
}

/** Enough of the epoch authenticator to compare, and not the secret itself. */
export function fingerprint({ epochAuthenticator }: Group): string {
  return createHash("sha256").update(epochAuthenticator).digest("hex").slice(0, 16);
}

function encodeNumber(number: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function decodeNumber(bytes: Uint8Array): number {
  return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) : -1;
}
