/** Commits that wait for a proposal, a hook or a PSK: M-RCV-02, M-RCV-08, M-RCV-09, M-POL-07, P-BUF. */
import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/codec/index.ts";
import {
  Client,
  type ClientOptions,
  type CommitOutcome,
  type Group,
  type Outcome,
  type Storage,
} from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";

const PSK = utf8("a PSK");
const CACHES = ["keep", "reload"] as const;
const kindsOf = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ kind }) => kind);

/** A Commit of the second member that names a proposal of the first, neither known to the third. */
async function waiting(config: ClientOptions["config"] = {}) {
  const world = await testGroup({ members: 3, config });
  const [a, b, c] = world.groups as [Group, Group, Group];
  const proposal = await a.proposeUpdate();
  await b.process(proposal.bytes, { accept: true });
  const { commit } = await b.commit();
  await a.process(commit, { accept: true });
  await b.acceptCommit();
  const message = await b.send("precious");
  return { world, b, c, proposal, commit, message };
}

describe("P-BUF-04: a Commit that waited for a proposal", () => {
  test("M-RCV-02 M-RCV-09: accepting the proposal stages it, and accepting that merges it", async () => {
    const { world, c, proposal, commit, message } = await waiting();
    expect((await c.process(commit)).kind).toBe("missingProposal");
    expect((await c.process(message.bytes)).kind).toBe("future");
    const own = await c.add([(await (await world.newClient("x")).client.createKeyPackage()).bytes]);
    const offered = await c.process(proposal.bytes);
    if (offered.kind !== "proposal") throw new Error(offered.kind);
    const staged = await offered.accept();
    expect(staged).toMatchObject({ kind: "commit", isMerged: false });
    expect(c.epoch).toBe(1n);
    expect(c.pendingProposals).toHaveLength(1);
    expect(c.pendingCommit?.commit).toEqual(own.commit);
    const merged = await (staged as CommitOutcome).accept();
    expect(c.epoch).toBe(2n);
    expect(merged.discarded).toMatchObject({ proposals: [{ type: "add" }] });
    expect(merged.replayed).toMatchObject([{ kind: "application", data: utf8("precious") }]);
    expect(await world.member(2).storage.list("g0/b")).toEqual([]);
    world.assertAgreement();
  });

  test("with autoAccept, accepting the proposal merges it and hands out what it made readable", async () => {
    const { c, proposal, commit, message } = await waiting({ autoAccept: true });
    await c.process(commit);
    await c.process(message.bytes);
    const offered = await c.process(proposal.bytes, { accept: false });
    if (offered.kind !== "proposal") throw new Error(offered.kind);
    const merged = await offered.accept();
    expect(merged).toMatchObject({ kind: "commit", isMerged: true });
    expect((merged as CommitOutcome).replayed).toMatchObject([{ kind: "application" }]);
    expect(c.epoch).toBe(2n);
  });

  test.each(CACHES)(
    "M-EVT-03: a Commit that waits to be accepted is announced once (%s)",
    async (cache) => {
      const world = await testGroup({ members: 3, cache });
      const [a, b, c] = world.groups as [Group, Group, Group];
      const proposal = await a.proposeUpdate();
      const another = await a.proposeUpdate();
      await b.process(proposal.bytes, { accept: true });
      const { commit } = await b.commit();
      const events: string[] = [];
      world.member(2).client.on(({ type }) => events.push(type));
      expect((await c.process(commit)).kind).toBe("missingProposal");
      const accept = async (bytes: Uint8Array) => {
        const offered = await c.process(bytes);
        if (offered.kind !== "proposal") throw new Error(offered.kind);
        return (await offered.accept()) as CommitOutcome;
      };
      expect(await accept(proposal.bytes)).toMatchObject({ kind: "commit", isMerged: false });
      expect(events).toEqual(["proposalReceived", "commitStaged"]);
      events.length = 0;
      // Neither another proposal stages it again, nor asking for it, nor its coming again.
      const staged = await accept(another.bytes);
      expect(staged).toMatchObject({ kind: "commit", isMerged: false });
      expect(c.pendingProposals).toHaveLength(2);
      expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
      expect((await c.process(commit)).kind).toBe("commit");
      expect(events).toEqual(["proposalReceived"]);
      expect((await staged.accept()).dropped).toHaveLength(1);
      await b.acceptCommit();
      expect(c.epochAuthenticator).toEqual(b.epochAuthenticator);
    },
  );

  test.each(CACHES)("asking for a Commit that waits writes nothing (%s)", async (cache) => {
    const { world, proposal, commit } = await waiting();
    const { storage } = world.member(2);
    let writes = 0;
    const counting: Storage = {
      get: (key) => storage.get(key),
      list: (prefix) => storage.list(prefix),
      write: (batch) => {
        writes += 1;
        return storage.write(batch);
      },
      close: () => undefined,
    };
    const { directory: authenticationService, clock } = world;
    const client = await Client.open({ storage: counting, authenticationService, clock, cache });
    const c = await client.group(world.groups[0]!.id);
    await c.process(commit);
    const offered = await c.process(proposal.bytes);
    if (offered.kind !== "proposal") throw new Error(offered.kind);
    await offered.accept();
    writes = 0;
    for (let i = 0; i < 3; i++) expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    expect(writes).toBe(0);
  });

  test("what another process does in the store does not announce a Commit again, what was not written does", async () => {
    const { world, proposal, commit } = await waiting();
    const { client, group: c, storage } = world.member(2);
    const events: string[] = [];
    client.on(({ type }) => events.push(type));
    await c.process(commit);
    const offered = await c.process(proposal.bytes);
    if (offered.kind !== "proposal") throw new Error(offered.kind);
    const stopped = client.transaction(async (transaction) => {
      await (await transaction.group(c.id)).process(proposal.bytes, { accept: true });
      await (await transaction.group(c.id)).retryBuffered();
      throw new Error("stopped");
    });
    await expect(stopped).rejects.toThrow("stopped");
    events.length = 0;
    await offered.accept();
    expect(events).toEqual(["commitStaged"]);
    const { directory: authenticationService, clock } = world;
    const other = await Client.open({ storage, authenticationService, clock });
    await (await other.group(c.id)).configure({ resumptionPsks: 1 });
    expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    await c.configure({ resumptionPsks: 2 });
    expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    expect(events).toEqual(["commitStaged"]);
  });

  test("M-RCV-09: a staged Commit that nobody accepted is there after a restart", async () => {
    const { world, proposal, commit } = await waiting();
    const c = world.groups[2]!;
    await c.process(commit);
    const offered = await c.process(proposal.bytes);
    if (offered.kind !== "proposal") throw new Error(offered.kind);
    await offered.accept();
    const again = (await world.reopen(2, world.member(2).storage)).group;
    const [staged] = await again.retryBuffered();
    expect(staged).toMatchObject({ kind: "commit", isMerged: false });
    await (staged as CommitOutcome).accept();
    expect(again.epoch).toBe(2n);
    expect(await again.retryBuffered()).toEqual([]);
    world.assertAgreement();
  });

  test("a waiting ReInit takes the proposal's place like any other Commit", async () => {
    const world = await testGroup({ members: 3 });
    const [a, b, c] = world.groups as [Group, Group, Group];
    const reInit = { groupId: utf8("next"), version: 1, cipherSuite: 1, extensions: [] };
    const proposal = await a.propose({ type: "reInit", ...reInit });
    await b.process(proposal.bytes, { accept: true });
    const { commit } = await b.commit();
    expect((await c.process(commit)).kind).toBe("missingProposal");
    expect(await c.process(proposal.bytes, { accept: true })).toMatchObject({ kind: "reinit" });
    expect(c.status).toBe("suspended");
  });
});

