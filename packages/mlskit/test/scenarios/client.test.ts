/** Clients that talk: the first steps of every application. */
import { describe, expect, test } from "vitest";
import { fromUtf8, toHex } from "../../src/codec/index.ts";
import { Client, KeyDirectory, type Group, memoryStorage, type Storage } from "../../src/index.ts";

const directory = new KeyDirectory();

async function client(
  name: string,
  storage: Storage = memoryStorage(),
  cipherSuite = 1,
): Promise<Client> {
  const made = await Client.create({
    identity: name,
    storage,
    authenticationService: directory,
    cipherSuite,
  });
  directory.add(made.identity);
  return made;
}

const same = (groups: readonly Group[]): void => {
  const [first, ...rest] = groups.map((group) => toHex(group.epochAuthenticator));
  for (const other of rest) expect(other).toBe(first);
};

async function deliver(bytes: Uint8Array, groups: readonly Group[]): Promise<void> {
  for (const group of groups) {
    const outcome = await group.process(bytes, { accept: true });
    expect(["commit", "proposal", "application", "removed"]).toContain(outcome.kind);
  }
}

describe("clients", () => {
  test("M-JOIN-01: two members and one message", async () => {
    const alice = await client("alice");
    const bob = await client("bob");
    const group = await alice.createGroup();
    await group.add([(await bob.createKeyPackage()).bytes]);
    expect(group.status).toBe("pendingCommit");
    const { welcomes } = await group.acceptCommit();
    const joined = await bob.join(welcomes[0]!.bytes);
    same([group, joined]);
    const outcome = await joined.process((await group.send("Hello, Bob")).bytes);
    expect(outcome.kind === "application" && fromUtf8(outcome.data)).toBe("Hello, Bob");
  });

  test("com-1 a commit race: the loser follows the winner and goes on", async () => {
    const [alice, bob, carol] = [await client("a"), await client("b"), await client("c")];
    const a = await alice.createGroup();
    await a.add([(await bob.createKeyPackage()).bytes, (await carol.createKeyPackage()).bytes]);
    const { welcomes } = await a.acceptCommit();
    const b = await bob.join(welcomes[0]!.bytes);
    const c = await carol.join(welcomes[0]!.bytes);
    const winner = await a.update();
    await b.update();
    await deliver(winner.commit, [b, c]);
    const echo = await a.process(winner.commit, { accept: true });
    expect(echo.kind).toBe("ownCommit");
    expect(b.status).toBe("active");
    same([a, b, c]);
    await deliver((await b.send("still here")).bytes, [a, c]);
  });

  test("a store opened again goes on where it was", async () => {
    const storage = memoryStorage();
    const keep: Storage = {
      get: (k) => storage.get(k),
      list: (p) => storage.list(p),
      write: (b) => storage.write(b),
      close: () => undefined,
    };
    const alice = await client("alice2", keep);
    const bob = await client("bob2");
    const a = await alice.createGroup();
    await a.add([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await a.acceptCommit();
    const b = await bob.join(welcomes[0]!.bytes);
    const sent = await b.send("one");
    const pending = await a.update();
    await alice.close();
    const again = await Client.open({ storage: keep, authenticationService: directory });
    const a2 = await again.group(b.id);
    expect(a2.status).toBe("pendingCommit");
    const outcome = await a2.process(sent.bytes);
    expect(outcome.kind).toBe("application");
    await deliver(pending.commit, [b]);
    await a2.acceptCommit();
    same([a2, b]);
    await deliver((await a2.send("two")).bytes, [b]);
    expect((await a2.process(sent.bytes)).kind).toBe("duplicate");
  });

  test("M-MEM-09: external join, leave and removal", async () => {
    const [alice, bob, carol] = [await client("a3"), await client("b3"), await client("c3")];
    const a = await alice.createGroup();
    await a.add([(await bob.createKeyPackage()).bytes]);
    const { welcomes } = await a.acceptCommit();
    const b = await bob.join(welcomes[0]!.bytes);
    const { group: c, commit } = await carol.joinExternally(await a.groupInfo());
    expect(c.status).toBe("pendingJoin");
    await deliver(commit, [a, b]);
    await c.process(commit);
    expect(c.status).toBe("active");
    same([a, b, c]);
    const leave = await b.leave();
    await deliver(leave.bytes, [a, c]);
    const removal = await a.commit();
    await a.acceptCommit();
    await deliver(removal.commit, [c]);
    const gone = await b.process(removal.commit, { accept: true });
    expect(gone.kind).toBe("removed");
    expect(b.status).toBe("inactive");
    same([a, c]);
    await expect(b.send("x")).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
  });
});
