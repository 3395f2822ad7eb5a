/** Catalogue M-POL: what the application may decide. */
import { expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { utf8 } from "../../src/codec/index.ts";
import type { CommitCandidate, Group, GroupPolicy, ProposalCandidate } from "../../src/index.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";
import { acceptAnyCredential } from "../support/environment.ts";

async function three(
  options: TestGroupOptions = {},
): Promise<{ world: TestGroup; a: Group; b: Group; c: Group }> {
  const world = await testGroup(options);
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

test("M-POL-01: credentials are validated through a hook", async () => {
  const events: string[] = [];
  let isTrusted = true;
  const { world, a } = await three({
    authenticationService: {
      ...acceptAnyCredential,
      validate: async (identities, { event }) => {
        events.push(event);
        return identities.map(() => (isTrusted ? true : { reason: "not known any more" }));
      },
    },
  });
  expect(events).toContain("add");
  expect(events).toContain("join");
  isTrusted = false;
  const add = [(await (await world.newClient("dave")).client.createKeyPackage()).bytes];
  await expect(a.commit({ add })).rejects.toMatchObject({
    code: "CREDENTIAL_REJECTED",
    details: { reason: "not known any more" },
  });
});

test("M-POL-02: proposals are reviewed on receipt, and in Commits of either direction", async () => {
  const seen: ProposalCandidate[] = [];
  const { world, a, b } = await three({
    policy: {
      reviewProposal: (candidate) => {
        seen.push(candidate);
        return true;
      },
    },
  });
  seen.length = 0;
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  await a.commit({ remove: [2] });
  await b.process(a.pendingCommit!.commit, { accept: true });
  const view = ({ proposal, byReference, direction, sender }: ProposalCandidate) => [
    proposal.type,
    sender.type,
    byReference,
    direction,
  ];
  expect(seen.map(view)).toEqual([
    ["update", "member", true, "receive"],
    ["update", "member", true, "receive"],
    ["update", "member", true, "createCommit"],
    ["remove", "member", false, "createCommit"],
    ["update", "member", true, "receiveCommit"],
    ["remove", "member", false, "receiveCommit"],
  ]);
  expect(seen[0]!.credential).toMatchObject({ identity: utf8("member 1") });
  expect(seen[0]!.group.epoch).toBe(1n);
  expect([...seen[0]!.group.members()]).toHaveLength(3);
});

test("M-POL-03: a Commit is reviewed as a whole, after all cryptographic checks", async () => {
  const seen: CommitCandidate[] = [];
  let verdict: true | { reason: string } = true;
  const policy: GroupPolicy = {
    reviewCommit: (candidate) => {
      seen.push(candidate);
      return verdict;
    },
  };
  const { world, a, b } = await three({ policy });
  seen.length = 0;
  const { commit } = await a.commit({ remove: [2], extensions: [] });
  const damaged = commit.slice();
  damaged[damaged.length - 1]! ^= 1;
  expect((await b.process(damaged)).kind).toBe("invalid");
  expect(seen).toHaveLength(1);
  verdict = { reason: "not today" };
  expect(await b.process(commit, { accept: true })).toMatchObject({
    kind: "invalid",
    error: { code: "POLICY_REJECTED", details: { reason: "not today" } },
  });
  expect(b.epoch).toBe(1n);
  for (const candidate of seen) {
    expect(candidate).toMatchObject({ committer: 0, isExternal: false });
    expect(candidate.proposals.map(({ proposal }) => proposal.type)).toEqual([
      "remove",
      "groupContextExtensions",
    ]);
    expect([[...candidate.before.members()].length, [...candidate.after.members()].length]).toEqual(
      [3, 2],
    );
    expect(candidate.after.extensions).toEqual([]);
  }
  expect(world.members).toHaveLength(3);
});

test("M-POL-05: the documentation says that rejecting rules must agree among all members", () => {
  const source = readFileSync(new URL("../../src/group/environment.ts", import.meta.url), "utf8");
  expect(source).toMatch(
    /Consensus-critical: all members must answer alike[^]*interface GroupPolicy/,
  );
});

test("M-POL-07: hooks have a time limit, after which the message can still be processed", async () => {
  let isStuck = false;
  const { a, b, c } = await three({
    hookTimeout: 50,
    policy: {
      reviewProposal: () => (isStuck ? new Promise<true>(() => undefined) : true),
    },
  });
  const { bytes } = await a.proposeUpdate();
  isStuck = true;
  await expect(b.process(bytes)).rejects.toMatchObject({ code: "POLICY_TIMEOUT" });
  await expect(b.remove([2])).rejects.toMatchObject({ code: "POLICY_TIMEOUT" });
  isStuck = false;
  expect((await b.process(bytes, { accept: true })).kind).toBe("proposal");
  await c.process(bytes, { accept: true });
  const { commit } = await c.commit();
  expect((await b.process(commit)).kind).toBe("commit");
});
