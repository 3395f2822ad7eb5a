/**
 * A group with somebody at its door: a client with a store that was invited, may join by itself, or
 * only watch. Whatever describes the group can be forged. RFC 9420 §12.4.3.
 */
import { expect } from "vitest";
import type { KeyPackageOptions } from "../../src/client/identity/key-packages.ts";
import { decode, toHex } from "../../src/codec/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { CreatedCommit } from "../../src/group/create-commit.ts";
import type { Epoch } from "../../src/group/epoch.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { Client, type ClientOptions, type Group, memoryStorage } from "../../src/index.ts";
import { KeyPackage } from "../../src/key-packages/key-package.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type Expected, expectRule } from "./assertions.ts";
import { NOW } from "./environment.ts";
import type { Nodes } from "./forge.ts";
import {
  type ForgedGroupInfo,
  forgeGroupInfo,
  forgeWelcome,
  groupInfoMessage,
  nodesOf,
  type WelcomeForgery,
} from "./forge.ts";
import { authenticatorOf, newClient, provider } from "./parties.ts";
import { TestGroup, type TestGroupOptions } from "./test-group.ts";

export interface DoorOptions {
  readonly names?: readonly string[];
  readonly group?: TestGroupOptions;
  readonly client?: Partial<ClientOptions>;
  readonly keyPackage?: KeyPackageOptions;
  /** Whether the Commits that make the group and invite the client have a path. Default: yes. */
  readonly path?: boolean;
}

/** What is forged; `alter` changes the nodes of the tree that joiners and observers get. */
export interface DoorForgery extends Omit<WelcomeForgery, "joiners" | "nodes"> {
  readonly alter?: (nodes: Nodes, epoch: Epoch) => Nodes | Promise<Nodes>;
}

/** Everything in a store, so that two moments can be compared. */
export async function contents(storage: Storage): Promise<readonly string[]> {
  return (await storage.list("")).map(({ key, value }) => `${key} ${toHex(value)}`);
}

/** A client whose clock is that of the tests. */
export async function newTestClient(
  name: string,
  options: Partial<ClientOptions> & { readonly cipherSuite?: number } = {},
): Promise<{ readonly client: Client; readonly storage: Storage }> {
  const storage = options.storage ?? memoryStorage();
  const client = await Client.create({
    identity: name,
    authenticationService: {
      validate: (identities) => identities.map(() => true as const),
      isSuccessor: () => true,
    },
    clock: () => NOW,
    ...options,
    storage,
  });
  return { client, storage };
}

/** A key package of a client, for those that only encrypt to it. */
export async function bundleOf(message: Uint8Array): Promise<KeyPackageBundle> {
  const decoded = decodeMlsMessage(message);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const keyPackage = decode(KeyPackage, decoded.message.encoded);
  return { ...(await newClient("of no importance")), keyPackage };
}

export class Door {
  readonly group: TestGroup;
  readonly client: Client;
  readonly storage: Storage;
  readonly joiner: KeyPackageBundle;
  /** Alice's Commit that adds the client. */
  readonly invitation: CreatedCommit;
  readonly server: PublicGroup;

  private constructor(
    group: TestGroup,
    { client, storage }: { readonly client: Client; readonly storage: Storage },
    joiner: KeyPackageBundle,
    invitation: CreatedCommit,
    server: PublicGroup,
  ) {
    this.group = group;
    this.client = client;
    this.storage = storage;
    this.joiner = joiner;
    this.invitation = invitation;
    this.server = server;
  }

  static async of(options: DoorOptions = {}): Promise<Door> {
    const names = options.names ?? ["alice", "bob", "carol"];
    const path = options.path ?? true;
    const group = await TestGroup.of(names, { path, ...options.group });
    const made = await newTestClient("dave", {
      ...options.client,
      cipherSuite: options.group?.suite ?? 1,
    });
    const published = await made.client.createKeyPackage({ grease: false, ...options.keyPackage });
    const joiner = await bundleOf(published.bytes);
    const proposals = [{ type: "add", keyPackage: joiner.keyPackage } as const];
    const invitation = await group.createCommit("alice", { proposals, forcePath: path });
    const groupInfo = await group.groupInfo("alice");
    const { environment } = group;
    const started = await PublicGroup.start(provider, { groupInfo }, environment);
    return new Door(group, made, joiner, invitation, started.group);
  }

