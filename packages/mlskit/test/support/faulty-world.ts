/** A group whose members have stores that can fail, and what tests look at in such worlds. */
import { toHex } from "../../src/codec/index.ts";
import type { Client, ClientEvent, Outcome, StoredRecord } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import {
  type FaultStorage,
  faultStorage,
  type TestGroup,
  testGroup,
} from "../../src/testing/index.ts";

export interface FaultyWorld {
  readonly world: TestGroup;
  /** The store of a member, in front of which faults can be placed. */
  store(index: number): FaultStorage;
}

export async function faultyWorld(members = 2): Promise<FaultyWorld> {
  const stores: FaultStorage[] = [];
  const storage = (): FaultStorage => {
    const store = faultStorage(memoryStorage());
    stores.push(store);
    return store;
  };
  const world = await testGroup({ members, storage });
  return { world, store: (index) => world.member(index).storage as FaultStorage };
}

export async function dump(store: {
  list(prefix: string): readonly StoredRecord[] | Promise<readonly StoredRecord[]>;
}): Promise<string> {
  const records = await store.list("");
  return records.map(({ key, version, value }) => `${key} ${version} ${toHex(value)}`).join("\n");
}

export const listen = (client: Client): ClientEvent[] => {
  const events: ClientEvent[] = [];
  client.on((event) => events.push(event));
  return events;
};

export const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ kind }) => kind);
