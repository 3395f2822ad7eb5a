/** Rules of section 1 that hold before any meaning is looked at. RFC 9420 §2.1, §13. */
import { describe, expect, test } from "vitest";
import {
  type Codec,
  concat,
  decode,
  EMPTY_BYTES,
  encode,
  fromHex,
  MAX_UINT64,
  opaque,
  optional,
  skipOpaque,
  uint16,
  utf8,
  vector,
  Writer,
} from "../../src/codec/index.ts";
import { Credential } from "../../src/credentials/credential.ts";
import { Extension, Extensions } from "../../src/extensions/extension.ts";
import { AuthenticatedContent } from "../../src/framing/authenticated-content.ts";
import { Content, ContentType, Sender } from "../../src/framing/framed-content.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { KeyPackage } from "../../src/key-packages/key-package.ts";
import { GroupContext } from "../../src/key-schedule/group-context.ts";
import { PreSharedKeyId, ResumptionPskUsage } from "../../src/key-schedule/pre-shared-key.ts";
import { Commit, ProposalOrRef } from "../../src/messages/commit.ts";
import { GroupInfo } from "../../src/messages/group-info.ts";
import { customProposal, Proposal } from "../../src/messages/proposal.ts";
import { Welcome } from "../../src/messages/welcome.ts";
import {
  Capabilities,
  LeafNode,
  LeafNodeOrigin,
  Lifetime,
  ParentNode,
  RatchetTreeNodes,
  TreeNode,
} from "../../src/tree/nodes.ts";
import { expectRule } from "../support/assertions.ts";
import {
  forgeKeyPackage,
  forgeMessage,
  forgeWelcome,
  LooseExtensions,
  LooseGroupContext,
  LooseKeyPackage,
} from "../support/forge.ts";
import { join, newClient } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import { testEnvironment } from "../support/environment.ts";

const KNOWN = {
  proposals: new Map([[0x7777, skipOpaque]]),
  credentials: new Map([[9, skipOpaque]]),
};
const TWICE: readonly Extension[] = [
  { type: 0x0a0a, data: EMPTY_BYTES },
  { type: 0x0a0a, data: utf8("again") },
];

/** One MLSMessage of every kind. */
async function messages(): Promise<Map<string, Uint8Array>> {
  const group = await TestGroup.of(["alice", "bob"]);
  const carol = await newClient("carol", {
    capabilities: { extensions: [0x1a1a], proposals: [0x2a2a] },
    leafExtensions: [{ type: 0x1a1a, data: utf8("unknown") }],
  });
  const keyPackage = encodeMlsMessage({ wireFormat: "keyPackage", message: carol.keyPackage });
  const groupInfo = await group.groupInfo("alice");
  const application = await group.send("bob", "hello");
  const made = await group.add("alice", new Map([["carol", carol]]));
  return new Map([
    ["key package", keyPackage],
    ["GroupInfo", encodeMlsMessage({ wireFormat: "groupInfo", message: groupInfo })],
    ["private message", application],
    ["Commit", made.commit],
    ["Welcome", made.welcomes[0]!.bytes],
  ]);
}

