/** Members that leave by SelfRemove. draft-ietf-mls-extensions. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES } from "../../src/codec/index.ts";
import {
  createSelfRemove,
  SELF_REMOVE,
  SELF_REMOVE_PRIVATE,
  selfRemove,
  selfRemoveType,
} from "../../src/drafts/index.ts";
import { signContent } from "../../src/framing/authenticated-content.ts";
import { encodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { Environment } from "../../src/group/environment.ts";
import { createProposal } from "../../src/group/proposal-message.ts";
import { PublicGroup } from "../../src/observer/index.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { newClient, provider } from "../support/parties.ts";
import { MESSAGE_DEFAULTS, TestGroup } from "../support/test-group.ts";

const proposals = new Map([
  [SELF_REMOVE, selfRemoveType],
  [SELF_REMOVE_PRIVATE, selfRemoveType],
]);
const environment: Environment = testEnvironment({
  types: { proposals, credentials: new Map(), extensions: new Set() },
});
const capabilities = { proposals: [SELF_REMOVE, SELF_REMOVE_PRIVATE] };
const NAMES = ["alice", "bob", "carol"];

const capableGroup = (names = NAMES): Promise<TestGroup> =>
  TestGroup.of(names, { environment, client: { capabilities } });

/** Sends a departure to everybody. */
async function leave(group: TestGroup, name: string, type?: number): Promise<Uint8Array> {
  const party = group.party(name);
  const sent = await createSelfRemove(party.epoch, MESSAGE_DEFAULTS, environment, type);
  party.remember(sent.cached);
  await group.deliver(sent.bytes, name);
  return sent.bytes;
}

describe.each([SELF_REMOVE, SELF_REMOVE_PRIVATE])("code point %i", (type) => {
  test("M-MEM-12 a member leaves by the Commit of another", async () => {
    const group = await capableGroup();
    await leave(group, "bob", type);
    const { summary } = await group.commit("carol", { forcePath: false });
    expect(summary.hasPath).toBe(true);
    expect(summary.removed).toMatchObject([{ leafIndex: 1, by: { type: "member", leafIndex: 1 } }]);
    expect(group.party("bob").isMember).toBe(false);
    await agree(group);
  });

  test("M-MEM-12 mk-117 an external joiner commits it, and its own resync beside it", async () => {
    const group = await capableGroup(["alice", "bob", "carol", "dave"]);
    const departure = await leave(group, "bob", type);
    const carol = await newClient("carol", { capabilities });
    const seen: string[] = [];
    const made = await group.externalJoin("carol", carol, {
      resync: () => 2,
      pendingMessages: [departure],
    });
    seen.push(...made.summary.removed.map(({ leafIndex }) => `${leafIndex}`));
    expect(seen).toEqual(["1", "2"]);
    expect(made.summary.committer).toBe(1);
    group.party("bob").isMember = false;
    await agree(group);
  });
});

test("mk-116 the successor of a resync is judged beside the leaf that it replaces", async () => {
  const asked: string[] = [];
  const name = (identity: Uint8Array): string => Buffer.from(identity).toString();
  const strict: Environment = {
    ...environment,
    authenticationService: {
      validate: (identities) => identities.map(() => true as const),
      isSuccessor: ({ credential: a }, { credential: b }) => {
        if (a.type !== "basic" || b.type !== "basic") return { reason: "not basic" };
        asked.push(`${name(a.identity)} ${name(b.identity)}`);
        return name(a.identity) === name(b.identity) ? true : { reason: "another person" };
      },
    },
  };
  const client = { capabilities };
  const group = await TestGroup.of(NAMES, { environment: strict, client });
  const departure = await leave(group, "bob");
  const carol = await newClient("carol", { capabilities });
  await group.externalJoin("carol", carol, { resync: () => 2, pendingMessages: [departure] });
  expect(new Set(asked)).toEqual(new Set(["carol carol"]));
});

