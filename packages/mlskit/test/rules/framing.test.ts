/** Rules of section 3 about who says what: senders, signatures, tags, wire formats. RFC 9420 §6. */
import { beforeAll, describe, expect, test } from "vitest";
import { concat, EMPTY_BYTES, encode, fromHex, utf8 } from "../../src/codec/index.ts";
import type { Signer } from "../../src/crypto/index.ts";
import { verifyWithLabel } from "../../src/crypto/labels.ts";
import { ExternalSenders, makeExtension } from "../../src/extensions/extension.ts";
import { authenticate, signContent } from "../../src/framing/authenticated-content.ts";
import {
  authDataCodec,
  type Content,
  FramedContentFields,
  type Sender,
} from "../../src/framing/framed-content.ts";
import { noPadding } from "../../src/framing/padding.ts";
import { protectPrivate } from "../../src/framing/private-message.ts";
import { protectPublic } from "../../src/framing/public-message.ts";
import {
  createExternalProposal,
  createNewMemberProposal,
} from "../../src/group/external-proposal.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { agree, expectRule, refusedByAll, refuses, unchanged } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  type ContentForgery,
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
} from "../support/forge.ts";
import { newClient, newSigner, provider } from "../support/parties.ts";
import { protectContent } from "../../src/group/protect.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];
const REMOVE: Proposal = { type: "remove", removed: 2 };
const APPLICATION: Content = { contentType: "application", applicationData: utf8("hello") };
const types = testEnvironment().types;
const wrong = (signature: Uint8Array): Uint8Array => flipped(signature, 50);

/** A delivery service that the group lists as its second external sender. */
let service: Signer;
beforeAll(async () => {
  service = await newSigner();
});

async function openGroup(): Promise<TestGroup> {
  const credential = { type: "basic", identity: utf8("service") } as const;
  const other = (await newSigner()).publicKey;
  const senders = [other, service.publicKey].map((signatureKey) => ({ signatureKey, credential }));
  const environment = testEnvironment({ policy: { reviewProposal: () => true } });
  const extensions = [makeExtension(5, ExternalSenders, senders)];
  return TestGroup.of(NAMES, { extensions, environment });
}

const external = (senderIndex = 1): ContentForgery => ({
  sender: { type: "external", senderIndex },
  signer: service,
  signedContext: EMPTY_BYTES,
});

describe("group and epoch", () => {
  const OTHERS = [utf8("another group"), EMPTY_BYTES, utf8("a test grouP"), utf8("a test group ")];

  test("mk-24 [RO] a message for another group, even one whose id begins alike", async () => {
    const group = await TestGroup.of(NAMES);
    for (const groupId of OTHERS) {
      const forgery = { groupId };
      const proposal = await forgeProposal(group.party("alice"), REMOVE, forgery);
      await refusedByAll(group, "alice", proposal.bytes, "mk-24");
      const commit = await forgeCommit(group.party("alice"), forgery);
      await refusedByAll(group, "alice", commit.bytes, "mk-24");
      const hidden = await forgeMessage(group.party("alice"), APPLICATION, {
        ...forgery,
        wireFormat: "privateMessage",
      });
      await refusedByAll(group, "alice", hidden, "mk-24");
    }
  });

  test.each([
    [0n, "stale"],
    [2n, "future"],
    [2n ** 64n - 1n, "future"],
  ])("valn1201 [RO] a Commit of epoch %i", async (epoch, relation) => {
    const group = await TestGroup.of(NAMES);
    const { bytes } = await forgeCommit(group.party("alice"), { epoch });
    await refusedByAll(group, "alice", bytes, "valn1201", { code: "WRONG_EPOCH" });
    const bob = group.party("bob");
    const error = await expectRule(() => bob.receive(bytes), "valn1201");
    expect(error.details).toMatchObject({ relation, messageEpoch: epoch, currentEpoch: 1n });
    expect(error.retryable).toBe(true);
  });

  test("valn1307 [RO] a proposal of another epoch is not kept", async () => {
    const group = await TestGroup.of(NAMES);
    for (const epoch of [0n, 2n]) {
      const { bytes } = await forgeProposal(group.party("alice"), REMOVE, { epoch });
      await refusedByAll(group, "alice", bytes, "valn1307", { code: "WRONG_EPOCH" });
    }
    const { bytes } = await forgeProposal(group.party("alice"), REMOVE, { alterSignature: wrong });
    await refusedByAll(group, "alice", bytes, "valn1301");
    expect(group.party("bob").cache.size + group.observer.cache.size).toBe(0);
  });

  test("mk-24 valn1201 valn1307 [RO] ok: this group, this epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("alice"), REMOVE);
    await group.deliver(bytes, "alice");
    expect(group.party("bob").cache.size).toBe(1);
    const commit = await forgeCommit(group.party("alice"), { proposals: [cached] });
    await group.deliver(commit.bytes, "alice");
  });
});

