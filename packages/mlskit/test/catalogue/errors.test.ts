/** Catalogue M-ERR, pitfalls err, cc and past: what goes wrong, at the same time, or late. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { compareBeacon, createBeacon } from "../../src/production/index.ts";
import { equalBytes, fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import * as errors from "../../src/errors.ts";
import {
  Client,
  type ClientEvent,
  type Group,
  isBadSignature,
  isCommitRequired,
  isDecryptionFailure,
  isEpochMismatch,
  isKeyPackageMissing,
  isNotOperational,
  isPskMissing,
  isUnknownMember,
  isWrongGroup,
  MlsError,
  type Outcome,
} from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import {
  faultStorage,
  SeededRandom,
  seededProvider,
  testClock,
  testGroup,
} from "../../src/testing/index.ts";

const blamed: readonly [errors.MlsError, errors.Blame, boolean][] = [
  [new errors.DecodeError("x"), "decode", false],
  [new errors.UnsupportedError("UNSUPPORTED_TYPE", "x"), "unsupported", false],
  [new errors.ValidationError("INVALID_COMMIT", "x"), "validation", false],
  [new errors.CryptoError("DECRYPTION_FAILED", "x"), "crypto", false],
  [new errors.PolicyError("POLICY_REJECTED", "x"), "policy", false],
  [new errors.StateError("PENDING_COMMIT", "x"), "state", true],
  [new errors.UsageError("EMPTY_INPUT", "x"), "usage", false],
  [new errors.StorageError("STORAGE_FAILED", "x"), "storage", false],
  [new errors.StorageError("STORAGE_CONFLICT", "x"), "storage", true],
  [new errors.StorageError("STORE_LOCKED", "x"), "storage", true],
  [new errors.ProviderError("x"), "provider", false],
  [new errors.TransportError("TRANSPORT_REJECTED", "x"), "transport", false],
  [new errors.TransportError("TRANSPORT_RETRY", "x"), "transport", true],
  [new errors.InternalError("x"), "internal", false],
];

async function errorOf(promise: Promise<unknown>): Promise<MlsError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MlsError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function refusal(outcome: Outcome): MlsError {
  if (outcome.kind === "invalid" || outcome.kind === "invalidProposal") return outcome.error;
  throw new Error(`instead of a refusal: ${outcome.kind}`);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at < 0 ? copy.length + at : at]! ^= 1;
  return copy;
}

/** Two worlds of equal names that know nothing of each other. */
const pair = () => testGroup({ members: 2 });

