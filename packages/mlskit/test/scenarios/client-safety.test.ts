/** What must hold when things go wrong at the worst moment. RFC 9420 §9.2. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group, KeyDirectory, memoryStorage, type Storage } from "../../src/index.ts";
import { faultStorage } from "../../src/storage/fault.ts";

const directory = new KeyDirectory();

async function party(name: string, storage: Storage = memoryStorage()): Promise<Client> {
  const client = await Client.create({ identity: name, storage, authenticationService: directory });
  directory.add(client.identity);
  return client;
}

async function join(a: Group, client: Client, lastResort = false): Promise<[Group, Uint8Array]> {
  await a.add([(await client.createKeyPackage({ lastResort })).bytes]);
  const { welcomes } = await a.acceptCommit();
  return [await client.join(welcomes[0]!.bytes), welcomes[0]!.bytes];
}

describe("safety", () => {
  test("M-SEC-03: a Welcome is good for one entry, also for a last-resort package", async () => {
    const [alice, bob] = [await party("alice"), await party("bob")];
    const a = await alice.createGroup();
    const [b, welcome] = await join(a, bob, true);
    await b.send("generation 0 is used");
    const removal = await a.remove([b.ownLeafIndex]);
    await a.acceptCommit();
    await b.process(removal.commit, { accept: true });
    await expect(bob.join(welcome)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    await bob.deleteGroup(a.id);
    await expect(bob.join(welcome)).rejects.toMatchObject({ code: "GROUP_EXISTS" });
  });

  test("M-SEC-01: a removal that cannot be written leaves the group as it was", async () => {
    const storage = faultStorage(memoryStorage());
    const [alice, bob] = [await party("alice"), await party("bob", storage)];
    const a = await alice.createGroup();
    const [b] = await join(a, bob);
    const before = toHex(b.epochAuthenticator);
    const removal = await a.remove([b.ownLeafIndex]);
    storage.plan.failWrite = storage.writes + 1;
    await expect(b.process(removal.commit, { accept: true })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    expect(b.status).toBe("active");
    expect(toHex(b.epochAuthenticator)).toBe(before);
    expect((await b.process(removal.commit, { accept: true })).kind).toBe("removed");
  });

  test("M-EXP-09: nothing is derived from secrets that are gone", async () => {
    const [alice, bob] = [await party("alice"), await party("bob")];
    const a = await alice.createGroup();
    const [b] = await join(a, bob);
    const first = await a.update();
    const outcome = await b.process(first.commit, { accept: true });
    await a.acceptCommit();
    const second = await a.update();
    await b.process(second.commit, { accept: true });
    if (outcome.kind !== "commit") throw new Error("no commit");
    expect(() => outcome.next?.export("label", utf8("context"), 16)).toThrow("deleted");
  });

  test("P-TX-01: epochs that come and go in one transaction leave no keys behind", async () => {
    const storage = memoryStorage();
    const [alice, bob] = [await party("alice"), await party("bob", storage)];
    const a = await alice.createGroup();
    const [b] = await join(a, bob);
    const mail: Uint8Array[] = [];
    for (let i = 0; i < 7; i++) {
      mail.push((await a.send(`message ${i}`)).bytes);
      mail.push((await a.update()).commit);
      await a.acceptCommit();
    }
    await bob.transaction(async (transaction) => {
      const group = await transaction.group(b.id);
      for (const bytes of mail) await group.process(bytes, { accept: true });
    });
    const epochs = new Set<string>();
    for (const { key } of await storage.list("g0/")) {
      const found = /^g0\/[nr](\d+)\./.exec(key);
      if (found !== null) epochs.add(found[1]!);
    }
    expect([...epochs].sort((x, y) => Number(x) - Number(y))).toEqual(["5", "6", "7", "8"]);
  });

  test("P-BUF-03: a merge that could not be written is repeated with nothing lost", async () => {
    const storage = faultStorage(memoryStorage());
    const [alice, bob] = [await party("alice"), await party("bob", storage)];
    const a = await alice.createGroup();
    const [b] = await join(a, bob);
    const pending = await a.update();
    await a.acceptCommit();
    const early = await a.send("too early");
    expect((await b.process(early.bytes)).kind).toBe("future");
    const outcome = await b.process(pending.commit);
    if (outcome.kind !== "commit") throw new Error("no commit");
    storage.plan.failWrite = storage.writes + 1;
    await expect(outcome.accept()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    const merged = await outcome.accept();
    expect(merged.replayed.map(({ kind }) => kind)).toEqual(["application"]);
  });
});
