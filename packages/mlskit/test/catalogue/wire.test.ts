/** Catalogue M-WIRE: bytes in, bytes out, and what can be known without keys. */
import { describe, expect, test } from "vitest";
import { ExtensionType, type Group } from "../../src/index.ts";
import { defaultProvider } from "../../src/providers/default.ts";
import { testGroup } from "../../src/testing/index.ts";
import * as treeMath from "../../src/tree/tree-math.ts";
import {
  ApplicationId,
  decode,
  decodeMlsMessage,
  ExternalSenders,
  encode,
  encodeMlsMessage,
  findExtension,
  GroupInfo,
  KeyPackage,
  keyPackageRef,
  Lifetime,
  type MlsMessage,
  Proposal,
  RatchetTreeNodes,
  RequiredCapabilities,
  readExtension,
  routeMessage,
  skipOpaque,
  viewPublicCommit,
  Welcome,
  type WireTypes,
} from "../../src/wire.ts";

const malformed = { code: "MALFORMED" };
const unknownCredential: WireTypes = {
  proposals: new Map(),
  credentials: new Map([[0xf001, skipOpaque]]),
};

/** One message of each wire format, in this order. */
async function oneOfEach(): Promise<Record<MlsMessage["wireFormat"], Uint8Array>> {
  const world = await testGroup({ members: 2 });
  const { client } = await world.newClient("newcomer");
  const keyPackage = (await client.createKeyPackage()).bytes;
  const { group } = world.member(0);
  const { commit } = await group.add([keyPackage], { wireForm: "public" });
  const accepted = await group.acceptCommit();
  return {
    publicMessage: commit,
    privateMessage: (await group.send("hello")).bytes,
    welcome: accepted.welcomes[0]!.bytes,
    groupInfo: await group.groupInfo(),
    keyPackage,
  };
}

