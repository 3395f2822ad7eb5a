/** What the story needs to know from outcomes and groups. */
import { expect, test } from "vitest";
import { Client, type Group, KeyDirectory, memoryStorage } from "../../src/index.ts";

const directory = new KeyDirectory();

async function client(name: string): Promise<Client> {
  const made = await Client.create({
    identity: name,
    storage: memoryStorage(),
    authenticationService: directory,
  });
  directory.add(made.identity);
  return made;
}

async function pair(): Promise<{ alice: Group; bob: Group }> {
  const [a, b] = [await client("alice"), await client("bob")];
  const alice = await a.createGroup();
  await alice.add([(await b.createKeyPackage()).bytes]);
  const { welcomes } = await alice.acceptCommit();
  return { alice, bob: await b.join(welcomes[0]!.bytes) };
}

test("the echo of an own Commit hands out its Welcomes, once it is merged", async () => {
  const { alice } = await pair();
  const carol = await client("carol");
  const keyPackage = await carol.createKeyPackage();
  const { commit } = await alice.add([keyPackage.bytes], { groupInfo: true });
  const outcome = await alice.process(commit);
  if (outcome.kind !== "ownCommit") throw new Error(outcome.kind);
  expect(outcome.welcomes).toEqual([]);
  const { welcomes, groupInfo } = await outcome.accept();
  expect(groupInfo).toBeDefined();
  const group = await carol.join(welcomes[0]!.bytes);
  expect(group.epochAuthenticator).toEqual(alice.epochAuthenticator);
});

test("after its removal a member reads past epochs only, and keeps nothing for later", async () => {
  const { alice, bob } = await pair();
  const early = await alice.send("an epoch ago");
  const update = await alice.update();
  await alice.acceptCommit();
  await bob.process(update.commit, { accept: true });
  const last = await alice.send("in Bob's last epoch");
  const { commit } = await alice.removeMember({ identity: "bob" });
  await alice.acceptCommit();
  const next = await alice.send("without Bob");
  expect((await bob.process(commit, { accept: true })).kind).toBe("removed");
  for (const { bytes } of [last, next]) {
    const outcome = await bob.process(bytes);
    expect(outcome).toMatchObject({ kind: "groupInactive", isBuffered: false });
  }
  expect((await bob.process(early.bytes)).kind).toBe("application");
});

test("the external commit of a waiting join can be sent again", async () => {
  const { alice } = await pair();
  const carol = await client("carol");
  const { group, commit } = await carol.joinExternally(await alice.groupInfo());
  expect(group.joinCommit).toEqual(commit);
  await carol.acceptJoin(group.id);
  expect(group.joinCommit).toBeUndefined();
});
