/** M-SEC-15: secrets that are dropped are overwritten in memory too, once that is durable. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import type { GroupState } from "../../src/client/state/group-state.ts";
import { Transaction } from "../../src/client/records/transaction.ts";
import { toHex } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { Client, defaultProvider, type Group, memoryStorage } from "../../src/index.ts";
import { declineWelcome, maintainKeyPackages } from "../../src/production/index.ts";
import { SecretTree } from "../../src/secret-tree/secret-tree.ts";
import { FaultStorage, faultStorage, testGroup, type TestGroup } from "../../src/testing/index.ts";

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

async function withPastEpoch(): Promise<{ world: TestGroup; secret: Uint8Array }> {
  const world = await testGroup({ members: 2 });
  await world.commit(0);
  const [past] = accessOf(world.groups[0]!).peek().past;
  return { world, secret: past!.senderDataSecret.bytes };
}

test("M-SEC-15: a Commit that waits goes on with an own Update that was dropped meanwhile", async () => {
  const { groups } = await testGroup({ members: 2 });
  const [a, b] = [groups[0]!, groups[1]!];
  const { bytes, reference } = await a.proposeUpdate();
  await b.process(bytes, { accept: true });
  const { commit } = await b.commit();
  await b.acceptCommit();
  const staged = await a.process(commit);
  await a.dropProposal(reference);
  if (staged.kind !== "commit") throw new Error("a Commit");
  await staged.accept();
  // With the new key of its leaf it reads the path of the next Commit.
  const next = await b.commitImmediately({ forcePath: true });
  expect((await a.process(next.commit, { accept: true })).kind).toBe("commit");
  expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);
});

test("M-SEC-15: the keys of past epochs are overwritten, deleted by hand, by settings or by age", async () => {
  const byHand = await withPastEpoch();
  await byHand.world.groups[0]!.deletePastEpochs();
  expect(isZero(byHand.secret)).toBe(true);
  const bySettings = await withPastEpoch();
  await bySettings.world.groups[0]!.configure({ pastEpochs: 0 });
  expect(isZero(bySettings.secret)).toBe(true);
  const byAge = await withPastEpoch();
  byAge.world.clock.advance(8 * 86_400);
  await byAge.world.member(0).client.group(byAge.world.groups[0]!.id);
  expect(isZero(byAge.secret)).toBe(true);
});

test("M-SEC-15: the encryption secret of another's Commit is overwritten once its epoch has begun", async () => {
  const storage = () => faultStorage(memoryStorage());
  const { groups, members } = await testGroup({ members: 2, storage });
  const [a, b] = [groups[0]!, groups[1]!];
  const { storage: store } = members[1]!;
  if (!(store instanceof FaultStorage)) throw new Error("a store that fails was expected");
  const begin = SecretTree.fromEncryptionSecret;
  const roots: Uint8Array[] = [];
  const made = vi.spyOn(SecretTree, "fromEncryptionSecret").mockImplementation((...args) => {
    roots.push(args[2].bytes);
    return begin(...args);
  });
  try {
    for (const isAtOnce of [false, true]) {
      const { commit } = await a.update();
      await a.acceptCommit();
      roots.length = 0;
      const staged = await b.process(commit, { accept: isAtOnce });
      const root = roots[0]!;
      expect(root).toHaveLength(32);
      if (staged.kind !== "commit") throw new Error("a Commit");
      if (!isAtOnce) {
        expect(isZero(root)).toBe(false);
        // What failed can be tried again.
        store.plan.failWrite = store.writes + 1;
        await expect(staged.accept()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
        expect(isZero(root)).toBe(false);
        await staged.accept();
      }
      expect(isZero(root)).toBe(true);
      expect((await b.process((await a.send("hello")).bytes)).kind).toBe("application");
      expect((await a.process((await b.send("hello")).bytes)).kind).toBe("application");
    }
  } finally {
    made.mockRestore();
  }
});

/** The bytes of the secrets of a group, wherever it has some. */
function secretsOf(group: Group): readonly Uint8Array[] {
  const { epoch, past, resumptionPsks, proposals, pending }: GroupState = accessOf(group).peek();
  const secrets = [...Object.values(epoch.secrets), ...epoch.privateKeys.values()];
  for (const { senderDataSecret } of past) secrets.push(senderDataSecret);
  secrets.push(...resumptionPsks.values());
  for (const { ownUpdate } of proposals.values()) {
    if (ownUpdate !== undefined) secrets.push(ownUpdate.leafPrivateKey);
  }
  if (pending !== undefined) secrets.push(...Object.values(pending.next.secrets));
  return secrets.map(({ bytes }) => bytes).filter(({ length }) => length > 0);
}

/** A member with a past epoch, an own Update and a Commit that waits, and all secrets of that. */
async function withSecrets() {
  const { world } = await withPastEpoch();
  const [other, member] = [world.member(0), world.member(1)];
  await member.group.proposeUpdate();
  await member.group.commit();
  const secrets = secretsOf(member.group);
  expect(secrets.length).toBeGreaterThan(20);
  expect(secrets.some(isZero)).toBe(false);
  return { world, other, member, secrets };
}

