/** The world of the golden stores: Alice and Bob, in the middle of everything. */
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group, KeyDirectory } from "../../src/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { seededProvider, testClock } from "../../src/testing/index.ts";

export const STORE_KEY: Uint8Array = new Uint8Array(32).fill(9);
export const PSK: Uint8Array = utf8("psk");

export interface Expected {
  readonly groupId: string;
  readonly epoch: string;
  readonly epochAuthenticator: string;
  readonly members: number;
  readonly nextGeneration: number;
  readonly pendingCommit: string;
  /** A message of Bob's in the epoch before, and one in this epoch, that Alice has not seen. */
  readonly late: string;
  readonly unread: string;
  readonly unusedKeyPackages: number;
  /** Welcomes that Alice keeps, and a proposal of Bob's that she dropped and he may commit; since 1b. */
  readonly welcome?: string | undefined;
  readonly dropped?: string | undefined;
}

const clock = testClock();

/** Opens what a store holds; both names are vouched for. */
export async function openBoth(
  alice: Storage,
  bob: Storage,
): Promise<{ readonly alice: Client; readonly bob: Client }> {
  const trust = new KeyDirectory();
  const open = async (storage: Storage): Promise<Client> => {
    const client = await Client.open({ storage, clock, authenticationService: trust });
    trust.add(client.identity);
    return client;
  };
  return { alice: await open(alice), bob: await open(bob) };
}

/** Makes the world on two empty stores. */
export async function makeWorld(aliceStore: Storage, bobStore: Storage): Promise<Expected> {
  const trust = new KeyDirectory();
  const provider = seededProvider("golden");
  const create = async (identity: string, storage: Storage): Promise<Client> => {
    const options = { storage, clock, provider, authenticationService: trust, identity };
    const client = await Client.create(options);
    trust.add(client.identity);
    return client;
  };
  const [alice, bob] = [await create("alice", aliceStore), await create("bob", bobStore)];
  for (const client of [alice, bob]) await client.putPsk(PSK, utf8("an external PSK"));
  await alice.createKeyPackages(2);
  const a = await alice.createGroup();
  await a.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  const b = await bob.join(welcomes[0]!.bytes);
  await talk(a, b);
  const late = (await b.send("late")).bytes;
  const { commit } = await b.update();
  await b.acceptCommit();
  await a.process(commit, { accept: true });
  await talk(a, b);
  await b.send("skipped");
  await a.process((await b.send("after a gap")).bytes);
  const unread = (await b.send("unread")).bytes;
  const dropped = await b.proposeUpdate();
  await a.process(dropped.bytes, { accept: true });
  await a.dropProposal(dropped.reference);
  const pending = await a.update();
  await alice.transaction(async (tx) => {
    tx.put("note", utf8("of the application"));
    tx.setCheckpoint(utf8("cursor"));
  });
  return {
    groupId: toHex(a.id),
    epoch: String(a.epoch),
    epochAuthenticator: toHex(a.epochAuthenticator),
    members: a.memberCount,
    nextGeneration: a.nextGeneration,
    pendingCommit: toHex(pending.commit),
    late: toHex(late),
    unread: toHex(unread),
    unusedKeyPackages: (await alice.keyPackages()).length,
    welcome: toHex(welcomes[0]!.bytes),
    dropped: toHex(dropped.bytes),
  };
}

async function talk(a: Group, b: Group): Promise<void> {
  await b.process((await a.send("from alice")).bytes);
  await a.process((await b.send("from bob")).bytes);
}