describe("how it is sent", () => {
  test("M-MEM-12 mk-115 never encrypted", async () => {
    const group = await capableGroup();
    const { epoch } = group.party("bob");
    const options = { ...MESSAGE_DEFAULTS, wireFormat: "privateMessage" } as const;
    const send = async () => createSelfRemove(epoch, options, environment);
    await expectRule(send, "mk-115", { as: "USE", code: "SELF_REMOVE_NEEDS_PUBLIC" });
    await expectRule(() => createProposal(epoch, selfRemove(), options, environment), "mk-115");
    // Somebody who does not care sends it all the same.
    const careless = new Map([[SELF_REMOVE, { ...selfRemoveType, publicOnly: false }]]);
    const types = { ...environment.types, proposals: careless };
    const sent = await createProposal(epoch, selfRemove(), options, { ...environment, types });
    await refusedByAll(group, "bob", sent.bytes, "mk-115");
  });

  test("valn0311 only if all members know it", async () => {
    const group = await TestGroup.of(NAMES, { environment });
    const send = async () =>
      createSelfRemove(group.party("bob").epoch, MESSAGE_DEFAULTS, environment);
    await expectRule(send, "valn0311", { as: "USE", code: "UNSUPPORTED_PROPOSAL" });
  });

  test("prop-6 a leaver need not know the type itself", async () => {
    const group = await TestGroup.of(["alice"], { environment, client: { capabilities } });
    await group.add("alice", new Map([["bob", await newClient("bob")]]));
    await group.propose("bob", selfRemove());
    await group.commit("alice");
    expect(group.party("bob").isMember).toBe(false);
  });

  test("mk-115 only by members", async () => {
    const group = await capableGroup();
    const { epoch } = group.observer;
    const { signer } = await newClient("mallory");
    const signed = await signContent(
      {
        groupId: epoch.context.groupId,
        epoch: epoch.context.epoch,
        sender: { type: "newMemberProposal" },
        authenticatedData: EMPTY_BYTES,
        content: { contentType: "proposal", proposal: selfRemove() },
      },
      "publicMessage",
      EMPTY_BYTES,
      signer,
    );
    const { content, signature } = signed;
    const auth = { signature, confirmationTag: undefined };
    const message = { content, auth, membershipTag: undefined };
    const bytes = encodeMlsMessage({ wireFormat: "publicMessage", message });
    await refusedByAll(group, "mallory", bytes, "valn1504");
    const validate = () => selfRemoveType.validate?.(selfRemove(), { type: "newMemberCommit" });
    await expectRule(validate, "mk-115");
  });

  test("mk-115 once in an epoch", async () => {
    const group = await capableGroup();
    const groupInfo = await group.groupInfo("alice");
    const started = await PublicGroup.start(provider, { groupInfo }, environment);
    const server = started.group;
    const first = await leave(group, "bob");
    await server.process(first, environment);
    await server.process(first, environment);
    const again = { ...MESSAGE_DEFAULTS, authenticatedData: Uint8Array.of(1) };
    const { epoch } = group.party("bob");
    const second = await createSelfRemove(epoch, again, environment);
    await expectRule(() => server.process(second.bytes, environment), "mk-115");
    expect(server.proposals).toHaveLength(1);
    // A committer that has both takes one of them.
    await group.deliver(second.bytes, "bob");
    const made = await group.createCommit("alice");
    expect(made.unused).toHaveLength(1);
    expect(made.summary.removed).toHaveLength(1);
  });
});

describe("how it is committed", () => {
  test("mk-116 by reference only, and never one's own", async () => {
    const group = await capableGroup();
    const alice = group.party("alice");
    const byValue = () => group.createCommit("alice", { proposals: [selfRemove()] });
    await refuses(alice, byValue, "mk-116");
    await leave(group, "alice");
    const made = await group.createCommit("alice");
    expect(made.unused).toMatchObject([{ reason: { rule: "mk-116" } }]);
    expect(made.summary.removed).toEqual([]);
  });

  test("mk-116 prop-13 it wins over a Remove and an Update of the same leaf, in any order", async () => {
    const steps = [
      (group: TestGroup) => leave(group, "bob"),
      (group: TestGroup) => group.propose("carol", { type: "remove", removed: 1 }),
      (group: TestGroup) => group.proposeUpdate("bob"),
    ];
    for (const order of [
      [0, 1, 2],
      [1, 0, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const group = await capableGroup();
      for (const at of order) await steps[at]!(group);
      const { unused, summary } = await group.commit("alice");
      expect(unused).toHaveLength(2);
      expect(summary.custom).toHaveLength(1);
      expect(summary.removed).toMatchObject([{ leafIndex: 1, by: { leafIndex: 1 } }]);
    }
  });

  test("mk-116 a Commit with a SelfRemove and a Remove of one leaf is refused", async () => {
    const group = await capableGroup();
    await leave(group, "bob");
    const remove = [{ type: "remove", removed: 1 }] as const;
    const commit = () => group.createCommit("alice", { pending: [], proposals: remove });
    await commit();
    const careless = new Map([[SELF_REMOVE, { ...selfRemoveType, removes: () => undefined }]]);
    const alice = group.party("alice");
    alice.environment = { ...environment, types: { ...environment.types, proposals: careless } };
    const forged = await group.createCommit("alice", { proposals: remove });
    await refusedByAll(group, "alice", forged.commit, "mk-116");
  });

  test("mk-117 valn0406 external commits refer to nothing else", async () => {
    const group = await capableGroup();
    const client = await newClient("dave", { capabilities });
    const update = await group.proposeUpdate("bob");
    const withUpdate = () => group.createExternalJoin(client, { pending: [update] });
    await expectRule(withUpdate, "valn0406");
    const other = 0xff42;
    const types = {
      ...environment.types,
      proposals: new Map([...proposals, [other, {}]]),
    };
    const loose = { ...environment, types };
    const known = { capabilities: { proposals: [SELF_REMOVE, other] } };
    const mixed = await TestGroup.of(["alice"], { environment: loose, client: known });
    const custom = { type: "custom", proposalType: other, body: Uint8Array.of(0) } as const;
    const cached = await mixed.propose("alice", custom);
    const withCustom = () => mixed.createExternalJoin(client, { pending: [cached] });
    await expectRule(withCustom, "mk-117");
  });

  test("mk-117 a joiner refuses a departure whose signature is wrong", async () => {
    const group = await capableGroup();
    const departure = await leave(group, "bob");
    const forged = departure.slice();
    // The signature stands before the membership tag, which a joiner cannot check.
    forged[forged.length - 40]! ^= 1;
    const client = await newClient("dave", { capabilities });
    const join = (pending: Uint8Array) =>
      group.createExternalJoin(client, { pendingMessages: [pending] });
    await expectRule(() => join(forged), "valn1301");
    forged.set(departure);
    forged[forged.length - 1]! ^= 1;
    expect((await join(forged)).summary.removed).toHaveLength(1);
  });
});