  /** The epoch into which the client is invited, as alice sees it. */
  get next(): Epoch {
    return this.invitation.next;
  }

  get welcome(): Uint8Array {
    return this.invitation.welcomes[0]!.bytes;
  }

  /** A Welcome for the client into the epoch that the invitation starts. */
  async forgedWelcome({ alter, ...forgery }: DoorForgery = {}): Promise<Uint8Array> {
    const { next } = this;
    const nodes = nodesOf(next.tree);
    const forged = await forgeWelcome(next, {
      joiners: [this.joiner],
      nodes: alter === undefined ? nodes : await alter(nodes, next),
      ...forgery,
    });
    return forged.bytes;
  }

  /** A GroupInfo of the epoch before. */
  async forgedInfo({ alter, ...forgery }: DoorForgery = {}): Promise<ForgedGroupInfo> {
    const { epoch } = this.group.party("alice");
    const nodes = nodesOf(epoch.tree);
    const altered = alter === undefined ? nodes : await alter(nodes, epoch);
    return forgeGroupInfo(epoch, { nodes: altered, ...forgery });
  }

  /** The client refuses the Welcome; its store, with the key package, is as before. */
  async refusesWelcome(
    welcome: Uint8Array,
    rule: RuleId,
    expected: Expected & { readonly ratchetTree?: Uint8Array } = {},
  ): Promise<void> {
    const { ratchetTree, ...rest } = expected;
    await expectRule(() => this.client.join(welcome, { ratchetTree }), rule, rest);
    expect(await this.client.groups()).toEqual([]);
  }

  /** The client makes no external commit from the GroupInfo, and its store is as before. */
  async refusesInfo(
    info: Uint8Array,
    rule: RuleId,
    expected: Expected & { readonly ratchetTree?: Uint8Array } = {},
  ): Promise<void> {
    const { ratchetTree, ...rest } = expected;
    await expectRule(() => this.client.joinExternally(info, { ratchetTree }), rule, rest);
    expect(await this.client.groups()).toEqual([]);
  }

  /** Nobody starts to observe from the GroupInfo, and who observes already does not go on from it. */
  async refusesToWatch(
    info: Uint8Array,
    rule: RuleId,
    expected: Expected & { readonly ratchetTree?: Uint8Array } = {},
  ): Promise<void> {
    const { ratchetTree, ...rest } = expected;
    const { environment } = this.group;
    const description = { groupInfo: info, ratchetTree };
    const start = () => PublicGroup.start(provider, description, environment);
    await expectRule(start, rule, rest);
    await expectRule(() => this.server.rebase(description, environment), rule, rest);
  }

  /** Refused on all these paths; then the honest description is as good as ever. */
  async refusedOn(
    paths: string,
    forgery: DoorForgery,
    rule: RuleId,
    expected: Expected = {},
  ): Promise<void> {
    if (paths.includes("J")) {
      await this.refusesWelcome(await this.forgedWelcome(forgery), rule, expected);
    }
    const info = groupInfoMessage(await this.forgedInfo(forgery));
    if (paths.includes("X")) await this.refusesInfo(info, rule, expected);
    if (paths.includes("O")) await this.refusesToWatch(info, rule, expected);
    await this.opens();
  }

  /** The description is believed on all these paths. */
  async believedOn(paths: string, forgery: DoorForgery = {}): Promise<void> {
    const info = groupInfoMessage(await this.forgedInfo(forgery));
    const { environment } = this.group;
    if (paths.includes("X")) await this.client.checkGroupInfo(info);
    if (paths.includes("O")) await PublicGroup.start(provider, { groupInfo: info }, environment);
    if (paths.includes("J")) await this.client.join(await this.forgedWelcome(forgery));
  }

  /** The honest Welcome is accepted, and so is the Commit by those who watch. */
  async opens(): Promise<Group> {
    const { client, server, group, invitation } = this;
    const joined = await client.join(this.welcome);
    expect(toHex(joined.epochAuthenticator)).toBe(authenticatorOf(this.next));
    await server.process(invitation.commit, group.environment);
    expect(toHex(server.publicEpoch.contextBytes)).toBe(toHex(this.next.contextBytes));
    return joined;
  }
}
