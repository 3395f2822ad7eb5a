/** What went wrong elsewhere with ReInit and branches. RFC 9420 §11.2, §11.3. */
import { describe, expect, test } from "vitest";
import { fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import { Client } from "../../src/index.ts";
import { byIdentity } from "../scenarios/succession.ts";
import { expectRule } from "../support/assertions.ts";
import { type Desk, newDesk } from "../support/forge-clients.ts";
import { contents } from "../support/forge-join.ts";

const NEW_ID = utf8("the successor");

/** A client that forgets everything but its store between any two steps. */
class Forgetful {
  readonly desk: Desk;
  groupId: Uint8Array = new Uint8Array();

  constructor(desk: Desk) {
    this.desk = desk;
  }

  client(): Promise<Client> {
    return Client.open(this.desk.options);
  }

  async group(id: Uint8Array = this.groupId) {
    return (await this.client()).group(id);
  }
}

const newcomer = async (name: string): Promise<Forgetful> =>
  new Forgetful(await newDesk(name, { authenticationService: byIdentity }));

async function three(): Promise<{ all: Forgetful[]; groupId: Uint8Array }> {
  const all = [await newcomer("alice"), await newcomer("bob"), await newcomer("carol")];
  const [alice, ...others] = all as [Forgetful, ...Forgetful[]];
  const group = await (await alice.client()).createGroup();
  const keyPackages = [];
  for (const other of others) {
    keyPackages.push((await (await other.client()).createKeyPackage()).bytes);
  }
  await group.add(keyPackages);
  const { welcomes } = await group.acceptCommit();
  for (const other of others) await (await other.client()).join(welcomes[0]!.bytes);
  for (const one of all) one.groupId = group.id;
  return { all, groupId: group.id };
}

const authenticators = async (all: readonly Forgetful[], id: Uint8Array): Promise<Set<string>> => {
  const found = new Set<string>();
  for (const one of all) found.add(toHex((await one.group(id)).epochAuthenticator));
  return found;
};

describe("ri-1 the whole flow, each step by another member that was started anew", () => {
  test.each([
    [1, false],
    [2, true],
  ])("to suite %i, keeping the id: %s", async (cipherSuite, keepsId) => {
    const { all, groupId } = await three();
    const [alice, bob, carol] = all as [Forgetful, Forgetful, Forgetful];
    const newId = keepsId ? groupId : NEW_ID;
    const reInit = { groupId: newId, version: 1, cipherSuite, extensions: [] };
    const proposed = await (await carol.group()).propose({ type: "reInit", ...reInit });
    for (const one of [alice, bob]) {
      await (await one.group()).process(proposed.bytes, { accept: true });
    }
    const { commit } = await (await alice.group()).commit();
    expect((await alice.group()).pendingCommit?.commit).toEqual(commit);
    await (await alice.group()).acceptCommit();
    for (const one of [bob, carol]) {
      const outcome = await (await one.group()).process(commit, { accept: true });
      expect(outcome.kind).toBe("reinit");
    }
    for (const one of all) expect((await one.group()).status).toBe("suspended");
    const keyPackages = [];
    for (const one of [alice, carol]) {
      const client = await one.client();
      const own = (await client.identities()).find((each) => each.cipherSuite === cipherSuite);
      const name = fromUtf8(client.identity.identity);
      const identity = own ?? (await client.addIdentity({ identity: name, cipherSuite }));
      keyPackages.push((await (await one.client()).createKeyPackage({ identity })).bytes);
    }
    const maker = await bob.client();
    if (cipherSuite !== 1) await maker.addIdentity({ identity: "bob", cipherSuite });
    const made = await (await bob.client()).createSuccessor(groupId, keyPackages);
    for (const one of [alice, carol]) await (await one.client()).join(made.welcomes[0]!.bytes);
    expect((await authenticators(all, newId)).size).toBe(1);
    const said = await (await carol.group(newId)).send("we are all here");
    for (const one of [alice, bob]) {
      expect((await (await one.group(newId)).process(said.bytes)).kind).toBe("application");
    }
    if (keepsId) return;
    for (const one of all) expect((await one.group(groupId)).status).toBe("inactive");
  });
});

test("ri-3 the closed group can be stored and loaded, sends nothing, and gave its Commit to its maker", async () => {
  const { all } = await three();
  const [alice, bob] = all as [Forgetful, Forgetful];
  const reInit = { groupId: NEW_ID, version: 1, cipherSuite: 1, extensions: [] };
  const pending = await (await alice.group()).commit({ reInit });
  expect((await alice.group()).status).toBe("pendingCommit");
  const accepted = await (await alice.group()).acceptCommit();
  expect(accepted).toBeDefined();
  await (await bob.group()).process(pending.commit, { accept: true });
  for (const one of [alice, bob]) {
    const before = await contents(one.desk.storage);
    const group = await one.group();
    expect(group.status).toBe("suspended");
    await expectRule(() => group.send("x"), "mk-104");
    await expectRule(() => group.update(), "mk-104");
    expect(await contents(one.desk.storage)).toEqual(before);
  }
});

test("ri-5 a branch is made and joined after restarts, and its parent goes on", async () => {
  const { all, groupId } = await three();
  const [alice, bob, carol] = all as [Forgetful, Forgetful, Forgetful];
  const { bytes } = await (await carol.client()).createKeyPackage();
  const made = await (await bob.client()).createBranch(groupId, [bytes], { groupId: NEW_ID });
  await (await carol.client()).join(made.welcomes[0]!.bytes);
  expect((await authenticators([bob, carol], NEW_ID)).size).toBe(1);
  expect((await carol.group(NEW_ID)).epoch).toBe(1n);
  const { commit } = await (await carol.group()).update();
  await (await carol.group()).acceptCommit();
  for (const one of [alice, bob]) await (await one.group()).process(commit, { accept: true });
  expect((await authenticators(all, groupId)).size).toBe(1);
});

test("ri-6 usages reinit and branch are not for Commits of our own", async () => {
  const { all, groupId } = await three();
  const [alice] = all as [Forgetful];
  const before = await contents(alice.desk.storage);
  for (const [usage, rule] of [
    ["reinit", "valn0801"],
    ["branch", "valn0802"],
  ] as const) {
    const nonce = new Uint8Array(32);
    const psk = { type: "resumption", usage, groupId, epoch: 1n, nonce } as const;
    const group = await alice.group();
    await expectRule(() => group.propose({ type: "psk", psk }), rule);
    await expectRule(() => group.queue({ type: "psk", psk }), rule);
    const commit = () => group.commit({ proposals: [{ type: "psk", psk }] });
    await expectRule(commit, rule);
  }
  expect(await contents(alice.desk.storage)).toEqual(before);
});
