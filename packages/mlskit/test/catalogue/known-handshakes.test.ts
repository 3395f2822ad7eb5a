/** Handshake messages that are known by what they say: P-OWN-04, M-RCV-13, M-PROP-13. */
import { describe, expect, test } from "vitest";
import type { Client, ClientOptions, Group, Outcome } from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";

const ACCEPT = { accept: true } as const;
const PUBLIC: ClientOptions["config"] = { handshake: { send: "public", accept: "both" } };

/** The last bytes of a member's PublicMessage are its membership tag, which anybody can change. */
function withOtherTag(message: Uint8Array): Uint8Array {
  const copy = message.slice();
  copy[copy.length - 1]! ^= 1;
  return copy;
}

function suspicions(client: Client): string[] {
  const found: string[] = [];
  client.on((event) => {
    if (event.type === "forkSuspected") found.push(event.evidence);
  });
  return found;
}

describe("P-OWN-04: in an older epoch a handshake message is known by confirmation tag or reference", () => {
  test("M-RCV-13: outsiders cannot make a Commit look like a second one", async () => {
    const world = await testGroup({ members: 3, config: PUBLIC });
    const [a, b] = world.groups as [Group, Group, Group];
    const events = world.members.map(({ client }) => suspicions(client));
    const { commit } = await a.update();
    await world.deliver(commit, 0);
    await a.acceptCommit();
    for (let epochs = 0; epochs < 5; epochs++) {
      for (const group of [a, b]) {
        expect(await group.process(withOtherTag(commit))).toMatchObject({ kind: "duplicate" });
        expect(await group.process(commit)).toMatchObject({ kind: "duplicate" });
      }
      await world.commit(1);
    }
    const again = (await world.reopen(1, world.member(1).storage)).group;
    expect((await again.process(withOtherTag(commit))).kind).toBe("duplicate");
    expect(events).toEqual([[], [], []]);
  });

  test("a Commit that another one beat is still evidence of a fork", async () => {
    for (const config of [PUBLIC, {}]) {
      const world = await testGroup({ members: 3, config });
      const [a, b, c] = world.groups as [Group, Group, Group];
      const events = suspicions(world.member(2).client);
      const loser = await a.update();
      const winner = await b.update();
      await c.process(winner.commit, ACCEPT);
      expect((await c.process(loser.commit)).kind).toBe("stale");
      expect(events).toEqual(["secondCommit"]);
    }
  });

  test("M-RCV-13: a proposal by its reference", async () => {
    const world = await testGroup({ members: 2, config: PUBLIC });
    const [a, b] = world.groups as [Group, Group];
    const known = await a.proposeUpdate();
    await b.process(known.bytes, ACCEPT);
    const unknown = await a.propose({ type: "remove", removed: 1 });
    await b.commit();
    await a.process(b.pendingCommit!.commit, ACCEPT);
    await b.acceptCommit();
    expect((await b.process(withOtherTag(known.bytes))).kind).toBe("duplicate");
    expect((await b.process(withOtherTag(unknown.bytes))).kind).toBe("stale");
  });

  test("in the present epoch the membership tag counts", async () => {
    const world = await testGroup({ members: 2, config: PUBLIC });
    const [a, b] = world.groups as [Group, Group];
    const proposal = await a.proposeUpdate();
    await b.process(proposal.bytes, ACCEPT);
    expect((await b.process(withOtherTag(proposal.bytes))).kind).toBe("invalidProposal");
    expect((await b.process(proposal.bytes)).kind).toBe("duplicate");
  });
});

describe("M-PROP-13: what one member drops, others may commit", () => {
  /** The first member proposes an update, the second drops it, the third commits it. */
  async function droppedBy(drop: (group: Group, reference: Uint8Array) => Promise<void>) {
    const outcomes: Outcome[] = [];
    for (const config of [PUBLIC, {}]) {
      const world = await testGroup({ members: 3, config });
      const [a, b, c] = world.groups as [Group, Group, Group];
      const { bytes, reference } = await a.proposeUpdate();
      for (const group of [b, c]) await group.process(bytes, ACCEPT);
      await drop(b, reference);
      expect(b.pendingProposals).toEqual([]);
      const again = (await world.reopen(1, world.member(1).storage)).group;
      expect((await again.process(bytes, ACCEPT)).kind).toBe("duplicate");
      expect(again.pendingProposals).toEqual([]);
      const { commit } = await c.commit();
      outcomes.push(await again.process(commit, ACCEPT));
      await a.process(commit, ACCEPT);
      await c.acceptCommit();
      world.assertAgreement();
      const rows = await world.member(1).storage.list("g0/");
      expect(rows.filter(({ key }) => /\/[dp]\d+$/.test(key))).toEqual([]);
    }
    return outcomes;
  }

  test("dropped by reference", async () => {
    const outcomes = await droppedBy((group, reference) => group.dropProposal(reference));
    expect(outcomes).toMatchObject([
      { kind: "commit", dropped: [] },
      { kind: "commit", dropped: [] },
    ]);
  });

  test("dropped with all others", async () => {
    const outcomes = await droppedBy((group) => group.dropAllProposals());
    expect(outcomes.map(({ kind }) => kind)).toEqual(["commit", "commit"]);
  });

  test("an update of our own: its key stays for the epoch", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const { bytes, reference } = await a.proposeUpdate();
    await b.process(bytes, ACCEPT);
    await a.dropProposal(reference);
    expect((await a.process(bytes)).kind).toBe("ownProposal");
    const again = (await world.reopen(0, world.member(0).storage)).group;
    const { commit } = await b.commit();
    await again.process(commit, ACCEPT);
    await b.acceptCommit();
    expect(again.epochAuthenticator).toEqual(b.epochAuthenticator);
    const { bytes: message } = await b.send("after the update");
    expect((await again.process(message)).kind).toBe("application");
  });

  test("dropped and proposed anew: numbers of records do not meet", async () => {
    const world = await testGroup({ members: 2 });
    const [a, b] = world.groups as [Group, Group];
    const sent: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      const { bytes, reference } = await a.proposeUpdate();
      await b.process(bytes, ACCEPT);
      sent.push(reference);
      await a.dropProposal(reference);
      if (round < 2) await b.dropProposal(reference);
    }
    const rows = await world.member(0).storage.list("g0/d");
    expect(rows).toHaveLength(3);
    const { commit } = await b.commit({ include: [sent[2]!] });
    expect((await a.process(commit, ACCEPT)).kind).toBe("commit");
    expect(await world.member(0).storage.list("g0/d")).toEqual([]);
  });

  test("M-PROP-20: of those as well no more are kept than the group's limit", async () => {
    const config = { pendingProposals: 2, pendingProposalsPerSender: 2 };
    const world = await testGroup({ members: 2, config });
    const [a, b] = world.groups as [Group, Group];
    for (let round = 0; round < 5; round++) {
      const { bytes, reference } = await a.proposeUpdate();
      await b.process(bytes, ACCEPT);
      for (const group of [a, b]) await group.dropProposal(reference);
    }
    expect(await world.member(1).storage.list("g0/d")).toHaveLength(2);
    // None at all is a limit as well.
    const { bytes, reference } = await a.proposeUpdate();
    await b.process(bytes, ACCEPT);
    await b.configure({ pendingProposals: 0 });
    await b.dropProposal(reference);
    expect(await world.member(1).storage.list("g0/d")).toEqual([]);
  });
});
