/** What becomes of an incoming message, row by row: its outcome, and what it leaves in the store. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import type { ClientEvent, Group, Outcome } from "../../src/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";

const ACCEPT = { accept: true } as const;

interface World {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
  /** Of Bob. */
  readonly storage: Storage;
}

async function three(options: TestGroupOptions = {}): Promise<World> {
  const world = await testGroup(options);
  const [a, b, c] = world.groups as [Group, Group, Group];
  return { world, a, b, c, storage: world.member(1).storage };
}

async function contents(storage: Storage): Promise<ReadonlyMap<string, string>> {
  const records = await storage.list("");
  return new Map(records.map(({ key, value }) => [key, toHex(value)]));
}

/** Kinds of records that a call changes: their letters in record-keys.ts. */
async function changes(storage: Storage, run: () => Promise<unknown>): Promise<string[]> {
  const before = await contents(storage);
  await run();
  const after = await contents(storage);
  const kinds = new Set<string>();
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (before.get(key) === after.get(key)) continue;
    kinds.add(/^g\d+\/([a-z])/.exec(key)?.[1] ?? key.replace(/\/.*/, ""));
  }
  // The version row, which every change raises, keeps its empty value.
  return [...kinds].sort();
}

/** Processes for Bob and expects an outcome and changed records. */
async function expectOutcome(
  { b, storage }: Pick<World, "b" | "storage">,
  bytes: Uint8Array,
  outcome: object,
  stored: readonly string[],
  options = {},
): Promise<Outcome> {
  let found: Outcome | undefined;
  const changed = await changes(storage, async () => {
    found = await b.process(bytes, options);
  });
  expect(found).toMatchObject(outcome);
  expect(changed).toEqual(stored);
  return found!;
}

