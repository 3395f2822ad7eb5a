/** Reading a group through its history member. */
import {
  Client,
  type ClientOptions,
  type Group,
  importClient,
  memoryStorage,
  type Outcome,
} from "mlskit";
import { decodeSecret } from "./secret.ts";

export interface HistoryReaderOptions extends Omit<ClientOptions, "storage"> {
  /** Body of the ratchet_tree extension, if the Welcome does not carry the tree. */
  readonly ratchetTree?: Uint8Array | undefined;
}

/**
 * Opens the group as it was when the history member was added. Nothing is stored, and nothing sent:
 * other devices read with the same secret, and a message of one of them would use the keys of all.
 *
 * @param welcome of the Commit that added the history member
 * @throws UsageError `INVALID_HISTORY`, and whatever `Client.join` throws
 */
export async function openHistory(
  secret: Uint8Array,
  welcome: Uint8Array,
  options: HistoryReaderOptions,
): Promise<HistoryReader> {
  const { key, sealed } = decodeSecret(secret);
  const storage = memoryStorage();
  await importClient({ sealed, key, storage });
  const client = await Client.open({ ...options, storage });
  const { ratchetTree } = options;
  return new HistoryReader(client, await client.join(welcome, { ratchetTree }));
}

export class HistoryReader {
  readonly #client: Client;
  readonly #group: Group;

  /** @internal */
  constructor(client: Client, group: Group) {
    this.#client = client;
    this.#group = group;
  }

  get epoch(): bigint {
    return this.#group.epoch;
  }

  /** Equal to a member's, if both are on the same branch. RFC 9420 §8.7. */
  get epochAuthenticator(): Uint8Array {
    return this.#group.epochAuthenticator;
  }

  /**
   * The next message that the delivery service kept, Commits included, in its order. `removed`: this
   * history member was replaced, and reading goes on with the next secret.
   */
  read(message: Uint8Array): Promise<Outcome> {
    return this.#group.process(message, { accept: true });
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    const { id } = this.#group;
    await this.#client.deleteGroup(id);
    await this.#client.close();
  }
}
