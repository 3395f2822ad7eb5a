/**
 * One of several processes or threads that use the same store at the same time. Started by
 * concurrent-senders.ts. Arguments: directory, group id, name of the process, seconds, kind of store.
 */
import { fromHex, toHex, utf8 } from "../../src/codec/index.ts";
import {
  Client,
  type Group,
  KeyDirectory,
  MlsError,
  type SentApplicationMessage,
} from "../../src/index.ts";
import { openSenderStore, type SenderStore } from "./sender-store.ts";

const [, , directory = "", groupId = "", name = "", seconds = "1", store = "file"] = process.argv;

const client = await Client.open({
  storage: await openSenderStore(store as SenderStore, directory),
  authenticationService: new KeyDirectory(),
});
const id = fromHex(groupId);
const group: Group = await client.group(id);
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));

const end = performance.now() + Number(seconds) * 1000;
for (let count = 0; performance.now() < end; count++) {
  const text = `${name} ${count}`;
  // Every fourth one with a record of the application's own, in a transaction.
  const sent = count % 4 === 0 ? await sendTogether(text) : await group.send(text);
  process.stdout.write(`${sent.generation} ${toHex(sent.bytes)} ${text}\n`);
}
await client.close();
// When everything is written.
process.stdout.write("", () => process.exit(0));

/** The application repeats its own transactions: only it knows what else the callback has done. */
async function sendTogether(text: string): Promise<SentApplicationMessage> {
  for (;;) {
    try {
      return await client.transaction(async (tx) => {
        tx.put(`sent/${name}`, utf8(text));
        return (await tx.group(id)).send(text);
      });
    } catch (error) {
      if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
    }
  }
}