describe("wire format", () => {
  test("M-WIRE-01: vector headers are minimal and bounded, right at the boundaries", () => {
    const header = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
    const roundTrip = (length: number): number => {
      const bytes = encode(ApplicationId, new Uint8Array(length));
      expect(decode(ApplicationId, bytes).length).toBe(length);
      return bytes.length - length;
    };
    expect(roundTrip(0)).toBe(1);
    expect(roundTrip(0x3f)).toBe(1);
    expect(roundTrip(0x40)).toBe(2);
    expect(roundTrip(0x3fff)).toBe(2);
    expect(roundTrip(0x4000)).toBe(4);
    const refuse = (bytes: Uint8Array): void => {
      expect(() => decode(ApplicationId, bytes)).toThrow(expect.objectContaining(malformed));
    };
    refuse(header(0x40, 0x3f, ...new Uint8Array(0x3f)));
    refuse(header(0x80, 0, 0x3f, 0xff, ...new Uint8Array(0x3fff)));
    refuse(header(0xc0, 0, 0, 0, 0, 0, 0, 0));
    refuse(header(0xff));
    // The largest length is a length, but there is not that much to read.
    refuse(header(0xbf, 0xff, 0xff, 0xff, 1, 2, 3));
    expect(() => encode(ApplicationId, new Uint8Array(2 ** 30))).toThrow(
      expect.objectContaining({ code: "INVALID_LENGTH" }),
    );
  });

  test("M-WIRE-02: decoding leaves nothing over, and presence is 0 or 1", async () => {
    for (const bytes of Object.values(await oneOfEach())) {
      const longer = Uint8Array.from([...bytes, 0]);
      expect(() => decodeMlsMessage(longer)).toThrow(expect.objectContaining(malformed));
    }
    const type = ExtensionType.requiredCapabilities;
    const empty = [{ type, data: Uint8Array.from([0, 0, 0]) }];
    expect(readExtension(empty, type, RequiredCapabilities)).toBeDefined();
    const trailing = [{ type, data: Uint8Array.from([0, 0, 0, 0]) }];
    expect(() => readExtension(trailing, type, RequiredCapabilities)).toThrow(
      expect.objectContaining(malformed),
    );
    expect(() => decode(RatchetTreeNodes, Uint8Array.from([1, 2]))).toThrow(
      expect.objectContaining(malformed),
    );
  });

  test("M-WIRE-03: five wire formats go round, and anything else has a code", async () => {
    const messages = await oneOfEach();
    for (const [wireFormat, bytes] of Object.entries(messages)) {
      const decoded = decodeMlsMessage(bytes);
      expect(decoded.wireFormat).toBe(wireFormat);
      expect(encodeMlsMessage(decoded)).toEqual(bytes);
    }
    const unknownFormat = Uint8Array.from([0, 1, 0, 9, 0]);
    expect(() => decodeMlsMessage(unknownFormat)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_WIRE_FORMAT" }),
    );
    const unknownVersion = Uint8Array.from([0, 2, 0, 1, 0]);
    expect(() => decodeMlsMessage(unknownVersion)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_VERSION" }),
    );
  });

  test("M-WIRE-04: a message can be routed by its bytes alone", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const { id: groupId } = group;
    const sent = (await group.send("hello")).bytes;
    expect(routeMessage(sent)).toEqual({
      wireFormat: "privateMessage",
      groupId,
      epoch: 1n,
      contentType: "application",
      sender: undefined,
    });
    await group.configure({ handshake: { send: "public", accept: "both" } });
    const proposal = await group.proposeUpdate();
    expect(routeMessage(proposal.bytes)).toEqual({
      wireFormat: "publicMessage",
      groupId,
      epoch: 1n,
      contentType: "proposal",
      sender: "member",
    });
    await group.dropAllProposals();
    const { client } = await world.newClient("outsider");
    const joining = await client.joinExternally(await group.groupInfo());
    expect(routeMessage(joining.commit)).toMatchObject({
      contentType: "commit",
      sender: "newMemberCommit",
    });
    const asking = await client.proposeJoin({ groupId, epoch: 1n });
    expect(routeMessage(asking.bytes)).toMatchObject({
      contentType: "proposal",
      sender: "newMemberProposal",
    });
  });

  test("M-WIRE-05: trees travel without blank ends, and malformed node lists are not imported", async () => {
    const world = await testGroup({ members: 3 });
    const [alice] = world.groups as [Group];
    const tree = alice.ratchetTree();
    const nodes = decode(RatchetTreeNodes, tree);
    expect(nodes.length).toBe(5);
    expect(nodes.at(-1)).toBeDefined();
    const info = await alice.groupInfo({ ratchetTree: false });
    const { client } = await world.newClient("reader");
    const read = (list: typeof nodes): Promise<unknown> =>
      client.checkGroupInfo(info, encode(RatchetTreeNodes, list));
    await expect(read(nodes)).resolves.toBeDefined();
    const broken = [
      [...nodes, undefined, undefined],
      [...nodes, undefined],
      [nodes[0], nodes[2], nodes[2]],
      [nodes[1], nodes[1], nodes[2]],
      [],
    ];
    const results = await Promise.allSettled(broken.map(read));
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: expect.stringMatching(/^(MALFORMED|INVALID_TREE)$/) },
      });
    }
  });

  test("M-WIRE-06: unknown values survive decoding and encoding byte for byte", async () => {
    const { client } = await testGroup({ members: 1 }).then((world) => world.newClient("a"));
    const published = await client.createKeyPackage({
      capabilities: {
        versions: [1],
        cipherSuites: [1, 0x7a7a, 0xfeee],
        extensions: [0xf0f0, 0x3a3a],
        proposals: [0xf0f1, 0x4a4a],
        credentials: [1, 0x5a5a],
      },
      extensions: [{ type: 0xf0f0, data: Uint8Array.of(1, 2, 3) }],
      leafExtensions: [{ type: 0xf0f0, data: Uint8Array.of(4) }],
    });
    const decoded = decodeMlsMessage(published.bytes);
    expect(encodeMlsMessage(decoded)).toEqual(published.bytes);
    expect(decoded.wireFormat === "keyPackage" && decoded.message.leafNode).toMatchObject({
      capabilities: { cipherSuites: [1, 0x7a7a, 0xfeee], proposals: [0xf0f1, 0x4a4a] },
      extensions: [{ type: 0xf0f0, data: Uint8Array.of(4) }],
    });
    // A credential of a type that only its length is known of.
    const type = ExtensionType.externalSenders;
    const data = Uint8Array.from([6, 1, 7, 0xf0, 1, 1, 9]);
    const senders = decode(ExternalSenders, data, `extension ${type}`, unknownCredential);
    expect(senders[0]!.credential).toMatchObject({ type: "custom", credentialType: 0xf001 });
    expect(encode(ExternalSenders, senders)).toEqual(data);
  });

  test("M-WIRE-07: 64-bit values are bigint, and indices stay in their range", async () => {
    const forever = { notBefore: 0n, notAfter: 2n ** 64n - 1n };
    expect(decode(Lifetime, encode(Lifetime, forever))).toEqual(forever);
    for (const notAfter of [2n ** 64n, -1n]) {
      expect(() => encode(Lifetime, { notBefore: 0n, notAfter })).toThrow(
        expect.objectContaining({ code: "INVALID_LENGTH" }),
      );
    }
    for (const removed of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => encode(Proposal, { type: "remove", removed })).toThrow(
        expect.objectContaining({ code: "INVALID_LENGTH" }),
      );
    }
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const sent = await group.send("hello");
    expect(routeMessage(sent.bytes)).toMatchObject({ epoch: 1n });
    expect(group.nextGeneration).toBe(1);
  });

  test("M-WIRE-08: lengths are compared before memory is taken, and tree arithmetic always answers", async () => {
    const huge = Uint8Array.from([0xbf, 0xff, 0xff, 0xff]);
    for (const codec of [KeyPackage, Welcome, GroupInfo, RatchetTreeNodes, ApplicationId]) {
      const before = process.memoryUsage().arrayBuffers;
      expect(() => decode<unknown>(codec, huge)).toThrow();
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    }
    const { nodeIndex, leafIndex, parent, sibling, directPath, commonAncestor } = treeMath;
    for (const index of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => leafIndex(index)).toThrow();
      expect(() => nodeIndex(index)).toThrow();
    }
    const outside = nodeIndex(2 ** 31);
    expect(parent(outside, 4)).toBeUndefined();
    expect(sibling(outside, 4)).toBeUndefined();
    expect(directPath(outside, 4)).toEqual([]);
    expect(commonAncestor(leafIndex(0), leafIndex(2 ** 30))).toBeGreaterThan(0);
    const { group } = (await testGroup({ members: 2 })).member(0);
    for (const leaf of [-1, 2, 4096, 2 ** 31, 2 ** 32, 0.5]) {
      await expect(group.remove([leaf])).rejects.toMatchObject({ code: "MEMBER_NOT_FOUND" });
      await expect(group.proposeRemove(leaf)).rejects.toMatchObject({ code: "INVALID_PROPOSAL" });
      expect(group.findMembers({ leafIndex: leaf })).toEqual([]);
    }
  });

  test("M-WIRE-09: what is handed out is a complete MLSMessage, and bare structures have encoders", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(0);
    const { client } = await world.newClient("newcomer");
    const { bytes: keyPackage } = await client.createKeyPackage();
    const proposal = await group.proposeUpdate();
    const { commit } = await group.add([keyPackage]);
    const { welcomes } = await group.acceptCommit();
    const groupInfo = await group.groupInfo();
    const all = [keyPackage, proposal.bytes, commit, welcomes[0]!.bytes, groupInfo];
    const formats = all.map((bytes) => decodeMlsMessage(bytes).wireFormat);
    expect(formats).toEqual([
      "keyPackage",
      "privateMessage",
      "privateMessage",
      "welcome",
      "groupInfo",
    ]);
    const decoded = decodeMlsMessage(keyPackage);
    if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
    const bare = encode(KeyPackage, decoded.message);
    expect(bare).toEqual(keyPackage.slice(4));
    expect(decode(KeyPackage, bare).initKey).toEqual(decoded.message.initKey);
  });

  test("M-WIRE-10: Welcome, public Commit and GroupInfo can be looked into without a group", async () => {
    const messages = await oneOfEach();
    const decoded = decodeMlsMessage(messages.keyPackage);
    if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
    const reference = keyPackageRef(defaultProvider().suite(1), decoded.message);
    expect(routeMessage(messages.welcome)).toEqual({
      wireFormat: "welcome",
      cipherSuite: 1,
      keyPackageRefs: [reference],
    });
    const view = viewPublicCommit(messages.publicMessage)!;
    expect(view.proposals).toMatchObject([{ type: "add" }]);
    expect(view.references).toEqual([]);
    expect(view.pathLeaf?.credential).toMatchObject({ type: "basic" });
    const route = routeMessage(messages.groupInfo);
    expect(route).toMatchObject({ wireFormat: "groupInfo", epoch: 2n });
    const info = decodeMlsMessage(messages.groupInfo);
    if (info.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
    expect(findExtension(info.message.extensions, ExtensionType.externalPub)).toBeDefined();
  });
});
