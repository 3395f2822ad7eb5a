import { Client, KeyDirectory, memoryStorage } from "mlskit";

const directory = new KeyDirectory(); // whose keys we believe
const authenticationService = directory;
const alice = await Client.create({
  identity: "alice",
  storage: memoryStorage(),
  authenticationService,
});
const bob = await Client.create({
  identity: "bob",
  storage: memoryStorage(),
  authenticationService,
});
for (const { identity } of [alice, bob]) directory.add(identity);

const group = await alice.createGroup();
await group.add([(await bob.createKeyPackage()).bytes]);
const { welcomes } = await group.acceptCommit(); // the delivery service took the Commit
const joined = await bob.join(welcomes[0].bytes);
const outcome = await joined.process((await group.send("Hello, Bob")).bytes);
if (outcome.kind === "application") console.log(new TextDecoder().decode(outcome.data));