describe("vectors", () => {
  test.each(["4000", "403f", "80000000", "80003fff"])(
    "mk-01 [D] the length header in %s could be shorter",
    async (hex) => {
      await expectRule(() => decode(opaque, concat(fromHex(hex), new Uint8Array(0x4000))), "mk-01");
    },
  );

  test("mk-01 [D] ok: each size of header at its smallest and largest", () => {
    for (const length of [0, 0x3f, 0x40, 0x3fff, 0x4000, 0x12345]) {
      const bytes = new Uint8Array(length).fill(7);
      expect(decode(opaque, encode(opaque, bytes))).toEqual(bytes);
    }
  });

  test("mk-02 [D] the reserved prefix is refused, whatever follows", async () => {
    for (const first of [0xc0, 0xd5, 0xff]) {
      const bytes = new Uint8Array(64).fill(first);
      await expectRule(() => decode(opaque, bytes), "mk-02");
      await expectRule(() => decode(Extensions, bytes), "mk-02");
    }
  });

  test("mk-02 [D] ok: the three prefixes there are", () => {
    for (const length of [1, 0x40, 0x4000]) {
      const bytes = encode(opaque, new Uint8Array(length));
      expect(decode(opaque, bytes)).toHaveLength(length);
    }
  });

  test("mk-03 [D] a vector that announces more than there is allocates nothing", async () => {
    const greedy = fromHex("bfffffff00");
    for (const codec of [opaque, Extensions, RatchetTreeNodes, Welcome] as Codec<unknown>[]) {
      const input = codec === Welcome ? concat(fromHex("0001"), greedy) : greedy;
      await expectRule(() => decode(codec, input), "mk-03");
    }
    await expectRule(() => decode(vector(opaque), fromHex("0301aa05")), "mk-03");
  });

  test("mk-03 [D] ok: a vector that takes up everything", () => {
    expect(decode(vector(opaque), fromHex("0401aa01bb"))).toHaveLength(2);
  });

  test("mk-05 [D] an element that reaches beyond its vector is refused", async () => {
    await expectRule(() => decode(vector(uint16), fromHex("03000100")), "mk-05");
    await expectRule(() => decode(Capabilities, fromHex("0300010000000000")), "mk-05");
    const unmerged = concat(encode(opaque, utf8("key")), fromHex("00"), fromHex("0500000001ff"));
    await expectRule(() => decode(ParentNode, unmerged), "mk-05");
    await expectRule(() => decode(Extensions, fromHex("0200ff")), "mk-05");
  });

  test("mk-05 [D] ok: elements that fill their vector, and no elements", () => {
    expect(decode(vector(uint16), fromHex("0400010002"))).toEqual([1, 2]);
    expect(decode(vector(uint16), fromHex("00"))).toEqual([]);
  });
});

describe("whole objects", () => {
  test("mk-04 [D] a byte after the end of any message or structure is refused", async () => {
    for (const bytes of (await messages()).values()) {
      await expectRule(() => decodeMlsMessage(concat(bytes, fromHex("00"))), "mk-04");
    }
    const { keyPackage } = await newClient("alice");
    await expectRule(() => decode(KeyPackage, concat(keyPackage.encoded, fromHex("01"))), "mk-04");
  });

  test("mk-04 [D] what was decrypted may not go on after its end either", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const content = { contentType: "application", applicationData: utf8("hi") } as const;
    const message = await forgeMessage(alice, content, {
      wireFormat: "privateMessage",
      privately: { alterSenderData: (bytes) => concat(bytes, fromHex("00")) },
    });
    await expectRule(() => bob.receive(message), "mk-04");
    const carol = await newClient("carol");
    const trailing = (bytes: Uint8Array): Uint8Array => concat(bytes, fromHex("00"));
    for (const forgery of [{ alterSecretBytes: trailing }, { alterGroupInfoBytes: trailing }]) {
      const { bytes } = await forgeWelcome(alice.epoch, { joiners: [carol], ...forgery });
      await expectRule(() => join(bytes, [carol], testEnvironment()), "mk-04");
    }
  });

  test("mk-04 [D] ok: every message as it is, and zeros after private content", async () => {
    for (const bytes of (await messages()).values()) expect(decodeMlsMessage(bytes)).toBeDefined();
    const group = await TestGroup.of(["alice", "bob"]);
    const content = { contentType: "application", applicationData: utf8("hi") } as const;
    const message = await forgeMessage(group.party("alice"), content, {
      wireFormat: "privateMessage",
      privately: { padding: new Uint8Array(1000) },
    });
    expect((await group.party("bob").receive(message)).kind).toBe("application");
  });
});

