/** A group of parties that all live in one test. RFC 9420 §11, §12, §14. */
import { EMPTY_BYTES, utf8 } from "../../src/codec/index.ts";
import { InternalError } from "../../src/errors.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { noPadding } from "../../src/framing/padding.ts";
import { protectApplicationData } from "../../src/group/application-message.ts";
import {
  type CommitOptions,
  createCommit,
  type CreatedCommit,
} from "../../src/group/create-commit.ts";
import type { LeafUpdate } from "../../src/group/own-leaf.ts";
import { createGroup } from "../../src/group/create-group.ts";
import { type Environment, wireTypes } from "../../src/group/environment.ts";
import { createGroupInfo, type GroupInfoOptions } from "../../src/group/group-info-creation.ts";
import {
  type ExternalJoin,
  type ExternalJoinOptions,
  joinByExternalCommit,
} from "../../src/group/join-by-external-commit.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import {
  createProposal,
  createUpdate,
  type ProposalMessageOptions,
} from "../../src/group/proposal-message.ts";
import type { CachedProposal } from "../../src/group/proposal-entry.ts";
import type { GroupInfo } from "../../src/messages/group-info.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { testEnvironment } from "./environment.ts";
import { type ClientOptions, join, newClient, Observer, Party, provider } from "./parties.ts";

export const GROUP_ID: Uint8Array = utf8("a test group");

export interface TestGroupOptions {
  readonly suite?: number;
  /** Of the GroupContext. */
  readonly extensions?: readonly Extension[];
  readonly environment?: Environment;
  /** For all members. */
  readonly client?: ClientOptions;
  /** Whether the members joined by a Commit with a path, and so have parents above them. */
  readonly path?: boolean;
}

/** Defaults for {@link createCommit} in tests. */
export const COMMIT_DEFAULTS: CommitOptions = {
  proposals: [],
  pending: [],
  forcePath: true,
  authenticatedData: EMPTY_BYTES,
  wireFormat: "publicMessage",
  padding: noPadding,
  ratchetTree: true,
};

export const MESSAGE_DEFAULTS: ProposalMessageOptions = {
  authenticatedData: EMPTY_BYTES,
  wireFormat: "publicMessage",
  padding: noPadding,
};

export class TestGroup {
  readonly parties: Map<string, Party> = new Map();
  readonly observer: Observer;
  readonly environment: Environment;

  private constructor(observer: Observer, environment: Environment) {
    this.observer = observer;
    this.environment = environment;
  }

  /** The first name creates the group and adds all others by one Commit. */
  static async of(names: readonly string[], options: TestGroupOptions = {}): Promise<TestGroup> {
    const environment = options.environment ?? testEnvironment();
    const suite = options.suite ?? 1;
    const clients: KeyPackageBundle[] = [];
    for (const name of names) clients.push(await newClient(name, { suite, ...options.client }));
    const creator = clients[0]!;
    const crypto = provider.suite(suite);
    const extensions = options.extensions ?? [];
    const epoch = await createGroup(
      { crypto, groupId: GROUP_ID, extensions, creator },
      environment,
    );
    const group = new TestGroup(new Observer(epoch, environment), environment);
    group.parties.set(names[0]!, new Party(names[0]!, creator, epoch, environment));
    if (names.length > 1) {
      const joiners = new Map(names.slice(1).map((name, i) => [name, clients[i + 1]!]));
      await group.add(names[0]!, joiners, { forcePath: options.path ?? true });
    }
    return group;
  }

  party(name: string): Party {
    const party = this.parties.get(name);
    if (party === undefined) throw new InternalError(`there is no ${name}`);
    return party;
  }

  /** Those that have not been removed. */
  get members(): readonly Party[] {
    return [...this.parties.values()].filter(({ isMember }) => isMember);
  }

  /** A Commit that nobody has seen yet. */
  createCommit(name: string, options: Partial<CommitOptions> = {}): Promise<CreatedCommit> {
    const { epoch, cache, environment } = this.party(name);
    const pending = [...cache.values()];
    return createCommit(epoch, { ...COMMIT_DEFAULTS, pending, ...options }, environment);
  }

