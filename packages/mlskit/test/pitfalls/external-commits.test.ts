/** What went wrong elsewhere with external commits. RFC 9420 §12.4.3.2. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { customProposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { leafIndex } from "../../src/tree/tree-math.ts";
import { agree, refuses } from "../support/assertions.ts";
import { acceptAnyCredential, testEnvironment } from "../support/environment.ts";
import {
  flipped,
  forgeExternalCommit,
  forgeGroupInfo,
  type PathForgery,
} from "../support/forge.ts";
import { contents, newDesk, seat, tell } from "../support/forge-clients.ts";
import {
  add,
  CUSTOM_PROPOSAL,
  cachedFrom,
  extend,
  goesOn,
  groupInfoBytes,
  knowing,
  psk,
  pskId,
  publicGroup,
  refusedEverywhere,
  refusedList,
  reInit,
  remove,
  same,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import { authenticatorOf, capabilitiesFor, newClient, Party } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];
const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32).fill(9) };

describe("ext-1", () => {
  test("a member's Commit with an ExternalInit is refused, whatever else it holds", async () => {
    const group = await TestGroup.of(NAMES);
    for (const list of [
      [init],
      [init, remove(1)],
      [add(await newClient("dave")), init],
      [extend([]), init],
    ]) {
      await refusedList(group, list, "valn0310");
    }
  });
});

describe("ext-2", () => {
  const lists: readonly [
    RuleId,
    string,
    (group: TestGroup, own: Proposal) => Promise<readonly Proposal[]>,
  ][] = [
    ["valn0404", "an Add", async (_, own) => [own, add(await newClient("erin"))]],
    [
      "valn0404",
      "an Update",
      async (group, own) => [own, (await updateBy(group.party("bob"))).cached.proposal],
    ],
    ["valn0404", "new extensions", async (_, own) => [own, extend([])]],
    ["valn0404", "a ReInit", async (_, own) => [own, reInit()]],
    [
      "valn0404",
      "a registered type",
      async (_, own) => [own, customProposal(CUSTOM_PROPOSAL, utf8("x"))],
    ],
    ["valn0401", "two ExternalInits", async (_, own) => [own, init]],
    ["valn0401", "no ExternalInit", async () => []],
    ["valn0402", "two Removes", async (_, own) => [own, remove(1), remove(2)]],
  ];

  test.each(lists)("%s: an external commit with %s is refused as that", async (rule, _, list) => {
    const client = { capabilities: { proposals: [CUSTOM_PROPOSAL] } };
    const group = await TestGroup.of(NAMES, { client, environment: knowing() });
    const stranger = await newClient("dave", client);
    let wanted: readonly Proposal[] = [];
    wanted = await list(group, init);
    const made = await forgeExternalCommit(stranger, group.party("alice"), {
      proposals: (own) => wanted.map((each, i) => (i === 0 && each === init ? own : each)),
    });
    await refusedEverywhere(group, "dave", made.bytes, rule);
    await goesOn(group);
  });

  test("references and a missing path have ids of their own", async () => {
    const group = await TestGroup.of(NAMES);
    const cached = await cachedFrom(group.party("bob"), remove(2));
    const proposals = (own: Proposal) => [own, ...cached];
    const client = await newClient("dave");
    const referring = await forgeExternalCommit(client, group.party("alice"), { proposals });
    await refusedEverywhere(group, "dave", referring.bytes, "valn0406", { cached });
    const bare = await forgeExternalCommit(client, group.party("alice"), { path: false });
    await refusedEverywhere(group, "dave", bare.bytes, "valn0405");
    await goesOn(group);
  });
});

describe("ext-3", () => {
  test("only a leaf that the joiner succeeds is removed, and only where there is one", async () => {
    const environment = testEnvironment({
      authenticationService: {
        ...acceptAnyCredential,
        isSuccessor: () => ({ reason: "a stranger" }),
      },
    });
    const group = await TestGroup.of(NAMES, { environment });
    const client = await newClient("dave");
    for (const [rule, leaf] of [
      ["mk-48", 1],
      ["valn0701", 3],
      ["valn0701", 400],
    ] as const) {
      const made = await forgeExternalCommit(client, group.party("alice"), {
        proposals: (own) => [own, remove(leaf)],
      });
      await refusedEverywhere(group, "dave", made.bytes, rule);
    }
  });
});

describe("ext-4", () => {
  const faults: readonly [RuleId, string, (group: TestGroup) => Promise<PathForgery>][] = [
    ["valn0102", "its signature", async () => ({ alterLeafSignature: (it) => flipped(it, 0) })],
    [
      "valn0113",
      "its own credential type",
      async () => ({ leaf: { capabilities: { ...capabilitiesFor(1), credentials: [] } } }),
    ],
    [
      "mk-49",
      "the protocol version",
      async () => ({ leaf: { capabilities: { ...capabilitiesFor(1), versions: [] } } }),
    ],
    [
      "valn0107",
      "an extension of its own",
      async () => ({ leaf: { extensions: [{ type: 0x4444, data: utf8("") }] } }),
    ],
    ["mk-18", "its encryption key", async () => ({ leaf: { encryptionKey: new Uint8Array(31) } })],
    [
      "valn0112",
      "an encryption key of its own",
      async (group) => ({
        leaf: { encryptionKey: group.observer.epoch.tree.leaf(leafIndex(1))!.encryptionKey },
      }),
    ],
  ];

  test.each(faults)("%s: a joiner's leaf is refused for %s", async (rule, _, path) => {
    const group = await TestGroup.of(NAMES);
    const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      path: await path(group),
    });
    await refusedEverywhere(group, "dave", made.bytes, rule);
    await goesOn(group);
  });

  test("credentials are understood in both directions, and signature keys are new", async () => {
    const x509 = { credentials: [1, 2] };
    const group = await TestGroup.of(["alice", "bob"], { client: { capabilities: x509 } });
    const narrow = { ...capabilitiesFor(1), credentials: [2] };
    const narrowed = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      path: { leaf: { capabilities: narrow } },
    });
    await refusedEverywhere(group, "dave", narrowed.bytes, "valn0113");
    const posing = await newClient("bob", { signer: group.party("bob").signer });
    const twin = await forgeExternalCommit(posing, group.party("alice"));
    await refusedEverywhere(group, "nobody", twin.bytes, "valn0111");
  });
});

describe("ext-5", () => {
  test("PSKs count on both sides and are never zero", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await group.externalJoin("dave", await newClient("dave"), { psks: [pskId("a"), pskId("b")] });
    await agree(group);
    const proposals = (own: Proposal) => [own, psk(pskId("a"))];
    const made = await forgeExternalCommit(await newClient("erin"), group.party("alice"), {
      proposals,
    });
    await refusedEverywhere(group, "erin", made.bytes, "mk-77", { observer: false });
  });
});

describe("ext-6", () => {
  test("a client replaces its former self, which learns that it was removed", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    await own.commit();
    const info = groupInfoBytes(await group.groupInfo("alice"));
    const twin = await newDesk("carol");
    const { commit, group: entered } = await twin.client.joinExternally(info, { resync: true });
    await tell(group, commit);
    await twin.client.acceptJoin(GROUP_ID);
    const outcome = await own.process(commit);
    expect(outcome).toMatchObject({
      kind: "removed",
      removals: [{ leafIndex: 2, reason: "weWereRemoved" }],
    });
    expect(own.status).toBe("inactive");
    expect(entered.ownLeafIndex).toBe(2);
    expect(toHex(entered.epochAuthenticator)).toBe(authenticatorOf(group.party("alice").epoch));
  });

  test("a client resyncs with the signature key that it has", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    const info = groupInfoBytes(await group.groupInfo("alice"));
    const { commit } = await desk.client.joinExternally(info, { resync: true });
    await tell(group, commit);
    await desk.client.acceptJoin(GROUP_ID);
    const entered = await desk.client.group(GROUP_ID);
    expect(entered.ownLeafIndex).toBe(2);
    expect(toHex(entered.epochAuthenticator)).toBe(authenticatorOf(group.party("bob").epoch));
    // What it had of the group before is gone.
    expect(() => own.epochAuthenticator).toThrow(
      expect.objectContaining({ code: "GROUP_NOT_FOUND" }),
    );
  });
});

describe("ext-7", () => {
  test("a GroupInfo without a key for external joins is told apart from a wrong one", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("dave");
    const closed = await group.groupInfo("alice", { externalPub: false });
    await refuses(client, () => group.createExternalJoin(client, { groupInfo: closed }), "mk-87");
    const { groupInfo } = await forgeGroupInfo(group.party("alice").epoch, {
      context: { treeHash: new Uint8Array(32) },
    });
    await refuses(client, () => group.createExternalJoin(client, { groupInfo }), "valn1405");
  });
});

describe("ext-8", () => {
  test("a join that the delivery service refuses leaves nothing behind", async () => {
    const group = await TestGroup.of(NAMES);
    const desk = await newDesk("dave");
    const stored = async (): Promise<readonly string[]> =>
      (await contents(desk)).filter((record) => !record.startsWith("meta "));
    const before = await stored();
    const info = groupInfoBytes(await group.groupInfo("alice"));
    for (let i = 0; i < 2; i++) {
      await desk.client.joinExternally(info);
      await desk.client.rejectJoin(GROUP_ID);
      expect(await stored()).toEqual(before);
    }
  });
});

describe("ext-9", () => {
  test("authenticated data and every way of passing the tree are accepted", async () => {
    const group = await TestGroup.of(NAMES);
    const observer = publicGroup(group);
    for (const inside of [true, false]) {
      const groupInfo = await group.groupInfo("alice", { ratchetTree: inside });
      const ratchetTree = group.observer.epoch.tree.encode();
      const authenticatedData = utf8("hello from outside");
      const name = `joiner ${inside}`;
      const options = { groupInfo, ratchetTree, authenticatedData };
      const { commit } = await group.externalJoin(name, await newClient(name), options);
      const { message } = decodeMlsMessage(commit);
      expect("content" in message && message.content.authenticatedData).toEqual(authenticatedData);
      await observer.process(commit, group.environment);
    }
    await agree(group);
  });
});

describe("ext-10", () => {
  test("a joiner that removes its former leaf takes the leftmost place, freed or blank before", async () => {
    const group = await TestGroup.of([...NAMES, "dave"]);
    await group.commit("alice", { proposals: [remove(1)] });
    const dave = await newClient("dave");
    const resync = (): number => 3;
    const made = await group.createExternalJoin(dave, { resync });
    expect(made.next.ownLeaf).toBe(1);
    for (const party of group.members) await party.receive(made.commit);
    await publicGroup(group).process(made.commit, group.environment);
    group.parties.set("dave", new Party("dave", dave, made.next, group.environment));
    same(group);
    expect(made.next.tree.leafCount).toBe(4);
    expect(made.next.tree.leaf(leafIndex(3))).toBeUndefined();
  });
});
