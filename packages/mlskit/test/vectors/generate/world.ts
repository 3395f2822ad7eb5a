/** A group of several active members that all follow each other, and a record of what was sent. */
import { bytesKey, equalBytes, toHex, utf8 } from "../../../src/codec/index.ts";
import { Secret } from "../../../src/crypto/index.ts";
import type { Extension } from "../../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { noPadding } from "../../../src/framing/padding.ts";
import {
  type CommitOptions,
  createCommit,
  type CreatedCommit,
} from "../../../src/group/create-commit.ts";
import { createGroup } from "../../../src/group/create-group.ts";
import type { Environment } from "../../../src/group/environment.ts";
import { createGroupInfo } from "../../../src/group/group-info-creation.ts";
import { joinByExternalCommit } from "../../../src/group/join-by-external-commit.ts";
import { openWelcome, stageJoin } from "../../../src/group/join-by-welcome.ts";
import { createProposal, createUpdate } from "../../../src/group/proposal-message.ts";
import { keyPackageRef } from "../../../src/key-packages/key-package.ts";
import type { ExternalPskId, PreSharedKeyId } from "../../../src/key-schedule/pre-shared-key.ts";
import type { GroupInfo } from "../../../src/messages/group-info.ts";
import type { Proposal } from "../../../src/messages/proposal.ts";
import { Checks } from "../checks.ts";
import { environmentFor } from "../formats/environment.ts";
import { PassiveMember } from "../formats/passive-member.ts";
import { OWN_CLOCK, type Person } from "./people.ts";
import type { Source } from "./random.ts";

type WireFormat = CommitOptions["wireFormat"];

/** As in a passive-client file. */
interface RecordedEpoch {
  readonly proposals: readonly string[];
  readonly commit: string;
  readonly epoch_authenticator: string;
}

export class World {
  readonly source: Source;
  readonly environment: Environment;
  readonly #psks = new Map<string, { readonly id: Uint8Array; readonly psk: Uint8Array }>();
  readonly #actors = new Map<Person, PassiveMember>();
  #epochs: RecordedEpoch[] = [];
  #sent: string[] = [];

  private constructor(source: Source) {
    this.source = source;
    const now = BigInt(Date.parse(OWN_CLOCK)) / 1000n;
    this.environment = environmentFor(now, (id) => {
      const found = id.type === "external" ? this.#psks.get(bytesKey(id.pskId)) : undefined;
      return found === undefined ? undefined : new Secret(found.psk);
    });
  }

  static async create(
    source: Source,
    founder: Person,
    extensions: readonly Extension[] = [],
  ): Promise<World> {
    const world = new World(source);
    const { crypto } = source;
    const options = { crypto, groupId: source.random(16), extensions, creator: founder };
    world.enter(founder, await createGroup(options, world.environment));
    return world;
  }

  enter(person: Person, epoch: PassiveMember["epoch"]): void {
    const actor = new PassiveMember(new Checks(), this.environment);
    actor.enter(epoch);
    this.#actors.set(person, actor);
  }

  async join(
    person: Person,
    welcome: Uint8Array,
    ratchetTree: Uint8Array | undefined,
  ): Promise<void> {
    const { crypto, provider } = this.source;
    const message = decodeMlsMessage(welcome);
    if (message.wireFormat !== "welcome") throw new Error("a Welcome is expected");
    const own = keyPackageRef(crypto, person.keyPackage);
    const opened = await openWelcome(
      provider,
      message.message,
      (reference) => (equalBytes(reference, own) ? person : undefined),
      this.environment,
    );
    this.enter(person, (await stageJoin(opened, ratchetTree, this.environment)).epoch);
  }

  /** Stops following: the person was removed, or is not needed any more. */
  leave(person: Person): void {
    this.#actors.delete(person);
  }

  actor(person: Person): PassiveMember {
    const actor = this.#actors.get(person);
    if (actor === undefined) throw new Error("this person does not act");
    return actor;
  }

  get authenticator(): string {
    const [first] = this.#actors.values();
    if (first === undefined) throw new Error("nobody acts");
    return toHex(first.authenticator);
  }