describe("errors", () => {
  test("M-ERR-01 err-3: one base class, with code, rule, details and cause; text tells nothing more", async () => {
    const cause = new Error("below");
    for (const [error] of blamed) {
      expect(error).toBeInstanceOf(MlsError);
      expect(error).toBeInstanceOf(Error);
      expect(error.code).toMatch(/^[A-Z_]+$/);
      expect(error.name).toBe(error.constructor.name);
    }
    const made = new errors.StateError("MISSING_PSK", "x", {
      rule: "mk-01",
      details: { a: 1 },
      cause,
    });
    expect(made).toMatchObject({ code: "MISSING_PSK", rule: "mk-01", details: { a: 1 }, cause });

    const { group } = (await pair()).member(0);
    const [member, missing] = [group.memberCount, 7];
    const unknown = await errorOf(group.remove([missing]));
    expect(unknown).toMatchObject({
      code: "MEMBER_NOT_FOUND",
      rule: "valn0701",
      details: { leafIndex: missing },
    });
    expect([group.memberCount, MlsError.is(unknown, "MEMBER_NOT_FOUND")]).toEqual([member, true]);
  });

  test("M-ERR-01: an error of the store or the provider keeps its cause", async () => {
    const inner = memoryStorage();
    const cause = new Error("the disk is gone");
    let isBroken = false;
    const world = await testGroup({
      members: ["solo"],
      storage: () => ({
        get: (key) => inner.get(key),
        list: (prefix) => inner.list(prefix),
        write(batch) {
          if (isBroken) throw cause;
          return inner.write(batch);
        },
        close: () => undefined,
      }),
    });
    isBroken = true;
    const error = await errorOf(world.member(0).group.update());
    expect(error).toMatchObject({ code: "STORAGE_FAILED", blame: "storage", cause });
  });

  test("M-ERR-02: every class says whose fault it is and whether trying again can help", () => {
    for (const [error, blame, retryable] of blamed) {
      expect([error.name, error.code, error.blame, error.retryable]).toEqual([
        error.name,
        error.code,
        blame,
        retryable,
      ]);
    }
    const classes = Object.values(errors).filter((value) => value.prototype instanceof MlsError);
    expect(new Set(blamed.map(([{ constructor }]) => constructor))).toEqual(new Set(classes));
  });

  test("M-ERR-03 err-2: whatever arrives is never a usage or internal error", async () => {
    const world = await testGroup({ members: 3, seed: 3 });
    const [a, b] = world.groups as [Group, Group];
    const { client } = world.member(1);
    const newcomer = (await world.newClient("newcomer")).client;
    const keyPackage = (await newcomer.createKeyPackage()).bytes;
    const proposal = await a.propose({ type: "remove", removed: 2 });
    const genuine = [
      (await world.member(2).group.send("hello")).bytes,
      proposal.bytes,
      (await a.commit({ wireForm: "public" })).commit,
      await b.groupInfo(),
      keyPackage,
    ];
    const { welcomes } = await world.member(2).group.commitImmediately({ add: [keyPackage] });
    const random = new SeededRandom(7);
    const blames = new Set<string>();
    const note = (error: unknown): void => {
      if (!(error instanceof MlsError)) throw error;
      blames.add(error.blame);
    };
    const everything = [...genuine, welcomes[0]!.bytes];
    for (const bytes of everything) {
      await newcomer.joinExternally(bytes).catch(note);
      await b.add([bytes]).catch(note);
      if (b.pendingCommit !== undefined) await b.discardCommit();
    }
    for (const bytes of [...everything, random.bytes(50), new Uint8Array()]) {
      for (let round = 0; round < 40; round++) {
        let damaged =
          bytes.length === 0 ? random.bytes(9) : flip(bytes, random.below(bytes.length));
        if (random.chance(0.3)) damaged = damaged.slice(0, random.below(damaged.length + 1));
        const outcome = await client.process(damaged);
        if (outcome.kind === "invalid" || outcome.kind === "invalidProposal") note(outcome.error);
        await newcomer.join(damaged).catch(note);
        if (round < 15) await newcomer.joinExternally(damaged).catch(note);
      }
    }
    expect(blames).not.toContain("usage");
    expect(blames).not.toContain("internal");
    expect(blames.size).toBeGreaterThan(2);
  });

  test("M-ERR-04: predicates name the common cases", async () => {
    const [world, other] = [await testGroup({ members: 3 }), await pair()];
    const [a, b] = world.groups as [Group, Group];
    const strange = await createBeacon(other.member(0).group);
    expect(isWrongGroup(await errorOf(compareBeacon(a, strange)))).toBe(true);
    const sent = (await a.send("x")).bytes;
    expect(isDecryptionFailure(refusal(await b.process(flip(sent, -1))))).toBe(true);
    expect(isUnknownMember(await errorOf(a.remove([9])))).toBe(true);
    const beacon = await createBeacon(a);
    expect(isBadSignature(await errorOf(compareBeacon(b, flip(beacon, -1))))).toBe(true);
    const { client: outsider } = await world.newClient("outsider");
    const joining = await a
      .add([(await outsider.createKeyPackage()).bytes], { psks: [utf8("p")] })
      .catch((error: unknown) => error);
    expect(isPskMissing(joining)).toBe(true);
    await a.add([(await outsider.createKeyPackage()).bytes]);
    const [pending] = [a.pendingCommit!];
    const outcome = await b.process(pending.commit);
    await world.member(2).group.process(pending.commit, { accept: true });
    const { welcomes } = await a.acceptCommit();
    if (outcome.kind !== "commit") throw new Error(outcome.kind);
    await outcome.accept();
    expect(isEpochMismatch(await errorOf(outcome.accept()))).toBe(true);
    const { client: stranger } = await world.newClient("stranger");
    expect(isKeyPackageMissing(await errorOf(stranger.join(welcomes[0]!.bytes)))).toBe(true);
    const external = await stranger.joinExternally(await a.groupInfo());
    expect(isNotOperational(await errorOf(external.group.send("x")))).toBe(true);
    await b.proposeUpdate();
    expect(isCommitRequired(await errorOf(b.send("x")))).toBe(true);
    for (const predicate of [isWrongGroup, isUnknownMember, isBadSignature, isNotOperational]) {
      expect(predicate(new Error("x"))).toBe(false);
      expect(predicate(undefined)).toBe(false);
    }
  });

  test("err-1: neither errors nor events nor objects show secrets", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b] = world.groups as [Group, Group];
    const { client } = world.member(1);
    const events: ClientEvent[] = [];
    client.on((event) => events.push(event));
    const psk = utf8("a pre-shared key of known value");
    const plaintext = "a plaintext of known value";
    await client.putPsk(utf8("psk"), psk);
    const sent = (await a.send(plaintext)).bytes;
    const shown: unknown[] = [];
    shown.push(await b.process(flip(sent, -1)), await b.process(flip(sent, 40)));
    shown.push(await b.process(sent.slice(0, -3)));
    shown.push(await errorOf(b.commit({ psks: [utf8("another")] })));
    await b.commit({ psks: [utf8("psk")] });
    shown.push(await errorOf(b.update()), await a.process(b.pendingCommit!.commit).catch((e) => e));
    shown.push(await errorOf(b.send(new Uint8Array(2 ** 21))));
    await b.process(sent);
    const secrets = [
      psk,
      utf8(plaintext),
      a.epochAuthenticator,
      a.dangerouslyExportResumptionPsk(),
    ];
    for (const thing of [...shown, ...events, client, b]) {
      const cause = thing instanceof Error ? thing.stack : "";
      const depth = { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null };
      const json = JSON.stringify(thing, (_, value: unknown) =>
        typeof value === "bigint" ? `${value}` : value,
      );
      const text = `${String(thing)}\n${cause}\n${inspect(thing, depth)}\n${json}`;
      for (const secret of secrets) {
        expect(text).not.toContain(toHex(secret));
        expect(text).not.toContain(Buffer.from(secret).toString("base64"));
        expect(text).not.toContain(Buffer.from(secret).toString("latin1"));
        expect(text).not.toContain([...secret].join(","));
        // As util.inspect shows bytes.
        const pairs = [...secret].map((byte) => byte.toString(16).padStart(2, "0"));
        expect(text).not.toContain(pairs.join(" "));
      }
    }
  });

  test("err-4 M-SEC-18: failures to decrypt look alike, whatever was wrong", async () => {
    const world = await pair();
    const [a, b] = world.groups as [Group, Group];
    const sent = (await a.send("secret")).bytes;
    const seen = new Set<string>();
    const groupEnd = sent.length - 1;
    // Tag, ciphertext, sender data: from the end of the message to its middle.
    for (let at = groupEnd; at > groupEnd - 165; at -= 15) {
      const error = refusal(await b.process(flip(sent, at)));
      const { name, code, message, details, blame, cause } = error;
      seen.add(JSON.stringify({ name, code, message, details, blame, cause: cause === undefined }));
    }
    expect(seen.size).toBe(1);
    expect([...seen][0]).toContain("DECRYPTION_FAILED");
    expect((await b.process(sent)).kind).toBe("application");
  });
});