describe("presence and enumerations", () => {
  test.each([2, 0x80, 0xff])("mk-06 [D] presence octet %i is refused", async (octet) => {
    const bytes = concat(Uint8Array.of(octet), encode(opaque, utf8("x")));
    await expectRule(() => decode(optional(opaque), bytes), "mk-06");
    await expectRule(() => decode(Commit, Uint8Array.of(0, octet)), "mk-06");
    await expectRule(() => decode(RatchetTreeNodes, Uint8Array.of(1, octet)), "mk-06");
  });

  test("mk-06 [D] ok: zero and one", () => {
    expect(decode(optional(opaque), fromHex("00"))).toBeUndefined();
    expect(decode(optional(opaque), fromHex("010178"))).toEqual(utf8("x"));
  });

  const CLOSED: readonly [string, Codec<unknown>, number, Uint8Array?][] = [
    ["ContentType", ContentType, 4],
    ["Content", Content, 4],
    ["SenderType", Sender, 5],
    ["LeafNodeSource", LeafNodeOrigin, 4],
    ["NodeType", TreeNode, 3],
    ["ProposalOrRefType", ProposalOrRef, 3],
    ["PSKType", PreSharedKeyId, 3],
    ["ResumptionPSKUsage", ResumptionPskUsage, 4],
  ];
  test.each(CLOSED)("mk-07 [D] %s is neither reserved nor unknown", async (_, codec, beyond) => {
    for (const value of [0, beyond, 0xff]) {
      const bytes = concat(Uint8Array.of(value), new Uint8Array(100));
      await expectRule(() => decode(codec, bytes), "mk-07");
    }
  });

  test("mk-07 [D] content that is not from a message carries no other wire format", async () => {
    const bytes = concat(fromHex("0003"), new Uint8Array(100));
    await expectRule(() => decode(AuthenticatedContent, bytes), "mk-07");
  });

  test("mk-07 [D] ok: the last value that is defined", () => {
    expect(decode(ContentType, Uint8Array.of(3))).toBe("commit");
    expect(decode(Sender, Uint8Array.of(4))).toEqual({ type: "newMemberCommit" });
    expect(decode(ResumptionPskUsage, Uint8Array.of(3))).toBe("branch");
  });
});