  /** What was sent since the last call. */
  takeRecord(): RecordedEpoch[] {
    const epochs = this.#epochs;
    this.#epochs = [];
    return epochs;
  }

  externalPsk(name: string): ExternalPskId {
    const { crypto, random } = this.source;
    const id = utf8(name);
    if (!this.#psks.has(bytesKey(id))) this.#psks.set(bytesKey(id), { id, psk: random(24) });
    return { type: "external", pskId: id, nonce: random(crypto.suite.kdf.size) };
  }

  resumptionPsk(person: Person, epoch: bigint): PreSharedKeyId {
    const { crypto, random } = this.source;
    const { groupId } = this.actor(person).epoch.context;
    const nonce = random(crypto.suite.kdf.size);
    return { type: "resumption", usage: "application", groupId, epoch, nonce };
  }

  /** For the file. */
  get externalPsks(): { readonly psk_id: string; readonly psk: string }[] {
    return [...this.#psks.values()].map(({ id, psk }) => ({ psk_id: toHex(id), psk: toHex(psk) }));
  }

  async propose(by: Person, proposal: Proposal | "update", wireFormat: WireFormat): Promise<void> {
    const actor = this.actor(by);
    const { epoch, environment } = actor;
    const update = proposal === "update" ? await createUpdate(epoch, {}, environment) : undefined;
    const body = update?.proposal ?? (proposal as Proposal);
    const options = { authenticatedData: utf8("proposed"), wireFormat, padding: noPadding };
    const sent = await createProposal(epoch, body, options, environment, update?.ownUpdate);
    if (sent.change !== undefined) epoch.secretTree.apply(sent.change);
    actor.remember(sent.cached);
    await this.deliver(sent.bytes, by);
  }

  /** A proposal by a member or from outside reaches everybody else. */
  async deliver(bytes: Uint8Array, except?: Person): Promise<void> {
    this.#sent.push(toHex(bytes));
    for (const [person, actor] of this.#actors) {
      if (person !== except) await actor.receiveProposal(bytes);
    }
  }

  async commit(by: Person, options: Partial<CommitOptions> = {}): Promise<CreatedCommit> {
    const actor = this.actor(by);
    const created = await createCommit(
      actor.epoch,
      {
        proposals: [],
        pending: actor.proposals,
        forcePath: true,
        authenticatedData: utf8("committed"),
        wireFormat: "privateMessage",
        padding: noPadding,
        ratchetTree: true,
        ...options,
      },
      actor.environment,
    );
    if (created.unused.length > 0) throw new Error("a proposal was left out");
    for (const [person, other] of this.#actors) {
      if (person !== by) await other.receiveCommit(created.commit);
    }
    actor.enter(created.next);
    this.#finishEpoch(created.commit);
    return created;
  }

  groupInfo(by: Person): Promise<GroupInfo> {
    const { epoch } = this.actor(by);
    const options = { ratchetTree: true, externalPub: true };
    return createGroupInfo(epoch, epoch.ownLeaf, epoch.signer, options);
  }

  /** An external commit; `resync` is a former leaf of the joiner. */
  async joinExternally(joiner: Person, helper: Person, resync?: number): Promise<void> {
    const { credential, capabilities, extensions } = joiner.keyPackage.leafNode;
    const { crypto } = this.source;
    const joined = await joinByExternalCommit(
      {
        crypto,
        groupInfo: await this.groupInfo(helper),
        leaf: { credential, capabilities, extensions, signer: joiner.signer },
        resync: resync === undefined ? undefined : () => resync,
        psks: [this.externalPsk("for joiners")],
        pending: [],
        authenticatedData: utf8("joined"),
      },
      this.environment,
    );
    for (const actor of this.#actors.values()) await actor.receiveCommit(joined.commit);
    this.enter(joiner, joined.next);
    this.#finishEpoch(joined.commit);
  }

  #finishEpoch(commit: Uint8Array): void {
    const authenticator = this.authenticator;
    const proposals = this.#sent;
    this.#epochs.push({ proposals, commit: toHex(commit), epoch_authenticator: authenticator });
    this.#sent = [];
  }
}
