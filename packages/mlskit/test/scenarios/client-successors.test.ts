/** ReInit and branch through clients. RFC 9420 §11.2, §11.3. */
import { describe, expect, test } from "vitest";
import { fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group, KeyDirectory, memoryStorage } from "../../src/index.ts";

const directory = new KeyDirectory();

async function party(name: string): Promise<Client> {
  const client = await Client.create({
    identity: name,
    storage: memoryStorage(),
    authenticationService: directory,
  });
  directory.add(client.identity);
  return client;
}

async function pair(): Promise<{ alice: Client; bob: Client; a: Group; b: Group }> {
  const [alice, bob] = [await party("alice"), await party("bob")];
  const a = await alice.createGroup();
  await a.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  return { alice, bob, a, b: await bob.join(welcomes[0]!.bytes) };
}

describe("successor groups", () => {
  test.each([
    ["the same id", false],
    ["another id", true],
  ])(
    "M-REI-02 M-REI-04 M-REI-06 M-REI-08: ReInit with a change of suite under %s",
    async (_, rename) => {
      const { alice, bob, a, b } = await pair();
      const groupId = rename ? utf8("successor") : a.id;
      const old = a.id;
      const pending = await a.commit({
        reInit: { groupId, version: 1, cipherSuite: 2, extensions: [] },
      });
      await a.acceptCommit();
      const outcome = await b.process(pending.commit, { accept: true });
      expect(outcome.kind).toBe("reinit");
      expect([a.status, b.status]).toEqual(["suspended", "suspended"]);
      await expect(a.send("x")).rejects.toMatchObject({ code: "GROUP_SUSPENDED" });
      for (const client of [alice, bob]) {
        directory.add(
          await client.addIdentity({
            identity: fromUtf8(client.identity.identity),
            cipherSuite: 2,
          }),
        );
      }
      const [, aliceNew] = await alice.identities();
      const keyPackage = await alice.createKeyPackage({ identity: aliceNew! });
      const made = await bob.createSuccessor(old, [keyPackage.bytes]);
      const joined = await alice.join(made.welcomes[0]!.bytes);
      expect(joined.cipherSuite).toBe(2);
      expect(toHex(joined.epochAuthenticator)).toBe(toHex(made.group.epochAuthenticator));
      expect(toHex(joined.id)).toBe(toHex(groupId));
      const message = await joined.process((await made.group.send("on we go")).bytes);
      expect(message.kind).toBe("application");
      if (rename) {
        expect((await alice.group(old)).status).toBe("inactive");
        expect((await bob.group(old)).status).toBe("inactive");
      }
    },
  );

  test("M-BRA-01: a branch leaves its parent as it is", async () => {
    const { alice, bob, a, b } = await pair();
    const before = toHex(a.epochAuthenticator);
    const made = await alice.createBranch(a.id, [(await bob.createKeyPackage()).bytes]);
    const joined = await bob.join(made.welcomes[0]!.bytes);
    expect(toHex(joined.epochAuthenticator)).toBe(toHex(made.group.epochAuthenticator));
    expect(joined.epoch).toBe(1n);
    expect([a.status, b.status]).toEqual(["active", "active"]);
    expect(toHex(a.epochAuthenticator)).toBe(before);
  });

  test("M-COM-14: the loser of a race rebuilds what is left of its Commit", async () => {
    const { alice, a, b } = await pair();
    const [carol, dave] = [await party("carol"), await party("dave")];
    void alice;
    const lost = [(await carol.createKeyPackage()).bytes, (await dave.createKeyPackage()).bytes];
    await b.add(lost);
    const winner = await a.add([lost[0]!]);
    const outcome = await b.process(winner.commit, { accept: true });
    await a.acceptCommit();
    if (outcome.kind !== "commit" || outcome.discarded === undefined) throw new Error("no race");
    const again = await b.rebuild(outcome.discarded);
    expect(again?.summary.added.map(({ leaf }) => leaf.credential)).toEqual([
      { type: "basic", identity: utf8("dave") },
    ]);
    await b.acceptCommit();
    await a.process(again!.commit, { accept: true });
    expect(toHex(a.epochAuthenticator)).toBe(toHex(b.epochAuthenticator));
    expect(a.memberCount).toBe(4);
  });
});
