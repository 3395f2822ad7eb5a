/** Rules of sections 3 and 5 that only a client with a store can keep. RFC 9420 §6, §10, §12.4, §15. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { Client, type Group, KeyDirectory, memoryStorage, type Storage } from "../../src/index.ts";
import { faultStorage } from "../../src/storage/fault.ts";
import { expectRule } from "../support/assertions.ts";

const directory = new KeyDirectory();

async function client(name: string, storage: Storage = memoryStorage()): Promise<Client> {
  const made = await Client.create({
    identity: name,
    storage,
    authenticationService: directory,
    cipherSuite: 1,
  });
  directory.add(made.identity);
  return made;
}

interface Pair {
  readonly a: Group;
  readonly b: Group;
  readonly storage: Storage;
}

/** Two members; the store is that of the second. */
async function pair(storage: Storage = memoryStorage()): Promise<Pair> {
  const [alice, bob] = [await client("alice"), await client("bob", storage)];
  const a = await alice.createGroup();
  await a.add([(await bob.createKeyPackage()).bytes]);
  const { welcomes } = await a.acceptCommit();
  return { a, b: await bob.join(welcomes[0]!.bytes), storage };
}

/** Everything in the store, so that two moments can be compared. */
async function contents(storage: Storage): Promise<readonly string[]> {
  return (await storage.list("")).map(({ key, value }) => `${key} ${toHex(value)}`);
}

async function next(from: Group, to: readonly Group[]): Promise<void> {
  const { commit } = await from.update();
  await from.acceptCommit();
  for (const group of to) await group.process(commit, { accept: true });
}

describe("epochs of application messages", () => {
  test("mk-25 [R] from the future, the far future, and an epoch that is not kept any more", async () => {
    const { a, b, storage } = await pair();
    await b.configure({ pastEpochs: 1 });
    const dropped = await a.send("in epoch 1");
    for (let i = 0; i < 3; i++) await next(a, [b]);
    const commits: Uint8Array[] = [];
    const early: Uint8Array[] = [];
    for (let i = 0; i < 2; i++) {
      commits.push((await a.update()).commit);
      await a.acceptCommit();
      early.push((await a.send(`in epoch ${a.epoch}`)).bytes);
    }
    const before = await contents(storage);
    const { generation: old } = dropped;
    expect(old).toBe(0);
    expect((await b.process(early[1]!)).kind).toBe("farFuture");
    expect((await b.process(dropped.bytes)).kind).toBe("epochTooOld");
    expect(await contents(storage)).toEqual(before);
    expect((await b.process(early[0]!)).kind).toBe("future");
  });

  test("mk-25 [R] ok: from the current epoch, and from one that is still kept", async () => {
    const { a, b } = await pair();
    const late = await a.send("late");
    await next(a, [b]);
    expect((await b.process(late.bytes)).kind).toBe("application");
    expect((await b.process((await a.send("now")).bytes)).kind).toBe("application");
  });
});

describe("wire formats", () => {
  test("mk-35 [R] a handshake message in a form that our policy does not accept", async () => {
    for (const accept of ["private", "public"] as const) {
      const { a, b, storage } = await pair();
      await b.configure({ handshake: { send: accept, accept } });
      await a.configure({
        handshake: { send: accept === "public" ? "private" : "public", accept: "both" },
      });
      const { commit } = await a.update();
      const before = await contents(storage);
      const action = async (): Promise<void> => {
        const outcome = await b.process(commit, { accept: true });
        if (outcome.kind === "invalid") throw outcome.error;
      };
      await expectRule(action, "mk-35", { code: "INCOMPATIBLE_WIRE_FORMAT" });
      expect(await contents(storage)).toEqual(before);
    }
  });

  test("mk-35 [S] Commits and proposals leave in the form that our policy names", async () => {
    const { a } = await pair();
    for (const send of ["private", "public"] as const) {
      await a.configure({ handshake: { send, accept: "both" } });
      const { bytes } = await a.proposeRemove(1);
      await a.dropAllProposals();
      const { commit } = await a.update();
      await a.discardCommit();
      for (const message of [bytes, commit]) {
        expect(decodeMlsMessage(message).wireFormat).toBe(`${send}Message`);
      }
      const { wireFormat } = decodeMlsMessage((await a.send("always private")).bytes);
      expect(wireFormat).toBe("privateMessage");
    }
  });

  test("mk-35 [SR] ok: by default we send private and take both", async () => {
    const { a, b } = await pair();
    await next(a, [b]);
    await b.configure({ handshake: { send: "public", accept: "both" } });
    await next(b, [a]);
    expect(toHex(a.epochAuthenticator)).toBe(toHex(b.epochAuthenticator));
  });
});