test("P-BUF-03: an early Commit comes up staged, and waits until it is accepted", async () => {
  const world = await testGroup({ members: 3 });
  const [a, b, c] = world.groups as [Group, Group, Group];
  const first = await a.commit();
  await b.process(first.commit, { accept: true });
  await a.acceptCommit();
  const second = await b.commit();
  await b.acceptCommit();
  await c.process(second.commit);
  const outcome = await c.process(first.commit, { accept: true });
  const [staged] = (outcome as CommitOutcome).replayed;
  expect(staged).toMatchObject({ kind: "commit", isMerged: false });
  const [again] = await c.retryBuffered({ accept: true });
  expect(again).toMatchObject({ kind: "commit", isMerged: true });
  expect(c.epochAuthenticator).toEqual(b.epochAuthenticator);
  expect(await world.member(2).storage.list("g0/b")).toEqual([]);
});

describe("M-POL-07: in a replay as well, what our own trouble stops is not consumed", () => {
  /** Two Commits, of which the third member gets the second one first. */
  async function twoCommits(options: Parameters<typeof testGroup>[0], psks?: Uint8Array[]) {
    const world = await testGroup({ members: 3, config: { autoAccept: true }, ...options });
    const [a, b, c] = world.groups as [Group, Group, Group];
    for (const { client } of world.members.slice(0, 2))
      await client.putPsk(PSK, new Uint8Array(32));
    const first = await a.commit();
    await b.process(first.commit);
    await a.acceptCommit();
    const second = await b.commit({ psks });
    await a.process(second.commit);
    await b.acceptCommit();
    expect((await c.process(second.commit)).kind).toBe("future");
    return { world, c, first };
  }

  test("P-BUF-03: a hook that does not answer", async () => {
    let reviews = Number.POSITIVE_INFINITY;
    const policy: NonNullable<ClientOptions["policy"]> = {
      reviewCommit: () => (reviews-- > 0 ? true : new Promise<true>(() => undefined)),
    };
    const { world, c, first } = await twoCommits({ hookTimeout: 500, policy });
    reviews = 1;
    const outcome = (await c.process(first.commit)) as CommitOutcome;
    expect(outcome.replayed).toMatchObject([
      { kind: "invalid", error: { code: "POLICY_TIMEOUT" }, isBuffered: true },
    ]);
    reviews = Number.POSITIVE_INFINITY;
    expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    world.assertAgreement();
  });

  test("M-SEC-11 P-BUF-03: a hook that throws over one message keeps nobody from going on", async () => {
    let isOffline = false;
    const policy: NonNullable<ClientOptions["policy"]> = {
      reviewCommit: ({ committer }) => {
        if (isOffline && committer === 1) throw new TypeError("no such identity");
        return true;
      },
    };
    const { world, c, first } = await twoCommits({ policy });
    isOffline = true;
    const outcome = (await c.process(first.commit)) as CommitOutcome;
    expect(outcome.isMerged).toBe(true);
    expect(outcome.replayed).toMatchObject([
      {
        kind: "invalid",
        error: { code: "HOOK_FAILED", blame: "policy", cause: { message: "no such identity" } },
        isBuffered: true,
      },
    ]);
    isOffline = false;
    expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    world.assertAgreement();
  });

  test("P-BUF-03: a PSK that comes later", async () => {
    const { world, c, first } = await twoCommits({}, [PSK]);
    const outcome = (await c.process(first.commit)) as CommitOutcome;
    expect(outcome.replayed).toMatchObject([
      { kind: "invalid", error: { code: "MISSING_PSK" }, isBuffered: true },
    ]);
    expect(kindsOf(await c.retryBuffered())).toEqual(["invalid"]);
    await world.member(2).client.putPsk(PSK, new Uint8Array(32));
    expect(kindsOf(await c.retryBuffered())).toEqual(["commit"]);
    expect(await world.member(2).storage.list("g0/b")).toEqual([]);
    world.assertAgreement();
  });

  test("P-BUF-02: waiting again does not make a message younger", async () => {
    const { world, c, first } = await twoCommits({}, [PSK]);
    await c.process(first.commit);
    for (let days = 0; days < 8; days++) {
      world.clock.advance(86_400);
      await c.retryBuffered();
    }
    expect(await world.member(2).storage.list("g0/b")).toEqual([]);
  });
});

test("P-BUF-03: early messages of one second keep their order over a restart", async () => {
  const world = await testGroup({ members: 3, config: { autoAccept: true } });
  const [a, b] = world.groups as [Group, Group, Group];
  const first = await a.commit();
  await b.process(first.commit);
  await a.acceptCommit();
  // Several, so that the order of their hashes is not theirs by chance.
  const early: Uint8Array[] = [];
  for (let i = 0; i < 6; i++) early.push((await a.send(`${i}`)).bytes);
  for (const bytes of early) {
    expect(await world.groups[2]!.process(bytes)).toMatchObject({ isBuffered: true });
  }
  const { group } = await world.reopen(2, world.member(2).storage);
  const { replayed } = (await group.process(first.commit)) as CommitOutcome;
  const texts = replayed.map((one) => (one.kind === "application" ? fromUtf8(one.data) : one.kind));
  expect(texts).toEqual(["0", "1", "2", "3", "4", "5"]);
});
