/** Catalogue M-COM-07, rule mk-14: what a Commit leaves out, and what it names after all. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import {
  customProposal,
  type Group,
  type GroupLimits,
  type Proposal,
  type SentProposalView,
} from "../../src/index.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";
import { decodeMlsMessage, skipOpaque } from "../../src/wire.ts";
import { pskId } from "../support/forge-lists.ts";

const CUSTOM = 0xf001;
const proposals = new Map([[CUSTOM, {}]]);
const TYPES = { proposals, credentials: new Map(), extensions: new Set<number>() };

interface World {
  readonly world: TestGroup;
  readonly a: Group;
  readonly b: Group;
  readonly c: Group;
}

async function three(limits: Partial<GroupLimits> = {}): Promise<World> {
  const config = { handshake: { send: "public", accept: "both" } } as const;
  const world = await testGroup({ types: TYPES, config, limits });
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

/** The references in a Commit, and the types of what is in it by value. */
function namesIn(bytes: Uint8Array): readonly string[] {
  const types = { proposals: new Map([[CUSTOM, skipOpaque]]), credentials: new Map() };
  const decoded = decodeMlsMessage(bytes, types);
  if (decoded.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
  const { content } = decoded.message.content;
  if (content.contentType !== "commit") throw new Error("a Commit was expected");
  return content.commit.proposals.map((item) =>
    item.type === "proposal" ? item.proposal.type : toHex(item.reference),
  );
}

const reInit = {
  type: "reInit",
  groupId: utf8("successor"),
  version: 1,
  cipherSuite: 1,
  extensions: [],
} as const;

test("M-COM-07: a ReInit is committed if nothing beside it is valid", async () => {
  const { world, a, b, c } = await three();
  await world.members[1]!.client.putPsk(utf8("nobody else has it"), utf8("secret"));
  const proposed = await b.propose(reInit);
  const unusable = await b.propose({ type: "psk", psk: pskId("nobody else has it") });
  for (const { bytes } of [proposed, unusable]) await world.deliver(bytes, 1);
  const { commit, unused } = await a.commit();
  expect(namesIn(commit)).toEqual([toHex(proposed.reference)]);
  expect(unused).toMatchObject([
    { entry: { reference: unusable.reference }, reason: { code: "MISSING_PSK" } },
  ]);
  expect((await c.process(commit)).kind).toBe("reinit");
});

describe("mk-14 [C] M-COM-07: no Commit is larger than the others accept", () => {
  const custom = (text: string): Proposal => customProposal(CUSTOM, utf8(text));
  const psk = (name: string): Proposal => ({ type: "psk", psk: pskId(name) });

  test("proposals by reference are left out, the latest first, and reported", async () => {
    const { world, a, b, c } = await three({ maximumProposalsPerCommit: 3 });
    const sent: SentProposalView[] = [];
    const unusable = await b.propose(psk("nobody has it"));
    for (const text of ["1", "2", "3"]) sent.push(await b.propose(custom(text)));
    for (const { bytes } of [unusable, ...sent]) await world.deliver(bytes, 1);
    // What cannot be committed anyway takes nobody's place.
    const full = await a.commit();
    expect(namesIn(full.commit)).toEqual(sent.map(({ reference }) => toHex(reference)));
    await a.discardCommit();
    const { commit, unused } = await a.commit({ proposals: [custom("own")] });
    expect(namesIn(commit)).toEqual([
      ...sent.slice(0, 2).map(({ reference }) => toHex(reference)),
      "custom",
    ]);
    expect(unused).toMatchObject([
      { entry: { reference: unusable.reference }, reason: { code: "MISSING_PSK" } },
      { entry: { reference: sent[2]!.reference }, reason: { rule: "mk-14" } },
    ]);
    expect((await c.process(commit, { accept: true })).kind).toBe("commit");
    await b.process(commit, { accept: true });
    await a.acceptCommit();
    world.assertAgreement();
  });

  test("so are PSKs", async () => {
    const { world, a, b, c } = await three({ maximumPsks: 1 });
    const names = ["x", "y"];
    for (const { client } of world.members) {
      for (const name of names) await client.putPsk(utf8(name), utf8("secret"));
    }
    const sent = [
      await b.propose(psk("x")),
      await b.propose(custom("1")),
      await b.propose(psk("y")),
    ];
    for (const { bytes } of sent) await world.deliver(bytes, 1);
    const { commit, unused } = await a.commit();
    expect(unused).toMatchObject([
      { entry: { reference: sent[2]!.reference }, reason: { rule: "mk-14" } },
    ]);
    expect(await c.process(commit)).toMatchObject({ kind: "commit", summary: { psks: [{}] } });
  });

  test("by value they are an error", async () => {
    const { world, a } = await three({ maximumProposalsPerCommit: 3, maximumPsks: 1 });
    const four = ["1", "2", "3", "4"].map(custom);
    await expect(a.commit({ proposals: four })).rejects.toMatchObject({ rule: "mk-14" });
    await a.commit({ proposals: four.slice(1) });
    await a.discardCommit();
    await world.member(0).client.putPsk(utf8("id"), utf8("secret"));
    const other: Proposal = { type: "psk", psk: { ...pskId("id"), nonce: new Uint8Array(32) } };
    const psks = [psk("id"), other];
    await expect(a.commit({ proposals: psks })).rejects.toMatchObject({
      rule: "mk-14",
    });
    await a.commit({ proposals: psks.slice(1) });
  });
});
