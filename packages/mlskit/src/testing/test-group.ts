/** Clients in one group, in sync, in one call. M-TST-01. */
import { DefaultClient as Client } from "../client/default-client.ts";
import type { ClientOptions } from "../client/client-options.ts";
import type { CommitRequest } from "../client/sending/commit.ts";
import type { GroupConfig } from "../client/state/config.ts";
import type { Group } from "../client/group.ts";
import { KeyDirectory } from "../client/identity/key-directory.ts";
import type { Outcome } from "../client/state/outcome.ts";
import type { Extension } from "../extensions/extension.ts";
import { defaultProvider } from "../providers/default.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Storage } from "../storage/storage.ts";
import { assertAgreement } from "./agreement.ts";
import { broadcast, commitAndBroadcast, type DeliveredCommit } from "./broadcast.ts";
import { seededProvider } from "./random.ts";
import { type TestClock, testClock } from "./test-clock.ts";

export interface TestGroupOptions
  extends Partial<Omit<ClientOptions, "storage" | "clock" | "config">> {
  /** How many, or their names. Default: 3. */
  readonly members?: number | readonly string[] | undefined;
  /** Default: suite 1. */
  readonly cipherSuite?: number | undefined;
  /** Makes everything reproducible, if no provider is given. */
  readonly seed?: number | string | undefined;
  readonly clock?: TestClock | undefined;
  /** A store for each member. Default: memory. */
  readonly storage?: ((name: string) => Storage | Promise<Storage>) | undefined;
  readonly config?: Partial<GroupConfig> | undefined;
  /** GroupContext extensions. */
  readonly extensions?: readonly Extension[] | undefined;
}

export interface TestMember {
  readonly name: string;
  readonly client: Client;
  readonly group: Group;
  readonly storage: Storage;
}

/** The first member creates the group and adds all others in one Commit. */
export async function testGroup(options: TestGroupOptions = {}): Promise<TestGroup> {
  const { members = 3 } = options;
  const names =
    typeof members === "number"
      ? Array.from({ length: members }, (_, i) => `member ${i}`)
      : members;
  const group = new TestGroup(options);
  await group.start(names);
  return group;
}

/** Made by {@link testGroup}. Members are addressed by their place in {@link members}. */
export class TestGroup {
  readonly clock: TestClock;
  /** Vouches for all members, unless the options brought a service of their own. */
  readonly directory: KeyDirectory = new KeyDirectory();
  readonly #options: TestGroupOptions;
  readonly #client: Omit<ClientOptions, "storage">;
  #members: TestMember[] = [];

  constructor(options: TestGroupOptions) {
    this.#options = options;
    this.clock = options.clock ?? testClock();
    const { seed, provider } = options;
    const made = seed === undefined ? defaultProvider() : seededProvider(seed);
    this.#client = {
      authenticationService: options.authenticationService ?? this.directory,
      provider: provider ?? made,
      clock: this.clock,
      policy: options.policy,
      types: options.types,
      limits: options.limits,
      config: options.config,
      psk: options.psk,
      signers: options.signers,
      hookTimeout: options.hookTimeout,
      cache: options.cache,
      transportTimeout: options.transportTimeout,
      keyPackageThreshold: options.keyPackageThreshold,
      bufferedBytes: options.bufferedBytes,
      eventLog: options.eventLog,
      tree: options.tree,
    };
  }

  /** In the order in which they came; those who were removed stay until {@link forget}. */
  get members(): readonly TestMember[] {
    return this.#members;
  }

  get groups(): readonly Group[] {
    return this.#members.map(({ group }) => group);
  }

  /** @throws RangeError */
  member(index: number): TestMember {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`there is no member ${index}`);
    return member;
  }

  /** Called by {@link testGroup}. */
  async start(names: readonly string[]): Promise<void> {
    const [first = "member 0", ...others] = names;
    const { client, storage } = await this.newClient(first);
    const group = await client.createGroup({ extensions: this.#options.extensions });
    this.#members = [{ name: first, client, group, storage }];
    if (others.length > 0) await this.add(others);
  }

  /** A client of this world that is in no group yet. */
  async newClient(name: string): Promise<{ readonly client: Client; readonly storage: Storage }> {
    const storage = (await this.#options.storage?.(name)) ?? memoryStorage();
    const { cipherSuite } = this.#options;
    const client = await Client.create({ ...this.#client, storage, identity: name, cipherSuite });
    this.directory.add(client.identity);
    return { client, storage };
  }

  /** The client that a store holds, as after a restart; it takes the member's place. */
  async reopen(index: number, storage: Storage): Promise<TestMember> {
    const { name, group: former } = this.member(index);
    const client = await Client.open({ ...this.#client, storage, identity: name });
    const member = { name, client, storage, group: await client.group(former.id) };
    this.#members[index] = member;
    return member;
  }

  /** New members, added by member `by` in one Commit. */
  async add(names: readonly string[], by = 0): Promise<readonly TestMember[]> {
    const made = await Promise.all(names.map((name) => this.newClient(name)));
    const add: Uint8Array[] = [];
    for (const { client } of made) add.push((await client.createKeyPackage()).bytes);
    const clients = made.map(({ client }) => client);
    const { joined } = await commitAndBroadcast(
      this.member(by).group,
      { add },
      this.#others(by),
      clients,
    );
    const members = joined.map((group, i) => {
      const { client, storage } = made[i] as (typeof made)[number];
      return { name: names[i] ?? "", client, storage, group };
    });
    this.#members.push(...members);
    return members;
  }

  /** A Commit of member `by`, processed by all others and accepted. */
  commit(by: number, request: CommitRequest = {}): Promise<DeliveredCommit> {
    return commitAndBroadcast(this.member(by).group, request, this.#others(by));
  }

  /** An application message of member `from`; what it was for each of the others. */
  async say(from: number, data: Uint8Array | string): Promise<Outcome[]> {
    const { bytes } = await this.member(from).group.send(data);
    return broadcast(bytes, this.#others(from));
  }

  /** Hands a message to all members except one. */
  deliver(bytes: Uint8Array, except?: number): Promise<Outcome[]> {
    return broadcast(bytes, this.#others(except));
  }

  /** Leaves a member out from now on. */
  forget(index: number): void {
    this.#members.splice(index, 1);
  }

  /** @throws Error that says how the members differ */
  assertAgreement(): void {
    assertAgreement(this.groups);
  }

  async close(): Promise<void> {
    for (const { client } of this.#members) await client.close();
  }

  #others(index: number | undefined): readonly Group[] {
    return this.groups.filter((group, i) => i !== index && group.status !== "inactive");
  }
}
