/** One person of the story: a client, its store, and its view of the group. */
import { join } from "node:path";
import {
  type AuthenticationService,
  Client,
  type Group,
  type Identity,
  memoryStorage,
  type Storage,
} from "mlskit";
import { fileStorage } from "mlskit/storage/file";

export interface MemberOptions {
  readonly name: string;
  readonly suite: number;
  readonly authenticationService: AuthenticationService;
  /** Where its store is; undefined: in memory. */
  readonly directory: string | undefined;
  /** Whether it stays in memory between two uses. */
  readonly isResident: boolean;
}

export class Member {
  readonly name: string;
  readonly #options: MemberOptions;
  readonly #memory: Storage | undefined;
  /** Of its store. An application keeps it where the platform keeps keys. */
  readonly #key: Uint8Array = crypto.getRandomValues(new Uint8Array(32));
  #client: Client | undefined;
  #group: Group | undefined;
  #groupId: Uint8Array | undefined;

  private constructor(options: MemberOptions) {
    this.name = options.name;
    this.#options = options;
    this.#memory = options.directory === undefined ? lasting(memoryStorage()) : undefined;
  }

  static async create(options: MemberOptions): Promise<{ member: Member; identity: Identity }> {
    const member = new Member(options);
    const { name, suite, authenticationService } = options;
    const storage = await member.#storage();
    const client = await Client.create({
      identity: name,
      cipherSuite: suite,
      storage,
      authenticationService,
    });
    member.#client = client;
    return { member, identity: client.identity };
  }

  get isDurable(): boolean {
    return this.#options.directory !== undefined;
  }

  get isResident(): boolean {
    return this.#options.isResident;
  }

  /** The client, opened from its store if it is not in memory. */
  async client(): Promise<Client> {
    const { authenticationService } = this.#options;
    this.#client ??= await Client.open({ storage: await this.#storage(), authenticationService });
    return this.#client;
  }

  async group(): Promise<Group> {
    if (this.#groupId === undefined) throw new Error(`${this.name} is in no group`);
    this.#group ??= await (await this.client()).group(this.#groupId);
    return this.#group;
  }

  enter(group: Group): void {
    this.#group = group;
    this.#groupId = group.id;
  }

  /** Loses everything that is in memory. Nothing is closed or saved. */
  kill(): void {
    this.#client = undefined;
    this.#group = undefined;
  }

  /** In a large group only a few members can stay in memory. */
  rest(): void {
    if (!this.#options.isResident) this.kill();
  }

  async close(): Promise<void> {
    await this.#client?.close();
    this.kill();
  }

  async #storage(): Promise<Storage> {
    const { directory, name } = this.#options;
    if (this.#memory !== undefined) return this.#memory;
    return await fileStorage(join(directory ?? "", name.toLowerCase()), { key: this.#key });
  }
}

/** A store in memory that a new client can open again. */
function lasting(storage: Storage): Storage {
  return {
    get: (key) => storage.get(key),
    list: (prefix) => storage.list(prefix),
    write: (batch) => storage.write(batch),
    close: () => undefined,
  };
}