describe("concurrency", () => {
  test("cc-1 M-SEC-17: everything at once on one group is done one after the other", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const incoming = await b.sendMany(["1", "2", "3"]);
    const race = await c.update();
    const results = await Promise.allSettled([
      a.send("first"),
      a.process(incoming[2]!.bytes),
      a.send("second"),
      a.update(),
      a.process(incoming[0]!.bytes),
      a.proposeUpdate(),
      a.send("third"),
      a.process(race.commit, { accept: true }),
      a.process(incoming[1]!.bytes),
      a.send("fourth"),
    ]);
    const failed = results.flatMap((result, i) => (result.status === "rejected" ? [i] : []));
    // The proposal met a pending Commit, and nothing else failed.
    expect(failed).toEqual([5]);
    const sent = [0, 2, 6, 9].map((i) => {
      const result = results[i]!;
      if (result.status !== "fulfilled") throw result.reason;
      return result.value as Awaited<ReturnType<Group["send"]>>;
    });
    expect(sent.map(({ epoch, generation }) => [epoch, generation])).toEqual([
      [1n, 0],
      [1n, 1],
      [1n, 2],
      [2n, 0],
    ]);
    await b.process(race.commit, { accept: true });
    await c.acceptCommit();
    for (const { bytes } of sent) {
      for (const group of [b, c]) expect((await group.process(bytes)).kind).toBe("application");
    }
    world.assertAgreement();
  });

  test("cc-2: a hook that calls back into its group fails clearly and leaves nothing locked", async () => {
    let callBack: (() => Promise<unknown>) | undefined;
    const isAsked = { psk: false, policy: false };
    const world = await testGroup({
      members: 2,
      hookTimeout: 60,
      policy: {
        async reviewCommit() {
          isAsked.policy = true;
          await callBack?.();
          return true as const;
        },
      },
      async psk() {
        isAsked.psk = true;
        await callBack?.();
        return undefined;
      },
    });
    const { client, group } = world.member(0);
    const other = await client.createGroup();
    const queued: Promise<unknown>[] = [];
    callBack = () => {
      const later = group.send("from within");
      queued.push(later);
      return later;
    };
    const update = group.update();
    // A slow hook stops its own group only.
    await other.send("meanwhile");
    await expect(update).rejects.toMatchObject({ code: "POLICY_TIMEOUT" });
    await expect(group.commit({ psks: [utf8("x")] })).rejects.toMatchObject({
      code: "POLICY_TIMEOUT",
    });
    expect(isAsked).toEqual({ psk: true, policy: true });
    expect(await Promise.all(queued)).toHaveLength(2);
    callBack = undefined;
    await group.update();
    expect(group.status).toBe("pendingCommit");
  });

  test("cc-3: a slow provider changes nothing", async () => {
    const fast = seededProvider("slow");
    const slow = {
      ...fast,
      suites: fast.suites,
      suite: (id: number) => {
        const suite = fast.suite(id);
        const later =
          <A extends unknown[], R>(work: (...args: A) => R | Promise<R>) =>
          async (...args: A): Promise<R> => {
            await new Promise((resolve) => setTimeout(resolve, 1));
            return work(...args);
          };
        return new Proxy(suite, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name, target);
            if (typeof value !== "function") return value;
            const bound = value.bind(target) as (...args: unknown[]) => unknown;
            return ["verify", "sign", "seal", "open", "hpkeSeal", "hpkeOpen"].includes(String(name))
              ? later(bound)
              : bound;
          },
        });
      },
    };
    const world = await testGroup({ members: 3, provider: slow });
    const [a, b] = world.groups as [Group, Group];
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    const sent = await Promise.all([a.send("1"), a.send("2"), b.send("3")]);
    await world.deliver(flip(sent[0]!.bytes, -1), 0);
    for (const [i, { bytes }] of sent.entries()) await world.deliver(bytes, i < 2 ? 0 : 1);
    await world.commit(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("unhandledRejection", note);
    expect(rejections).toEqual([]);
    world.assertAgreement();
  });

  test("cc-4 M-EVT-04: events come after the write, in order, and no listener can disturb", async () => {
    const store = faultStorage(memoryStorage());
    const world = await testGroup({ members: ["solo"], storage: () => store });
    const { client, group } = world.member(0);
    const seen: [string, bigint, number][] = [];
    client.on(() => {
      throw new Error("a listener fails");
    });
    client.on((event) => {
      seen.push([event.type, group.epoch, store.writes]);
    });
    const writes = store.writes;
    await group.update();
    await group.acceptCommit();
    expect(seen).toEqual([
      ["commitStaged", 0n, writes + 1],
      ["commitAccepted", 1n, writes + 2],
      ["epochAdvanced", 1n, writes + 2],
      ["ownUpdateDone", 1n, writes + 2],
    ]);
    store.plan.failWrite = store.writes + 1;
    await expect(group.update()).rejects.toMatchObject({ blame: "storage" });
    expect(seen).toHaveLength(4);
  });

  test("cc-5: closing waits for what is under way, and nothing stays locked", async () => {
    const inner = memoryStorage();
    const keep = () => ({
      get: (key: string) => inner.get(key),
      list: (prefix: string) => inner.list(prefix),
      write: (batch: Parameters<typeof inner.write>[0]) => inner.write(batch),
      close: () => undefined,
    });
    const world = await testGroup({ members: ["solo"], storage: keep });
    const { client, group } = world.member(0);
    const under = [group.send("1"), group.update(), group.groupInfo()];
    const closed = client.close();
    const late = group.send("late");
    const results = await Promise.allSettled([...under, late]);
    await closed;
    const codes = results.map((result) =>
      result.status === "rejected" ? (result.reason as MlsError).code : "done",
    );
    for (const code of codes) expect(["done", "CLIENT_CLOSED"]).toContain(code);
    expect(codes.at(-1)).toBe("CLIENT_CLOSED");
    await expect(client.groups()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    const authenticationService = world.directory;
    const again = await Client.open({ storage: keep(), authenticationService });
    const [reopened] = await again.groups();
    if (reopened!.status === "pendingCommit") await reopened!.acceptCommit();
    await reopened!.send("open again");
  });
});