describe("versions and types", () => {
  test("mk-08 [D] another version is unsupported in message, key package and context", async () => {
    const { keyPackage } = await newClient("alice");
    const message = encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
    for (const version of [0, 2, 0xffff]) {
      const bytes = message.slice();
      new DataView(bytes.buffer).setUint16(0, version);
      await expectRule(() => decodeMlsMessage(bytes), "mk-08", { code: "UNSUPPORTED_VERSION" });
      const inside = encode(LooseKeyPackage, { ...keyPackage, version });
      await expectRule(() => decode(KeyPackage, inside), "mk-08");
      const group = await TestGroup.of(["alice"]);
      const context = { ...group.party("alice").epoch.context, version };
      await expectRule(() => decode(GroupContext, encode(LooseGroupContext, context)), "mk-08");
    }
  });

  test("mk-08 [D] ok: mls10", async () => {
    for (const bytes of (await messages()).values())
      expect(bytes.subarray(0, 2)).toEqual(fromHex("0001"));
  });

  test("mk-09 [D] an unknown wire format is unsupported, zero malformed", async () => {
    const code = "UNSUPPORTED_WIRE_FORMAT";
    await expectRule(() => decodeMlsMessage(fromHex("00010006aabb")), "mk-09", { code });
    await expectRule(() => decodeMlsMessage(fromHex("0001f123")), "mk-09", { code });
    await expectRule(() => decodeMlsMessage(fromHex("00010000")), "mk-09", { as: "DEC" });
  });

  test("mk-09 [D] ok: all five", async () => {
    const formats = [...(await messages()).values()].map((bytes) => bytes[3]);
    expect(new Set(formats)).toEqual(new Set([1, 2, 3, 4, 5]));
  });

  test("mk-10 [D] a proposal nobody registered cannot be read, nor what is around it", async () => {
    const proposal = customProposal(0x7777, utf8("x"));
    const code = "UNSUPPORTED_TYPE";
    await expectRule(() => decode(Proposal, encode(Proposal, proposal)), "mk-10", { code });
    const commit = { proposals: [{ type: "proposal", proposal } as const], path: undefined };
    await expectRule(() => decode(Commit, encode(Commit, commit)), "mk-10", { code });
    const group = await TestGroup.of(["alice", "bob"]);
    const bytes = await forgeMessage(group.party("alice"), { contentType: "proposal", proposal });
    await expectRule(() => group.party("bob").receive(bytes), "mk-10");
    expect(group.party("bob").cache.size).toBe(0);
  });

  test("mk-10 [D] ok: a registered type is a vector of bytes, kept as it is", () => {
    const proposal = customProposal(0x7777, utf8("x"));
    expect(decode(Proposal, encode(Proposal, proposal), "proposal", KNOWN)).toEqual(proposal);
  });

  test("mk-11 [D] a credential nobody registered cannot be read, nor what is around it", async () => {
    const credential = { type: "custom", credentialType: 9, body: fromHex("0178") } as const;
    const { keyPackage } = await newClient("alice", {
      credential,
      capabilities: { credentials: [9] },
    });
    const code = "UNSUPPORTED_TYPE";
    await expectRule(() => decode(Credential, encode(Credential, credential)), "mk-11", { code });
    await expectRule(() => decode(LeafNode, keyPackage.leafNode.encoded), "mk-11", { code });
    await expectRule(() => decode(KeyPackage, keyPackage.encoded), "mk-11", { code });
  });

  test("mk-11 [D] ok: a registered type", async () => {
    const credential = { type: "custom", credentialType: 9, body: fromHex("0178") } as const;
    const { keyPackage } = await newClient("alice", {
      credential,
      capabilities: { credentials: [9] },
    });
    const decoded = decode(KeyPackage, keyPackage.encoded, "key package", KNOWN);
    expect(decoded.leafNode.credential).toEqual(credential);
  });
});

describe("what must survive", () => {
  const WIDE = [2n ** 53n + 1n, 2n ** 63n, MAX_UINT64 - 1n, MAX_UINT64];

  test.each(WIDE)("mk-12 [CD] %i is kept exactly as epoch and as time", async (value) => {
    const lifetime = { notBefore: value, notAfter: MAX_UINT64 };
    expect(decode(Lifetime, encode(Lifetime, lifetime))).toEqual(lifetime);
    const { keyPackage } = await newClient("alice", { lifetime });
    const { origin } = decode(KeyPackage, keyPackage.encoded).leafNode;
    expect(origin).toEqual({ source: "keyPackage", lifetime });
    const psk = { type: "resumption", usage: "application", groupId: EMPTY_BYTES } as const;
    const id = { ...psk, epoch: value, nonce: EMPTY_BYTES };
    expect(decode(PreSharedKeyId, encode(PreSharedKeyId, id))).toEqual(id);
    const group = await TestGroup.of(["alice"]);
    const context = { ...group.party("alice").epoch.context, epoch: value };
    expect(decode(GroupContext, encode(GroupContext, context))).toEqual(context);
  });

  test.each([-1n, MAX_UINT64 + 1n])(
    "mk-12 [C] %i is not written as something else",
    async (value) => {
      const lifetime = { notBefore: value, notAfter: value };
      await expectRule(() => encode(Lifetime, lifetime), "mk-12", { as: "USE" });
      const psk = { type: "resumption", usage: "application", groupId: EMPTY_BYTES } as const;
      const id = { ...psk, epoch: value, nonce: EMPTY_BYTES };
      await expectRule(() => encode(PreSharedKeyId, id), "mk-12", { as: "USE" });
    },
  );

  test("mk-13 [CD] messages are written back byte for byte, unknown contents included", async () => {
    for (const [name, bytes] of await messages()) {
      expect(encodeMlsMessage(decodeMlsMessage(bytes)), name).toEqual(bytes);
    }
  });

  test("mk-13 [CD] what is signed and hashed are the bytes that were read", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const { keyPackage } = await newClient("carol", {
      capabilities: { extensions: [0x1a1a] },
      leafExtensions: [{ type: 0x1a1a, data: fromHex("c0ffee") }],
    });
    const copy = decode(KeyPackage, keyPackage.encoded);
    await group.propose("alice", { type: "add", keyPackage: copy });
    const { commit } = await group.commit("bob");
    const message = decodeMlsMessage(commit);
    expect(encodeMlsMessage(message)).toEqual(commit);
    const { tree } = group.party("alice").epoch;
    const leaves = [...tree.members()].map(([, leaf]) => leaf.encoded);
    expect(leaves).toContainEqual(keyPackage.leafNode.encoded);
  });
});

