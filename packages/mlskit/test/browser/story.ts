/** What the bundled client does in a browser: two parties, one with its group in IndexedDB. */
import { fromUtf8, toHex } from "../../src/codec/index.ts";
import { Client, createProvider, KeyDirectory } from "../../src/client/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { indexedDbStorage } from "../../src/storage/indexeddb.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { webCryptoSuite1 } from "../../src/providers/webcrypto/suite-1.ts";

/** Epoch, provider, what was read on both sides, and whether they agree. */
export async function story(): Promise<string> {
  const provider = createProvider("webcrypto", [webCryptoSuite1()]);
  const authenticationService = new KeyDirectory();
  const newClient = async (identity: string, storage: Storage): Promise<Client> => {
    const client = await Client.create({ provider, storage, authenticationService, identity });
    authenticationService.add(client.identity);
    return client;
  };
  const alice = await newClient("alice", memoryStorage());
  const name = `story ${Date.now()}`;
  const bob = await newClient(
    "bob",
    await indexedDbStorage(name, { dangerouslyUnencrypted: true }),
  );
  const group = await alice.createGroup();
  await group.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await group.acceptCommit();
  const joined = await bob.join(welcomes[0]!.bytes);
  const read: string[] = [];
  for (const [from, to] of [
    [group, joined],
    [joined, group],
  ] as const) {
    const outcome = await to.process((await from.send(`from ${from.ownLeafIndex}`)).bytes);
    if (outcome.kind === "application") read.push(fromUtf8(outcome.data));
  }
  const { commit } = await joined.update();
  const staged = await group.process(commit);
  if (staged.kind === "commit") await staged.accept();
  await joined.acceptCommit();
  const agree = toHex(group.epochAuthenticator) === toHex(joined.epochAuthenticator);
  return `${group.epoch} ${provider.suite(1).providerName} ${read.join(", ")} ${agree}`;
}