describe("M-SEC-15: nothing of a state that ended is left in memory", () => {
  test("of a group that was deleted", async () => {
    const { member, secrets } = await withSecrets();
    await member.client.deleteGroup(member.group.id);
    expect(secrets.every(isZero)).toBe(true);
  });

  test("of a state that was replaced by an accepted resync", async () => {
    const { other, member, secrets } = await withSecrets();
    const groupInfo = await other.group.groupInfo();
    const { group } = await member.client.joinExternally(groupInfo, { resync: true });
    expect(secrets.some(isZero)).toBe(false);
    const joined = secretsOf(group);
    await member.client.acceptJoin(group.id);
    expect(secrets.every(isZero)).toBe(true);
    expect(joined.some(isZero)).toBe(false);
  });

  test("of a join that was refused", async () => {
    const { other, member, secrets } = await withSecrets();
    const groupInfo = await other.group.groupInfo();
    const { group } = await member.client.joinExternally(groupInfo, { resync: true });
    const joined = secretsOf(group);
    await member.client.rejectJoin(group.id);
    expect(joined.every(isZero)).toBe(true);
    expect(secrets.some(isZero)).toBe(false);
    expect(member.group.status).toBe("pendingCommit");
  });

  test("of a group that we were removed from", async () => {
    const { other, member, secrets } = await withSecrets();
    const { commit } = await other.group.remove([member.group.ownLeafIndex]);
    const past = accessOf(member.group)
      .peek()
      .past.map((one) => one.senderDataSecret.bytes);
    expect((await member.group.process(commit, { accept: true })).kind).toBe("removed");
    // Late messages of past epochs can still be read.
    expect(secrets.filter((secret) => !past.includes(secret)).every(isZero)).toBe(true);
    expect(past.some(isZero)).toBe(false);
  });

  test("of a client that was closed", async () => {
    const { member, secrets } = await withSecrets();
    const begun = member.group.acceptCommit();
    await member.client.close();
    await begun;
    expect(secrets.every(isZero)).toBe(true);
  });
});

describe("M-SEC-15: private keys of key packages are in memory only while they are used", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** A client, and in how many arrays a private key of one of its key packages is left. */
  async function watched() {
    const world = await testGroup({ members: ["bob"] });
    const provider = defaultProvider();
    const suite = provider.suite(1);
    const { clock, directory: authenticationService } = world;
    const options = { storage: memoryStorage(), provider, clock, authenticationService };
    const alice = await Client.create({ ...options, identity: "alice" });
    world.directory.add(alice.identity);
    const keys: string[] = [];
    const held: Uint8Array[] = [];
    const generate = suite.generateKeyPair.bind(suite);
    vi.spyOn(suite, "generateKeyPair").mockImplementation(async () => {
      const pair = await generate();
      keys.push(toHex(pair.privateKey));
      held.push(pair.privateKey);
      return pair;
    });
    const copyOf = Secret.copyOf;
    vi.spyOn(Secret, "copyOf").mockImplementation((bytes) => {
      const secret = copyOf(bytes);
      held.push(secret.bytes);
      return secret;
    });
    const { put } = Transaction.prototype;
    vi.spyOn(Transaction.prototype, "put").mockImplementation(function (
      this: Transaction,
      key,
      value,
    ) {
      held.push(value);
      put.call(this, key, value);
    });
    const left = (): number => {
      return held.filter((bytes) => keys.some((key) => toHex(bytes).includes(key))).length;
    };
    const invite = async (keyPackage: Uint8Array): Promise<Uint8Array> => {
      const { group } = await world.member(0).client.createGroupWith([keyPackage]);
      return (await group.acceptCommit()).welcomes[0]!.bytes;
    };
    return { alice, left, invite, keys, held };
  }

  test("those that are made, kept in stock, listed and suspected", async () => {
    const { alice, left, invite, keys, held } = await watched();
    const [first] = await alice.createKeyPackages(2);
    const directory = { supportsLastResort: true, publish: () => 0, withdraw: () => 0 };
    await maintainKeyPackages(alice, directory, { target: 2 });
    expect(await alice.keyPackages()).toHaveLength(5);
    const welcome = await invite(first!.bytes);
    await alice.peekWelcome(welcome);
    await declineWelcome(alice, welcome);
    expect((await alice.keyPackages()).filter(({ isSuspect }) => isSuspect)).toHaveLength(1);
    expect([keys.length, held.length > 20, left()]).toEqual([10, true, 0]);
  });

  test("those that open a Welcome or make a group, but for the key of the leaf", async () => {
    const { alice, left, invite } = await watched();
    const [first, second, third] = await alice.createKeyPackages(3);
    const welcome = await invite(first!.bytes);
    const staged = await alice.stageWelcome(welcome);
    expect(left()).toBe(1);
    const joined = await alice.enter(staged);
    expect(left()).toBe(1);
    expect(joined.memberCount).toBe(2);
    await alice.createGroup({ keyPackage: second!.reference });
    expect(left()).toBe(2);
    const broken = (await invite(third!.bytes)).slice();
    broken[broken.length - 1]! ^= 1;
    await expect(alice.stageWelcome(broken)).rejects.toMatchObject({ blame: "crypto" });
    expect(left()).toBe(2);
  });
});

test("M-SEC-15: what a transaction wrote is overwritten, whether or not it was stored", async () => {
  const storage = faultStorage(memoryStorage());
  for (const mode of ["stored", "failed", "dropped"] as const) {
    const values = [1, 2, 3].map((byte) => new Uint8Array(8).fill(byte));
    const transaction = new Transaction(storage);
    transaction.put("app/a", values[0]!);
    transaction.put("app/a", values[1]!);
    transaction.put("app/b", values[2]!);
    expect(isZero(values[1]!), mode).toBe(false);
    if (mode === "dropped") transaction.abort();
    else {
      if (mode === "failed") storage.plan.failWrite = storage.writes + 1;
      const done = transaction.commit();
      if (mode === "failed") await expect(done).rejects.toMatchObject({ blame: "storage" });
      else await done;
    }
    expect(values.every(isZero), mode).toBe(true);
  }
  expect((await storage.get("app/a"))?.value).toEqual(new Uint8Array(8).fill(2));
});