describe("generations", () => {
  const generationOf = async (group: Group): Promise<number> => {
    return (await group.send("x")).generation;
  };

  test("mk-41 [S] messages sent at the same time never share a generation", async () => {
    const { b } = await pair();
    const generations = await Promise.all(Array.from({ length: 20 }, () => generationOf(b)));
    expect(new Set(generations).size).toBe(20);
  });

  test.each(["failWrite", "crashBeforeWrite", "crashAfterWrite"] as const)(
    "mk-41 [S] a ciphertext leaves only after its generation is durably taken: %s",
    async (fault) => {
      const inner = memoryStorage();
      const storage = faultStorage(inner);
      const { a, b } = await pair(storage);
      const first = await b.send("before");
      storage.plan[fault] = storage.writes + 1;
      await expect(b.send("never seen")).rejects.toThrow();
      const reopened = await Client.open({ storage: inner, authenticationService: directory });
      const again = await reopened.group(b.id);
      const second = await again.send("after");
      expect(second.generation).toBeGreaterThan(first.generation);
      for (const { bytes } of [first, second]) {
        expect((await a.process(bytes)).kind).toBe("application");
      }
    },
  );
});

describe("what has to be done first", () => {
  test("mk-45 [S] no application data while a proposal waits that could be committed", async () => {
    const { a, b, storage } = await pair();
    const { bytes, reference } = await a.proposeUpdate();
    await b.process(bytes, { accept: true });
    const before = await contents(storage);
    for (const group of [a, b]) {
      const error = await expectRule(() => group.send("too early"), "mk-45", {
        code: "COMMIT_REQUIRED",
      });
      expect(error.details).toMatchObject({ proposals: [reference] });
    }
    expect(await contents(storage)).toEqual(before);
  });

  test("mk-45 [S] ok: when it was committed or dropped", async () => {
    const { a } = await pair();
    await a.proposeUpdate();
    await a.dropAllProposals();
    await a.send("nothing waits");
    await a.proposeRemove(1);
    await a.commit();
    await a.acceptCommit();
    await a.send("nothing waits any more");
  });

  test("mk-46 [CS] a member that was removed neither sends nor proposes nor commits", async () => {
    const { a, b, storage } = await pair();
    const { commit } = await a.remove([1]);
    await a.acceptCommit();
    await b.process(commit, { accept: true });
    const before = await contents(storage);
    for (const attempt of [
      () => b.send("still here?"),
      () => b.update(),
      () => b.proposeUpdate(),
      () => b.commit(),
    ]) {
      await expectRule(attempt, "mk-46", { code: "GROUP_INACTIVE" });
    }
    expect(await contents(storage)).toEqual(before);
  });

  test("mk-46 [CS] ok: those that stay", async () => {
    const { a } = await pair();
    await a.remove([1]);
    await a.acceptCommit();
    await a.send("to nobody");
    await a.update();
  });
});

describe("key packages", () => {
  async function invitations(): Promise<readonly [Client, Uint8Array, Uint8Array]> {
    const bob = await client("bob");
    const { bytes } = await bob.createKeyPackage();
    const welcomes: Uint8Array[] = [];
    for (const name of ["alice", "carol"]) {
      const group = await (await client(name)).createGroup();
      await group.add([bytes]);
      welcomes.push((await group.acceptCommit()).welcomes[0]!.bytes);
    }
    return [bob, welcomes[0]!, welcomes[1]!];
  }

  test("mk-60 [J] two Welcomes for one key package lead into one group", async () => {
    const [bob, first, second] = await invitations();
    const joins = await Promise.allSettled([bob.join(first), bob.join(second)]);
    expect(joins.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const { reason } = joins.find((join) => join.status === "rejected") as PromiseRejectedResult;
    await expectRule(() => {
      throw reason;
    }, "mk-60");
    expect(await bob.groups()).toHaveLength(1);
  });

  test("mk-60 [J] ok: a package marked as last resort leads into both", async () => {
    const [bob] = await invitations();
    const { bytes } = await bob.createKeyPackage({ lastResort: true });
    for (const name of ["alice", "carol"]) {
      const group = await (await client(name)).createGroup();
      await group.add([bytes]);
      await bob.join((await group.acceptCommit()).welcomes[0]!.bytes);
    }
  });
});