describe("senders", () => {
  const NOBODY: readonly Sender[] = [3, 4, 77, 0xffff_ffff].map((leafIndex) => {
    return { type: "member", leafIndex };
  });

  test.each(NOBODY)(
    "mk-26 [RO] a member's message from leaf $leafIndex, where nobody is",
    async (sender) => {
      const group = await TestGroup.of(NAMES);
      const { bytes } = await forgeProposal(group.party("alice"), REMOVE, { sender });
      await refusedByAll(group, "alice", bytes, "mk-26");
      const commit = await forgeCommit(group.party("alice"), { sender });
      await refusedByAll(group, "alice", commit.bytes, "mk-26");
    },
  );

  test("mk-26 [RO] ok: from the last leaf", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes } = await forgeProposal(group.party("carol"), { type: "remove", removed: 0 });
    await group.deliver(bytes, "carol");
  });

  const WRONG_CONTENT: readonly [RuleId, Sender, Content["contentType"]][] = [
    ["valn1501", { type: "external", senderIndex: 1 }, "commit"],
    ["valn1503", { type: "newMemberProposal" }, "commit"],
    ["valn0408", { type: "newMemberCommit" }, "proposal"],
  ];
  test.each(WRONG_CONTENT)(
    "%s [RO] sender %o does not send a %s",
    async (rule, sender, contentType) => {
      const group = await openGroup();
      const alice = group.party("alice");
      const forgery = { sender, signer: service };
      const { bytes } =
        contentType === "commit"
          ? await forgeCommit(alice, forgery)
          : await forgeProposal(alice, REMOVE, forgery);
      await refusedByAll(group, "", bytes, rule);
    },
  );

  test("valn1504 [RO] a would-be member proposes nothing but its own Add", async () => {
    const group = await openGroup();
    const sender = { type: "newMemberProposal" } as const;
    for (const proposal of [REMOVE, { type: "groupContextExtensions", extensions: [] } as const]) {
      const forgery = { sender, signer: service, signedContext: EMPTY_BYTES };
      const { bytes } = await forgeProposal(group.party("alice"), proposal, forgery);
      await refusedByAll(group, "", bytes, "valn1504");
    }
  });

  test("valn1504 [C] and has no way to send anything else, nor a package that is not its own", async () => {
    const group = await openGroup();
    const { context } = group.party("alice").epoch;
    const dave = await newClient("dave");
    const bytes = await createNewMemberProposal(context, dave.keyPackage, dave.signer);
    await group.deliver(bytes, "dave");
    for (const { cache } of group.members) {
      expect([...cache.values()].map(({ proposal }) => proposal.type)).toEqual(["add"]);
    }
    const make = () => createNewMemberProposal(context, dave.keyPackage, service);
    await expectRule(make, "mk-23", { as: "USE" });
  });

  test("valn1502 [CRO] what external senders may not propose", async () => {
    const group = await openGroup();
    const alice = group.party("alice");
    const leafNode = alice.epoch.tree.leaf(alice.epoch.ownLeaf)!;
    const forbidden: readonly Proposal[] = [
      { type: "update", leafNode },
      { type: "externalInit", kemOutput: new Uint8Array(32) },
    ];
    const { bytes } = await forgeProposal(alice, forbidden[0]!, external());
    await refusedByAll(group, "", bytes, "valn1502");
    for (const proposal of forbidden) {
      const make = () => createExternalProposal(alice.epoch.context, proposal, service, types);
      await expectRule(make, "valn1502", { as: "USE" });
    }
  });

  test("mk-33 [RO] an external sender that the group does not list", async () => {
    const group = await openGroup();
    for (const senderIndex of [2, 0xffff_ffff]) {
      const { bytes } = await forgeProposal(group.party("alice"), REMOVE, external(senderIndex));
      await refusedByAll(group, "", bytes, "mk-33", { code: "UNKNOWN_EXTERNAL_SENDER" });
    }
    const closed = await TestGroup.of(NAMES);
    const { bytes } = await forgeProposal(closed.party("alice"), REMOVE, external(0));
    await refusedByAll(closed, "", bytes, "mk-33");
  });

  test("valn1501 valn1502 valn1503 valn1504 mk-33 [CRO] ok: all that outsiders may propose", async () => {
    const group = await openGroup();
    const { context } = group.party("alice").epoch;
    const dave = await newClient("dave");
    const nonce = new Uint8Array(32);
    const reInit = { type: "reInit", groupId: utf8("next"), version: 1, cipherSuite: 1 } as const;
    const proposals: readonly Proposal[] = [
      { type: "add", keyPackage: dave.keyPackage },
      REMOVE,
      { type: "psk", psk: { type: "external", pskId: utf8("id"), nonce } },
      { ...reInit, extensions: [] },
      { type: "groupContextExtensions", extensions: [] },
    ];
    for (const proposal of proposals) {
      await group.deliver(await createExternalProposal(context, proposal, service, types), "");
    }
    const own = await createNewMemberProposal(context, dave.keyPackage, dave.signer);
    await group.deliver(own, "dave");
    expect(group.observer.cache.size).toBe(6);
  });

  test("mk-32 [RO] contents do not change how a message is taken", async () => {
    const group = await openGroup();
    const [alice, dave] = [group.party("alice"), await newClient("dave")];
    const init = { type: "externalInit", kemOutput: new Uint8Array(32).fill(9) } as const;
    const member = await forgeCommit(alice, { proposals: [init] });
    await refusedByAll(group, "alice", member.bytes, "valn0310");
    const add = { type: "add", keyPackage: dave.keyPackage } as const;
    const joiner = await forgeExternalCommit(dave, alice, { proposals: (own) => [own, add] });
    await refusedByAll(group, "", joiner.bytes, "valn0404");
    const empty = await forgeExternalCommit(dave, alice, { proposals: () => [] });
    await refusedByAll(group, "", empty.bytes, "valn0401");
  });

  test("mk-32 valn0408 [RO] ok: a member's Commit and a joiner's, each its own way", async () => {
    const group = await openGroup();
    await group.commit("bob");
    await group.externalJoin("dave", await newClient("dave"));
    await agree(group);
  });
});

