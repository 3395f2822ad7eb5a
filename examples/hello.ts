import { Client, KeyDirectory, memoryStorage } from "mlskit";

const authenticationService = new KeyDirectory(); // whose keys we believe
const options = () => ({ storage: memoryStorage(), authenticationService });
const alice = await Client.create({ identity: "alice", ...options() });
const bob = await Client.create({ identity: "bob", ...options() });
for (const { identity } of [alice, bob]) authenticationService.add(identity);

const group = await alice.createGroup();
await group.add([(await bob.createKeyPackage()).bytes]);
const { welcomes } = await group.acceptCommit(); // the delivery service took the Commit
for (const welcome of welcomes) await bob.join(welcome.bytes);
const outcome = await bob.process((await group.send("Hello, Bob")).bytes);
if (outcome.kind === "application") console.log(new TextDecoder().decode(outcome.data));