describe("outcomes of incoming messages, and what is stored", () => {
  test("an application message: its ratchet row", async () => {
    const w = await three();
    const first = (await w.a.send("first")).bytes;
    // The first message of a sender opens the secret tree above it.
    const opened = await changes(w.storage, () => w.b.process(first));
    expect(opened).toEqual(["n", "r"]);
    const { bytes } = await w.a.send("second");
    await expectOutcome(w, bytes, { kind: "application", data: utf8("second") }, ["r"]);
  });

  test("our own leaf in private sender data: ownMessage, nothing", async () => {
    const w = await three();
    await expectOutcome(w, (await w.b.send("x")).bytes, { kind: "ownMessage" }, []);
  });

  test("a generation that was used: duplicate, nothing", async () => {
    const w = await three();
    const { bytes } = await w.a.send("x");
    await w.b.process(bytes);
    await expectOutcome(w, bytes, { kind: "duplicate" }, []);
  });

  test("behind the window or beyond the distance: generationTooOld, generationTooFar, nothing", async () => {
    const w = await three({ config: { outOfOrderTolerance: 1, maximumForwardDistance: 3 } });
    const sent = await w.a.sendMany(Array.from({ length: 8 }, (_, i) => `${i}`));
    await w.b.process(sent[2]!.bytes);
    await expectOutcome(w, sent[0]!.bytes, { kind: "generationTooOld" }, []);
    await expectOutcome(w, sent[7]!.bytes, { kind: "generationTooFar" }, []);
    await expectOutcome(w, sent[1]!.bytes, { kind: "application" }, ["r"]);
  });

  test("of an older epoch: application while its keys are kept, else epochTooOld", async () => {
    const w = await three({ config: { pastEpochs: 1 } });
    const [kept, late] = await w.a.sendMany(["kept", "late"]);
    await w.world.commit(0);
    await expectOutcome(w, kept!.bytes, { kind: "application", epoch: 1n }, ["r"]);
    await w.world.commit(0);
    await expectOutcome(w, late!.bytes, { kind: "epochTooOld" }, []);
  });

  test("a handshake message of an older epoch: duplicate if known, else stale; a second Commit raises forkSuspected", async () => {
    const w = await three();
    const events: ClientEvent[] = [];
    w.world.member(1).client.on((event) => events.push(event));
    const proposal = await w.a.proposeUpdate();
    await w.world.deliver(proposal.bytes, 0);
    const unknown = await w.c.proposeUpdate();
    const losing = await w.a.update();
    const { commit } = await w.c.commit({ include: [proposal.reference] });
    await w.b.process(commit, ACCEPT);
    events.length = 0;
    await expectOutcome(w, commit, { kind: "duplicate" }, []);
    await expectOutcome(w, proposal.bytes, { kind: "duplicate" }, []);
    const stale = { kind: "stale", contentType: "proposal" };
    await expectOutcome(w, unknown.bytes, stale, []);
    expect(events).toEqual([]);
    await expectOutcome(w, losing.commit, { kind: "stale", contentType: "commit" }, []);
    expect(events).toMatchObject([{ type: "forkSuspected", evidence: "secondCommit" }]);
  });

  test("an own Commit that was discarded and comes back later is stale, and no sign of a fork", async () => {
    for (const send of ["private", "public"] as const) {
      const w = await three({ config: { handshake: { send, accept: "both" } } });
      const events: ClientEvent[] = [];
      const { commit } = await w.b.update();
      await w.b.discardCommit();
      await w.world.commit(0);
      w.world.member(1).client.on((event) => events.push(event));
      await expectOutcome(w, commit, { kind: "stale", contentType: "commit" }, []);
      expect(events, send).toEqual([]);
      // Others cannot know that it was given up.
      w.world.member(2).client.on((event) => events.push(event));
      await w.c.process(commit);
      expect(events, send).toMatchObject([{ type: "forkSuspected", evidence: "secondCommit" }]);
    }
  });

  test("of the next epoch: future, raw bytes; beyond: farFuture, nothing", async () => {
    const w = await three();
    await w.a.commitImmediately();
    const next = (await w.a.send("next")).bytes;
    await w.a.commitImmediately();
    const beyond = (await w.a.send("beyond")).bytes;
    const future = { kind: "future", isBuffered: true };
    await expectOutcome(w, next, future, ["b", "buffered"]);
    expect(
      [...(await contents(w.storage)).values()].some((value) => value.includes(toHex(next))),
    ).toBe(true);
    await expectOutcome(w, beyond, { kind: "farFuture", isBuffered: false }, []);
  });

  test("a valid proposal: nothing before it is accepted, then the proposal", async () => {
    const w = await three();
    const { bytes } = await w.a.proposeUpdate();
    const outcome = await expectOutcome(w, bytes, { kind: "proposal", isStored: false }, []);
    const accepted = await changes(w.storage, async () => {
      if (outcome.kind === "proposal") await outcome.accept();
    });
    expect(accepted).toEqual(["n", "p", "r", "s"]);
  });

  test("a proposal that was dropped can be taken up when a Commit names it", async () => {
    for (const config of [{}, { handshake: { send: "public", accept: "both" } as const }]) {
      const w = await three({ config });
      const { bytes } = await w.a.proposeUpdate();
      expect((await w.b.process(bytes)).kind).toBe("proposal");
      await w.c.process(bytes, ACCEPT);
      const { commit } = await w.c.commit();
      expect((await w.b.process(commit, ACCEPT)).kind).toBe("missingProposal");
      // Also after a restart: nothing of the message was used up.
      const { group } = await w.world.reopen(1, w.storage);
      expect(await group.process(bytes, ACCEPT)).toMatchObject({ kind: "commit", isMerged: true });
      await w.c.acceptCommit();
      expect(group.epochAuthenticator).toEqual(w.c.epochAuthenticator);
    }
  });

  test("equal to a pending proposal: duplicate or ownProposal, nothing", async () => {
    const w = await three();
    const { bytes } = await w.a.proposeUpdate();
    await w.b.process(bytes, ACCEPT);
    await expectOutcome(w, bytes, { kind: "duplicate" }, []);
    await expectOutcome(w, (await w.b.proposeUpdate()).bytes, { kind: "ownProposal" }, []);
  });

  test("a Commit with unknown references: missingProposal, raw bytes", async () => {
    const w = await three();
    const proposal = await w.a.proposeUpdate();
    await w.c.process(proposal.bytes, ACCEPT);
    const { commit } = await w.c.commit();
    const missing = { kind: "missingProposal", missing: [proposal.reference] };
    await expectOutcome(w, commit, missing, ["b", "buffered"]);
  });

  test("a valid Commit: staged; accepted it begins the epoch and drops our own pending one", async () => {
    const w = await three();
    await w.b.update();
    const { commit } = await w.a.update();
    const outcome = await expectOutcome(w, commit, { kind: "commit", isMerged: false }, []);
    expect(w.b.status).toBe("pendingCommit");
    if (outcome.kind !== "commit") throw new Error(outcome.kind);
    const stored = await changes(w.storage, () => outcome.accept());
    for (const kind of ["c", "h", "k", "n", "s", "t", "x"]) expect(stored).toContain(kind);
    expect([...(await contents(w.storage)).keys()].some((key) => /^g\d+\/c/.test(key))).toBe(false);
    await w.a.acceptCommit();
    expect(w.b.epochAuthenticator).toEqual(w.a.epochAuthenticator);
  });

  test("our own Commit: after its acceptance the new epoch, and the Welcome is released", async () => {
    const w = await three();
    const { client } = await w.world.newClient("dave");
    const { commit } = await w.b.add([(await client.createKeyPackage()).bytes]);
    const held = { kind: "ownCommit", isMerged: false, welcomes: [] };
    const outcome = await expectOutcome(w, commit, held, []);
    if (outcome.kind !== "ownCommit") throw new Error(outcome.kind);
    const { welcomes } = await outcome.accept();
    expect(w.b.epoch).toBe(2n);
    expect((await client.join(welcomes[0]!.bytes)).epoch).toBe(2n);
  });

  test("our own Commit, discarded before its outcome is accepted: NO_PENDING_COMMIT, and nothing changes", async () => {
    const w = await three();
    const { commit } = await w.b.update();
    const outcome = await w.b.process(commit, { accept: false });
    if (outcome.kind !== "ownCommit") throw new Error(outcome.kind);
    await w.b.discardCommit();
    for (const again of [false, true]) {
      const pending = again ? await w.b.update() : undefined;
      const stored = await changes(w.storage, async () => {
        await expect(outcome.accept()).rejects.toMatchObject({ code: "NO_PENDING_COMMIT" });
      });
      expect(stored).toEqual([]);
      expect(w.b.epoch).toBe(1n);
      if (pending !== undefined) expect(w.b.pendingCommit?.commit).toEqual(pending.commit);
    }
    await w.b.acceptCommit();
    expect(w.b.epoch).toBe(2n);
  });

  test("an own Commit that is not the pending one: OWN_COMMIT_MISMATCH, and the pending one stays", async () => {
    for (const config of [{}, { handshake: { send: "public", accept: "both" } as const }]) {
      const w = await three({ config });
      const { commit } = await w.b.update();
      await w.b.discardCommit();
      const mismatch = { code: "OWN_COMMIT_MISMATCH" };
      const none = await changes(w.storage, async () => {
        await expect(w.b.process(commit)).rejects.toMatchObject(mismatch);
      });
      const pending = await w.b.update();
      const another = await changes(w.storage, async () => {
        await expect(w.b.process(commit)).rejects.toMatchObject(mismatch);
      });
      expect([none, another]).toEqual([[], []]);
      expect(w.b.pendingCommit?.commit).toEqual(pending.commit);
    }
  });

  test("a Commit that removes us: removed, an inactive head, secrets and buffers gone", async () => {
    const w = await three();
    await w.world.say(0, "x");
    const { commit } = await w.a.remove([1]);
    await w.a.acceptCommit();
    await w.b.process((await w.a.send("not for Bob")).bytes);
    const outcome = await w.b.process(commit, ACCEPT);
    expect(outcome).toMatchObject({ kind: "removed", removals: [{ reason: "weWereRemoved" }] });
    const kinds = new Set<string>();
    for (const key of (await contents(w.storage)).keys()) {
      const kind = /^g\d+\/([a-z])/.exec(key)?.[1];
      if (kind !== undefined) kinds.add(kind);
    }
    for (const kind of ["b", "c", "k", "n", "p", "r"]) expect(kinds).not.toContain(kind);
    const again = await w.world.reopen(1, w.storage);
    expect(again.group.status).toBe("inactive");
    expect(() => again.group.epochAuthenticator).toThrow();
  });

  test("a ReInit Commit: reinit, suspended", async () => {
    const w = await three();
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };
    const { commit } = await w.a.commit({ reInit });
    const outcome = await w.b.process(commit, ACCEPT);
    expect(outcome).toMatchObject({ kind: "reinit", reInit });
    const again = await w.world.reopen(1, w.storage);
    expect([again.group.status, again.group.reInit]).toMatchObject(["suspended", reInit]);
  });

  test("a Welcome: recognised, and stored by entering; an orphan and one for a live group are errors", async () => {
    const w = await three();
    const { client, storage } = await w.world.newClient("dave");
    const made = await client.createKeyPackages(2);
    const { group } = await w.world
      .member(0)
      .client.createGroupWith([made[0]!.bytes], { groupId: utf8("g") });
    const { welcomes } = await group.acceptCommit();
    const welcome = welcomes[0]!.bytes;
    const known = await changes(storage, async () => {
      expect(await client.process(welcome)).toEqual({ kind: "welcome", bytes: welcome });
      await client.peekWelcome(welcome);
      await client.stageWelcome(welcome);
    });
    expect(known).toEqual([]);
    const entered = await changes(storage, () => client.join(welcome));
    for (const kind of ["gone", "group", "h", "keypackage", "meta", "t"]) {
      expect(entered).toContain(kind);
    }
    await group.commitImmediately({ remove: [1] });
    const live = await group.commitImmediately({ add: [made[1]!.bytes] });
    const errors = await changes(storage, async () => {
      const orphan = client.join(welcome);
      await expect(orphan).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
      const second = client.join(live.welcomes[0]!.bytes);
      await expect(second).rejects.toMatchObject({ code: "GROUP_EXISTS" });
    });
    expect(errors).toEqual([]);
  });

  test("for a group whose join waits: buffered; our own external commit is recognised", async () => {
    const w = await three();
    const { client, storage } = await w.world.newClient("dave");
    const { group, commit } = await client.joinExternally(await w.a.groupInfo());
    await w.world.deliver(commit);
    const early = (await w.a.send("welcome, Dave")).bytes;
    const dave = { b: group, storage };
    await expectOutcome(dave, early, { kind: "buffered", isBuffered: true }, ["b", "buffered"]);
    expect(group.status).toBe("pendingJoin");
    const own = await group.process(commit);
    expect(own).toMatchObject({ kind: "ownCommit", replayed: [{ kind: "application" }] });
    expect(group.status).toBe("active");
  });

  test("for an unknown group: unknownGroup, nothing", async () => {
    const w = await three();
    const other = await testGroup({ members: 1 });
    const { bytes } = await other.member(0).group.send("x");
    const stored = await changes(w.storage, async () => {
      const outcome = await w.world.member(1).client.process(bytes);
      expect(outcome).toEqual({ kind: "unknownGroup", groupId: other.member(0).group.id });
    });
    expect(stored).toEqual([]);
  });

  test("what fails to open or to verify, breaks a rule, or is refused: invalid with code and rule, nothing at all", async () => {
    const reason = "not in this group";
    let isRefused = false;
    const policy = { reviewCommit: () => (isRefused ? { reason } : (true as const)) };
    const config = { handshake: { send: "public", accept: "both" } as const };
    const w = await three({ policy, config });
    const damaged = (await w.a.send("x")).bytes.slice();
    damaged[damaged.length - 1]! ^= 1;
    const crypto = { kind: "invalid", error: { code: "DECRYPTION_FAILED" } };
    await expectOutcome(w, damaged, crypto, []);
    const { commit } = await w.a.update();
    const forged = commit.slice();
    forged[forged.length - 1]! ^= 1;
    const tag = { kind: "invalid", error: { code: "TAG_INVALID" } };
    await expectOutcome(w, forged, tag, []);
    isRefused = true;
    const refused = { kind: "invalid", error: { code: "POLICY_REJECTED", rule: "mk-91" } };
    await expectOutcome(w, commit, refused, []);
    isRefused = false;
    await expectOutcome(w, commit.slice(0, -1), { kind: "invalid" }, []);
    expect((await w.b.process(commit, ACCEPT)).kind).toBe("commit");
  });
});