describe("signatures", () => {
  test("valn1301 [RO] each type of sender is held against its own key", async () => {
    const group = await openGroup();
    const alice = group.party("alice");
    const dave = await newClient("dave");
    const add: Proposal = { type: "add", keyPackage: dave.keyPackage };
    const member = await forgeProposal(alice, REMOVE, { signer: group.party("bob").signer });
    const listed = await forgeProposal(alice, REMOVE, external(0));
    const joining = { sender: { type: "newMemberProposal" }, signedContext: EMPTY_BYTES } as const;
    const joiner = await forgeProposal(alice, add, { ...joining, signer: service });
    for (const { bytes } of [member, listed, joiner]) {
      await refusedByAll(group, "alice", bytes, "valn1301", { code: "SIGNATURE_INVALID" });
    }
  });

  test("valn1203 [RO] a Commit's signature is judged before what it proposes, by the old key", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const signer = await newSigner();
    const nonsense: readonly Proposal[] = [REMOVE, REMOVE, { type: "remove", removed: 99 }];
    for (const forgery of [
      { alterSignature: wrong, proposals: nonsense, applied: [] },
      { signer: group.party("bob").signer },
      { signer, path: { leafSigner: signer } },
    ]) {
      const { bytes } = await forgeCommit(alice, forgery);
      await refusedByAll(group, "alice", bytes, "valn1203");
    }
  });

  test("valn1203 valn1301 [RO] ok: a Commit that brings a new key is signed with the old one", async () => {
    const group = await TestGroup.of(NAMES);
    const signer = await newSigner();
    await group.commit("alice", { leaf: { signer } });
    expect(group.party("alice").signer).toBe(signer);
    await group.propose("alice", { type: "remove", removed: 1 });
    await agree(group);
  });

  const ALTERED: readonly [string, ContentForgery][] = [
    ["without the context", { signedContext: EMPTY_BYTES }],
    ["for a PrivateMessage", { signedFormat: "privateMessage" }],
    ["for another version", { alterTbs: (tbs) => concat(fromHex("0002"), tbs.subarray(2)) }],
    ["with another context", { signedContext: utf8("another") }],
  ];

  test.each(ALTERED)("mk-31 [RO] a member's signature %s", async (_, forgery) => {
    const group = await TestGroup.of(NAMES);
    const { bytes } = await forgeProposal(group.party("alice"), REMOVE, forgery);
    await refusedByAll(group, "alice", bytes, "valn1301");
    const joined = await forgeExternalCommit(
      await newClient("dave"),
      group.party("alice"),
      forgery,
    );
    await refusedByAll(group, "", joined.bytes, "valn0407");
  });

  test("mk-31 [RO] the context in an outsider's signature", async () => {
    const group = await openGroup();
    const alice = group.party("alice");
    const { alterTbs, ...plain } = external() as ContentForgery;
    expect(alterTbs).toBeUndefined();
    const withContext = (tbs: Uint8Array) => concat(tbs, alice.epoch.contextBytes);
    const { bytes } = await forgeProposal(alice, REMOVE, { ...plain, alterTbs: withContext });
    await refusedByAll(group, "", bytes, "valn1301");
  });

  test("mk-31 [S] what we sign has the context for members and joiners, and for nobody else", async () => {
    const signer = await newSigner();
    const senders: readonly [Sender, boolean][] = [
      [{ type: "member", leafIndex: 1 }, true],
      [{ type: "newMemberCommit" }, true],
      [{ type: "external", senderIndex: 1 }, false],
      [{ type: "newMemberProposal" }, false],
    ];
    for (const [sender, isBound] of senders) {
      const proposal = { contentType: "proposal", proposal: REMOVE } as const;
      const fields = { groupId: utf8("g"), epoch: 5n, sender, authenticatedData: EMPTY_BYTES };
      const content = { ...fields, content: proposal };
      const signed = await signContent(content, "publicMessage", utf8("context"), signer);
      const header = concat(fromHex("00010001"), encode(FramedContentFields, content));
      const tbs = isBound ? concat(header, utf8("context")) : header;
      const crypto = provider.suite(1);
      const { signature } = signed;
      const label = "FramedContentTBS";
      expect(await verifyWithLabel(crypto, signer.publicKey, label, tbs, signature)).toBe(true);
    }
  });

  test("mk-31 [SRO] ok: moved to another wire format, nothing is valid any more", async () => {
    const group = await TestGroup.of(NAMES);
    await group.propose("alice", REMOVE, { wireFormat: "privateMessage" });
    await group.propose("bob", REMOVE);
    const { bytes } = await forgeProposal(group.party("alice"), REMOVE);
    await group.deliver(bytes, "alice");
  });
});