  /** A Commit that all members accept; joiners of its Adds are welcomed by {@link add} only. */
  async commit(name: string, options: Partial<CommitOptions> = {}): Promise<CreatedCommit> {
    const committer = this.party(name);
    const made = await this.createCommit(name, options);
    await this.deliver(made.commit, name);
    if (made.change !== undefined) committer.epoch.secretTree.apply(made.change);
    committer.enter(made.next);
    this.observer.enter(committer.epoch);
    return made;
  }

  async add(
    name: string,
    joiners: ReadonlyMap<string, KeyPackageBundle>,
    options: Partial<CommitOptions> = {},
  ): Promise<CreatedCommit> {
    const bundles = [...joiners.values()];
    const proposals = bundles.map(({ keyPackage }): Proposal => ({ type: "add", keyPackage }));
    const made = await this.commit(name, { ...options, proposals });
    for (const [joiner, bundle] of joiners) {
      const { epoch } = await join(made.welcomes[0]!.bytes, [bundle], this.environment);
      this.parties.set(joiner, new Party(joiner, bundle, epoch, this.environment));
    }
    return made;
  }

  /** A proposal that all have cached. */
  async propose(
    name: string,
    proposal: Proposal,
    options: Partial<ProposalMessageOptions> = {},
  ): Promise<CachedProposal> {
    const { epoch, environment } = this.party(name);
    const all = { ...MESSAGE_DEFAULTS, ...options };
    const sent = await createProposal(epoch, proposal, all, environment);
    if (sent.change !== undefined) epoch.secretTree.apply(sent.change);
    this.party(name).remember(sent.cached);
    await this.deliver(sent.bytes, name);
    return sent.cached;
  }

  /** An Update that all have cached. */
  async proposeUpdate(name: string, update: LeafUpdate = {}): Promise<CachedProposal> {
    const { epoch, environment } = this.party(name);
    const { proposal, ownUpdate } = await createUpdate(epoch, update, environment);
    const sent = await createProposal(epoch, proposal, MESSAGE_DEFAULTS, environment, ownUpdate);
    this.party(name).remember(sent.cached);
    await this.deliver(sent.bytes, name);
    return sent.cached;
  }

  /** To all members but the sender, and to the observer if it can read it. */
  async deliver(bytes: Uint8Array, sender: string): Promise<void> {
    for (const party of this.members) if (party.name !== sender) await party.receive(bytes);
    const { wireFormat } = decodeMlsMessage(bytes, wireTypes(this.environment));
    if (wireFormat === "publicMessage") await this.observer.receive(bytes);
  }

  /** An application message; not delivered. */
  async send(name: string, text: string, authenticatedData = EMPTY_BYTES): Promise<Uint8Array> {
    const { epoch } = this.party(name);
    const data = utf8(text);
    const options = { data, authenticatedData, padding: noPadding };
    const sent = await protectApplicationData(epoch, options);
    epoch.secretTree.apply(sent.change);
    return sent.bytes;
  }

  groupInfo(name: string, options: Partial<GroupInfoOptions> = {}): Promise<GroupInfo> {
    const { epoch, signer } = this.party(name);
    const all = { ratchetTree: true, externalPub: true, ...options };
    return createGroupInfo(epoch, epoch.ownLeaf, signer, all);
  }

  /** An external commit that nobody has seen yet. */
  async createExternalJoin(
    client: KeyPackageBundle,
    options: Partial<ExternalJoinOptions> = {},
  ): Promise<ExternalJoin> {
    const { credential, capabilities, extensions } = client.keyPackage.leafNode;
    const { crypto } = this.observer.epoch;
    return joinByExternalCommit(
      {
        crypto,
        groupInfo: options.groupInfo ?? (await this.groupInfo(this.members[0]!.name)),
        leaf: { credential, capabilities, extensions, signer: client.signer },
        psks: [],
        pending: [],
        authenticatedData: EMPTY_BYTES,
        ...options,
      },
      this.environment,
    );
  }

  /** An external commit that all members accept. */
  async externalJoin(
    name: string,
    client: KeyPackageBundle,
    options: Partial<ExternalJoinOptions> = {},
  ): Promise<ExternalJoin> {
    const made = await this.createExternalJoin(client, options);
    await this.deliver(made.commit, name);
    this.parties.set(name, new Party(name, client, made.next, this.environment));
    this.observer.enter(made.next);
    return made;
  }
}