describe("extension lists", () => {
  test("mk-15 [D] no list holds a type twice", async () => {
    const list = encode(LooseExtensions, TWICE);
    await expectRule(() => decode(Extensions, list), "mk-15", { code: "INVALID_EXTENSION" });
    const client = await newClient("alice");
    const doubled = [
      await forgeKeyPackage(client, { fields: { extensions: TWICE } }),
      await forgeKeyPackage(client, { leaf: { extensions: TWICE } }),
    ];
    for (const { keyPackage } of doubled) {
      await expectRule(() => decode(KeyPackage, keyPackage.encoded), "mk-15");
    }
    const replaces = concat(fromHex("0007"), list);
    await expectRule(() => decode(Proposal, replaces), "mk-15");
    const reInit = concat(fromHex("0005"), encode(opaque, utf8("id")), fromHex("00010001"), list);
    await expectRule(() => decode(Proposal, reInit), "mk-15");
    const group = await TestGroup.of(["alice"]);
    const { context } = group.party("alice").epoch;
    const bytes = encode(LooseGroupContext, { ...context, extensions: TWICE });
    await expectRule(() => decode(GroupContext, bytes), "mk-15");
    const info = concat(encode(GroupContext, context), list, fromHex("0000000000"), fromHex("00"));
    await expectRule(() => decode(GroupInfo, info), "mk-15");
  });

  test("mk-15 [C] we do not make one", async () => {
    await expectRule(() => encode(Extensions, TWICE), "mk-15");
    await expectRule(
      () => newClient("alice", { extensions: TWICE, capabilities: { extensions: [0x0a0a] } }),
      "mk-15",
    );
    const group = await TestGroup.of(["alice"], {
      client: { capabilities: { extensions: [0x0a0a] } },
    });
    const proposals = [{ type: "groupContextExtensions", extensions: TWICE } as const];
    await expectRule(() => group.createCommit("alice", { proposals }), "mk-15");
    const extensions = [0xf000, 0xf000].map((type) => ({ type, data: EMPTY_BYTES }));
    await expectRule(() => group.groupInfo("alice", { extensions }), "mk-15");
  });

  test("mk-15 [CD] ok: different types with equal bodies", () => {
    const list = [1, 2, 0x0a0a].map((type) => ({ type, data: utf8("same") }));
    expect(decode(Extensions, encode(Extensions, list))).toEqual(list);
  });
});

test("mk-14 [D] ok: a vector header for 2^30-1 bytes is read, the bytes being there or not", async () => {
  await expectRule(() => decode(opaque, fromHex("bfffffff")), "mk-03");
});

test("mk-14 [C] a vector of 2^30 bytes or more is not written", async () => {
  await expectRule(() => new Writer().vectorLength(2 ** 30), "mk-14", { as: "USE" });
});