describe("tags and forms", () => {
  test("mk-28 [SRO] application data in the clear is neither sent nor accepted", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const { crypto, context, contextBytes, ownLeaf, secrets } = alice.epoch;
    const fields = {
      groupId: context.groupId,
      epoch: context.epoch,
      sender: { type: "member", leafIndex: ownLeaf } as const,
      authenticatedData: EMPTY_BYTES,
      content: APPLICATION,
    };
    const signed = await signContent(fields, "publicMessage", contextBytes, alice.signer);
    const membership = { membershipKey: secrets.membershipKey, groupContext: contextBytes };
    const make = () => protectPublic(crypto, authenticate(signed, undefined), membership);
    await expectRule(make, "mk-28", { as: "USE" });
    await refusedByAll(group, "alice", await forgeMessage(alice, APPLICATION), "mk-28");
  });

  test("mk-28 [SR] ok: in a PrivateMessage", async () => {
    const group = await TestGroup.of(NAMES);
    await agree(group);
  });

  test("valn1302 [RO] a member's message without a membership tag", async () => {
    const group = await TestGroup.of(NAMES);
    const publicly = { alterMembershipTag: () => undefined };
    const { bytes } = await forgeProposal(group.party("alice"), REMOVE, { publicly });
    await refusedByAll(group, "alice", bytes, "valn1302", { as: "DEC" });
    const commit = await forgeCommit(group.party("alice"), { publicly });
    await refusedByAll(group, "alice", commit.bytes, "valn1302", { as: "DEC" });
  });

  test("valn1302 [R] a membership tag that is wrong, or right in another epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const late = { ...alice.epoch };
    await group.commit("bob");
    for (const publicly of [
      { alterMembershipTag: () => new Uint8Array(32) },
      { taggedContext: late.contextBytes },
    ]) {
      const { bytes } = await forgeProposal(alice, REMOVE, { publicly });
      await refusedByAll(group, "alice", bytes, "valn1302", { observer: false });
    }
  });

  test("valn1302 [SRO] a tag on somebody else's message", async () => {
    const group = await openGroup();
    const publicly = { alterMembershipTag: () => new Uint8Array(32) };
    const { bytes } = await forgeProposal(group.party("alice"), REMOVE, {
      ...external(),
      publicly,
    });
    await refusedByAll(group, "", bytes, "mk-04");
    const { crypto, contextBytes, secrets, context } = group.party("alice").epoch;
    const membership = { membershipKey: secrets.membershipKey, groupContext: contextBytes };
    const { groupId, epoch } = context;
    const content = { contentType: "proposal", proposal: REMOVE } as const;
    const common = { groupId, epoch, authenticatedData: EMPTY_BYTES, content };
    const sender = { type: "external", senderIndex: 1 } as const;
    const outside = await signContent({ ...common, sender }, "publicMessage", EMPTY_BYTES, service);
    const tagged = () => protectPublic(crypto, authenticate(outside, undefined), membership);
    await expectRule(tagged, "valn1302", { as: "USE" });
  });

  test("valn1202 [R] a Commit by somebody who is no member of this epoch", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const publicly = { alterMembershipTag: () => new Uint8Array(32) };
    const { bytes } = await forgeCommit(alice, { publicly });
    await refusedByAll(group, "alice", bytes, "valn1202", { observer: false });
    const privately = { alterCiphertext: (sealed: Uint8Array) => flipped(sealed, 40) };
    const hidden = await forgeCommit(alice, { wireFormat: "privateMessage", privately });
    await refusedByAll(group, "alice", hidden.bytes, "mk-29");
  });

  test("valn1302 valn1202 [SRO] ok: public and private messages of members", async () => {
    const group = await TestGroup.of(NAMES);
    await group.propose("alice", REMOVE);
    await group.commit("bob", { wireFormat: "privateMessage" });
    await group.commit("alice", { wireFormat: "publicMessage" });
    await agree(group);
  });

  test("mk-30 [RO] a Commit without a confirmation tag", async () => {
    const group = await TestGroup.of(NAMES);
    const alterConfirmationTag = (): undefined => undefined;
    const dave = await newClient("dave");
    const joiner = await forgeExternalCommit(dave, group.party("alice"), { alterConfirmationTag });
    await refusedByAll(group, "", joiner.bytes, "mk-30");
    const hidden = await forgeCommit(group.party("alice"), {
      alterConfirmationTag,
      wireFormat: "privateMessage",
    });
    await refusedByAll(group, "alice", hidden.bytes, "mk-30");
    // In the clear, the membership tag comes to stand where the other is missing.
    const shown = await forgeCommit(group.party("alice"), { alterConfirmationTag });
    await refusedByAll(group, "alice", shown.bytes, "valn1302", { as: "DEC" });
  });

  test("mk-04 valn1303 [DR] a confirmation tag on a proposal", async () => {
    const group = await openGroup();
    const alterConfirmationTag = () => new Uint8Array(32).fill(1);
    const shown = await forgeProposal(group.party("alice"), REMOVE, { alterConfirmationTag });
    await refusedByAll(group, "alice", shown.bytes, "mk-04");
    const outside = await forgeProposal(group.party("alice"), REMOVE, {
      ...external(),
      alterConfirmationTag,
    });
    await refusedByAll(group, "", outside.bytes, "mk-04");
    const hidden = await forgeProposal(group.party("alice"), REMOVE, {
      alterConfirmationTag,
      wireFormat: "privateMessage",
    });
    await refusedByAll(group, "alice", hidden.bytes, "valn1303");
  });

  test("mk-30 [S] we write neither", async () => {
    const signature = new Uint8Array(64);
    const none = { signature, confirmationTag: undefined };
    const some = { signature, confirmationTag: new Uint8Array(32) };
    await expectRule(() => encode(authDataCodec("commit"), none), "mk-30", { as: "USE" });
    await expectRule(() => encode(authDataCodec("proposal"), some), "mk-30", { as: "USE" });
    await expectRule(() => encode(authDataCodec("application"), some), "mk-30", { as: "USE" });
  });

  test("mk-30 [SRO] ok: on Commits", async () => {
    const group = await TestGroup.of(NAMES);
    await group.commit("alice");
    await agree(group);
  });

  test("valn1305 mk-34 [S] nobody but a member is named in a PrivateMessage, and only ourselves", async () => {
    const group = await openGroup();
    const { epoch } = group.party("alice");
    const { crypto, context, secrets, secretTree } = epoch;
    const content = { contentType: "proposal", proposal: REMOVE } as const;
    const common = {
      groupId: context.groupId,
      epoch: context.epoch,
      authenticatedData: EMPTY_BYTES,
    };
    for (const sender of [
      { type: "external", senderIndex: 1 },
      { type: "member", leafIndex: 1 },
    ] as const) {
      const fields = { ...common, sender, content };
      const signed = await signContent(fields, "privateMessage", epoch.contextBytes, service);
      const authenticated = authenticate(signed, undefined);
      const send = () => protectContent(epoch, authenticated, noPadding);
      await unchanged(epoch, () => expectRule(send, "valn1305"));
      if (sender.type === "member") continue;
      const { messageKey } = secretTree.prepareSend(0, "handshake");
      const seal = () =>
        protectPrivate(crypto, authenticated, messageKey, secrets.senderDataSecret, noPadding);
      await expectRule(seal, "mk-34", { as: "USE" });
    }
  });

  test("mk-34 valn1203 valn1304 [R] what comes in a PrivateMessage is judged as a member's, whoever wrote it", async () => {
    const group = await openGroup();
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const { bytes } = await forgeProposal(alice, REMOVE, {
      ...external(),
      wireFormat: "privateMessage",
    });
    await refuses(bob, () => bob.receive(bytes), "valn1304");
    const joiner = await forgeExternalCommit(await newClient("dave"), alice, {
      wireFormat: "privateMessage",
    });
    await refuses(bob, () => bob.receive(joiner.bytes), "valn1203");
  });

  test("valn1305 mk-34 [SR] ok: members in private, outsiders in public", async () => {
    const group = await openGroup();
    await group.propose("alice", REMOVE, { wireFormat: "privateMessage" });
    const { context } = group.party("alice").epoch;
    await group.deliver(await createExternalProposal(context, REMOVE, service, types), "");
  });

  test("mk-47 [RO] hooks see nothing of a message that turns out not to be genuine", async () => {
    const seen: unknown[] = [];
    const policy = {
      reviewProposal: (candidate: unknown): true => {
        seen.push(candidate);
        return true;
      },
      reviewCommit: (candidate: unknown): true => {
        seen.push(candidate);
        return true;
      },
    };
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    group.party("bob").environment = testEnvironment({ policy });
    group.observer.environment = testEnvironment({ policy });
    const options = { by: ["bob"] };
    const forgery = { alterSignature: wrong, authenticatedData: utf8("secret") };
    const { bytes } = await forgeProposal(alice, REMOVE, forgery);
    await refusedByAll(group, "alice", bytes, "valn1301", options);
    const commit = await forgeCommit(alice, forgery);
    await refusedByAll(group, "alice", commit.bytes, "valn1203", options);
    const hidden = { ...forgery, wireFormat: "privateMessage" } as const;
    await refusedByAll(
      group,
      "alice",
      await forgeMessage(alice, APPLICATION, hidden),
      "valn1304",
      options,
    );
    const untagged = { alterConfirmationTag: () => new Uint8Array(32) };
    const unconfirmed = await forgeCommit(alice, untagged);
    const bob = group.party("bob");
    await refuses(bob, () => bob.receive(unconfirmed.bytes), "mk-77");
    expect(seen).toEqual([]);
  });
});