describe("late messages", () => {
  test("past-1: a late message belongs to the leaf of its own epoch", async () => {
    const world = await testGroup({ members: ["alice", "bob", "carol"] });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const late = (await b.send("before I went")).bytes;
    const bob = b.members()[1]!;
    const mine = (await a.send("mine")).bytes;
    await world.commit(0, { remove: [1] });
    world.forget(1);
    const { client: dave } = await world.newClient("dave");
    const { welcomes } = await a.commitImmediately({
      add: [(await dave.createKeyPackage()).bytes],
    });
    void welcomes;
    expect(a.members()[1]!.identity).toEqual(utf8("dave"));
    const outcome = await a.process(late);
    expect(outcome).toMatchObject({
      kind: "application",
      epoch: 1n,
      sender: { type: "member", leafIndex: 1, signatureKey: bob.signatureKey },
    });
    if (outcome.kind === "application") {
      expect(fromUtf8(outcome.data)).toBe("before I went");
      expect(outcome.sender).toMatchObject({ credential: bob.credential });
    }
    expect((await a.process(mine)).kind).toBe("ownMessage");
    expect((await c.process(late)).kind).toBe("application");
  });

  test("past-1: it has the key that its sender rotated since", async () => {
    const world = await testGroup({ members: ["alice", "bob"] });
    const [a, b] = world.groups as [Group, Group];
    const { client } = world.member(1);
    const before = b.members()[1]!.signatureKey;
    const late = (await b.send("old key")).bytes;
    const identity = await client.addIdentity({ identity: "bob" });
    world.directory.add(identity);
    await world.commit(1, { identity, forcePath: true });
    await world.commit(0, { extensions: [] });
    expect(equalBytes(a.members()[1]!.signatureKey, before)).toBe(false);
    expect(await a.process(late)).toMatchObject({ sender: { signatureKey: before } });
  });

  test("past-2: kept epochs survive a restart together with their skipped keys", async () => {
    const inner = memoryStorage();
    const world = await testGroup({
      members: 2,
      storage: (name) => (name === "member 0" ? inner : memoryStorage()),
    });
    const [a, b] = world.groups as [Group, Group];
    const sent = await b.sendMany(["0", "1", "2", "3"]);
    await a.process(sent[2]!.bytes);
    await world.commit(1);
    await world.commit(0);
    const keep = {
      get: (key: string) => inner.get(key),
      list: (prefix: string) => inner.list(prefix),
      write: (batch: Parameters<typeof inner.write>[0]) => inner.write(batch),
      close: () => undefined,
    };
    const { group } = await world.reopen(0, keep);
    for (const [i, { bytes }] of sent.entries()) {
      const expected = i === 2 ? "duplicate" : "application";
      expect((await group.process(bytes)).kind).toBe(expected);
    }
    world.assertAgreement();
  });

  test("past-3 M-GRP-10: epochs are kept by number, by age, and until they are deleted", async () => {
    const clock = testClock();
    const world = await testGroup({ members: 2, clock });
    const [a, b] = world.groups as [Group, Group];
    const sent: (readonly [Uint8Array, Uint8Array])[] = [];
    for (let epoch = 1; epoch <= 4; epoch++) {
      const [first, second] = await b.sendMany(["in time", "too late"]);
      sent.push([first!.bytes, second!.bytes]);
      await world.commit(0);
    }
    expect((await a.process(sent[0]![0])).kind).toBe("epochTooOld");
    for (const [bytes] of sent.slice(1)) expect((await a.process(bytes)).kind).toBe("application");
    clock.advance(7 * 86_400);
    const [third, fourth] = [sent[2]!, sent[3]!];
    expect((await a.process(third[1])).kind).toBe("application");
    clock.advance(1);
    expect((await a.process(fourth[1])).kind).toBe("epochTooOld");
    const more = (await b.send("more")).bytes;
    await world.commit(1);
    await a.deletePastEpochs();
    expect((await a.process(more)).kind).toBe("epochTooOld");
  });

  test("past-5: handshake messages of past epochs never apply", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const proposal = await b.propose({ type: "remove", removed: 2 });
    const commit = await c.update();
    await world.commit(0);
    await c.process(a.confirmationTag).catch(() => undefined);
    for (const bytes of [proposal.bytes, commit.commit]) {
      const outcome = await a.process(bytes, { accept: true });
      expect(outcome.kind).toBe("stale");
    }
    expect(a.pendingProposals).toEqual([]);
    expect(a.memberCount).toBe(3);
    world.assertAgreement();
  });
});
