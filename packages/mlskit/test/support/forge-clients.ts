/** Clients with stores whose contents can be compared, among the parties of a test group. */
import { toHex } from "../../src/codec/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import {
  Client,
  type ClientOptions,
  type Group,
  memoryStorage,
  type Storage,
} from "../../src/index.ts";
import { acceptAnyCredential, NOW } from "./environment.ts";
import { Party, provider } from "./parties.ts";
import type { TestGroup } from "./test-group.ts";

export interface Desk {
  readonly client: Client;
  readonly storage: Storage;
  readonly options: ClientOptions;
}

/** A client whose credentials nobody doubts. */
export async function newDesk(name: string, changes: Partial<ClientOptions> = {}): Promise<Desk> {
  const storage = memoryStorage();
  const options = {
    storage,
    provider,
    authenticationService: acceptAnyCredential,
    clock: () => NOW,
    ...changes,
  };
  return { client: await Client.create({ ...options, identity: name }), storage, options };
}

/** The same client in a copy of its store: what a restored backup is. */
export async function copyOf({ storage, options }: Desk): Promise<Desk> {
  const copy = memoryStorage();
  const puts = [...(await storage.list(""))].map(({ key, value }) => ({ key, value }));
  await copy.write({ puts, deletes: [], expect: [] });
  const changed = { ...options, storage: copy };
  return { client: await Client.open(changed), storage: copy, options: changed };
}

/** A client becomes a member; the parties go on to that epoch. */
export async function seat(group: TestGroup, desk: Desk): Promise<Group> {
  const { bytes } = await desk.client.createKeyPackage();
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const proposals = [{ type: "add", keyPackage: message.message } as const];
  const { welcomes } = await group.commit("alice", { proposals });
  return desk.client.join(welcomes[0]!.bytes, { config: { autoAccept: true } });
}

/** Everything in the store, so that two moments can be compared. */
export async function contents({ storage }: Desk): Promise<readonly string[]> {
  return (await storage.list("")).map(({ key, value }) => `${key} ${toHex(value)}`);
}

/** All parties but the sender process the message, and the observer if it can read it. */
export async function tell(group: TestGroup, bytes: Uint8Array, sender?: Party): Promise<void> {
  for (const party of group.members) if (party !== sender) await party.receive(bytes);
  const isPublic = bytes[3] === 1;
  if (isPublic) await group.observer.receive(bytes);
  const [first] = group.members;
  const { epoch } = group.observer.epoch.context;
  if (first !== undefined && first.epoch.context.epoch !== epoch) group.observer.enter(first.epoch);
}
