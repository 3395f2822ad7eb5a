/** Rules of section 4 about where a leaf stands, which keys it has, and what is ignored in it. */
import { describe, expect, test } from "vitest";
import { decode, EMPTY_BYTES, encode, fromHex, utf8 } from "../../src/codec/index.ts";
import {
  greaseCapabilities,
  greaseLeafExtensions,
  GREASE_VALUES,
} from "../../src/extensions/grease.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { KeyPackage } from "../../src/key-packages/key-package.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { Capabilities, type LeafNodeOrigin } from "../../src/tree/nodes.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { forgeCommit, forgeExternalCommit, newKeyPair } from "../support/forge.ts";
import { capabilitiesFor, type ClientOptions, newClient, provider } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import {
  believed,
  forgedUpdate,
  notAdded,
  outsider,
  refusedAsAdd,
  refusedAsPath,
  refusedAsTree,
  refusedAsUpdate,
  world,
} from "./carriers.ts";
import { join } from "../support/parties.ts";
import { forgeWelcome, treeOfLeaves } from "../support/forge.ts";
import { testEnvironment } from "../support/environment.ts";
import { commitWith } from "./commits.ts";

const NAMES = ["alice", "bob", "carol"];
const COMMIT: LeafNodeOrigin = { source: "commit", parentHash: EMPTY_BYTES };

describe("sources", () => {
  test.each([{ source: "update" } as const, COMMIT])(
    "valn0108 [CRO] a key package whose leaf is for something else ($source)",
    async (origin) => {
      const group = await TestGroup.of(NAMES);
      const bound = await boundOutsider(origin);
      await notAdded(group, bound, "valn0108");
      await refusedAsAdd(group, bound, "valn0108");
    },
  );

  test("valn0108 [J] a key package of ours whose leaf is for something else opens nothing", async () => {
    const group = await TestGroup.of(["alice"]);
    const client = await boundOutsider({ source: "update" });
    const leaves = [group.party("alice").bundle, client].map(
      ({ keyPackage }) => keyPackage.leafNode,
    );
    const { bytes } = await forgeWelcome(group.party("alice").epoch, {
      joiners: [client],
      nodes: treeOfLeaves(leaves),
    });
    await refuses(client, () => join(bytes, [client], testEnvironment()), "valn0108");
  });

  test("valn0108 [CRJO] ok: key packages as they are made", async () => {
    const group = await TestGroup.of(NAMES);
    await group.add("bob", new Map([["dave", await newClient("dave")]]));
    await agree(group);
  });

  test("valn0109 [RO] an Update with a leaf for something else, or with the old key", async () => {
    const group = await TestGroup.of(NAMES);
    const { tree } = group.party("bob").epoch;
    const { encryptionKey } = tree.leaf(group.party("bob").epoch.ownLeaf)!;
    const lifetime = { notBefore: 0n, notAfter: 2n ** 40n };
    for (const changes of [
      { origin: COMMIT },
      { origin: { source: "keyPackage", lifetime } as const },
      { encryptionKey },
    ]) {
      await refusedAsUpdate(group, { changes }, "valn0109");
    }
  });

  test("valn0109 [C] we do not propose one", async () => {
    const group = await TestGroup.of(NAMES);
    const { tree, ownLeaf } = group.party("bob").epoch;
    const leafNode = tree.leaf(ownLeaf)!;
    await expectRule(() => group.propose("bob", { type: "update", leafNode }), "valn0109");
  });

  test("valn0109 [CRO] ok: Updates as they are made, one after the other", async () => {
    const group = await TestGroup.of(NAMES);
    for (const name of ["bob", "carol", "alice"]) {
      await group.proposeUpdate("bob");
      await group.commit(name === "bob" ? "alice" : name);
    }
    await agree(group);
  });

  test("valn0110 [RO] a path whose leaf is for something else", async () => {
    const group = await TestGroup.of(NAMES);
    const lifetime = { notBefore: 0n, notAfter: 2n ** 40n };
    await refusedAsPath(group, { origin: { source: "update" } }, "valn0110");
    await refusedAsPath(group, { origin: { source: "keyPackage", lifetime } }, "valn0110");
    const external = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      path: { leaf: { origin: { source: "update" } } },
    });
    for (const party of [group.party("bob"), group.observer]) {
      await refuses(party, () => party.receive(external.bytes), "valn0110");
    }
  });

  test("valn0110 [CX] whatever the caller's template says, our path leaves are for a commit", async () => {
    const group = await TestGroup.of(NAMES);
    const origin = { origin: { source: "update" } };
    await group.commit("alice", { leaf: { ...origin } as object });
    const { tree } = group.party("bob").epoch;
    expect([...tree.members()][0]![1].origin.source).toBe("commit");
    const client = await newClient("dave");
    const { capabilities, credential, extensions } = client.keyPackage.leafNode;
    const leaf = { capabilities, credential, extensions, signer: client.signer, ...origin };
    await group.externalJoin("dave", client, { leaf });
    expect([...group.party("bob").epoch.tree.members()][3]![1].origin.source).toBe("commit");
  });

  test("valn0110 [CRXO] ok: Commits and external commits as they are made", async () => {
    const group = await TestGroup.of(NAMES);
    await group.commit("bob");
    await group.externalJoin("dave", await newClient("dave"));
    await agree(group);
  });
});

describe("repeated keys", () => {
  test("valn0111 [CRO] nobody takes another member's signature key", async () => {
    const group = await TestGroup.of(NAMES);
    const carol = group.party("carol");
    const changes = { signatureKey: carol.signer.publicKey };
    const stolen = await forgeCommit(group.party("alice"), {
      path: { leaf: changes, leafSigner: carol.signer },
    });
    for (const party of [group.party("bob"), group.observer]) {
      await refuses(party, () => party.receive(stolen.bytes), "valn0111");
    }
    const leaf = { signer: carol.signer };
    const make = () => group.createCommit("alice", { leaf });
    await refuses(group.party("alice"), make, "valn0111");
  });

  test("valn0111 [RO] nor by an Update", async () => {
    const group = await TestGroup.of(NAMES);
    const carol = group.party("carol");
    const bob = group.party("bob");
    bob.epoch = { ...bob.epoch, signer: carol.signer };
    const forged = await forgedUpdate(group, { changes: { signatureKey: carol.signer.publicKey } });
    bob.epoch = { ...bob.epoch, signer: bob.bundle.signer };
    await commitWith(group, forged.cached, "valn0111");
  });

  test("valn0111 [JXO] two leaves of a tree with one signature key", async () => {
    const signer = await newClient("twin");
    const client = { signer: signer.signer };
    await refusedAsTree({ client, joiner: {} }, "valn0111");
  });

  test("valn0111 [X] a joiner with a member's signature key", async () => {
    const group = await TestGroup.of(NAMES);
    const twin = await newClient("twin", { signer: group.party("bob").signer });
    await expectRule(() => group.createExternalJoin(twin), "valn0111");
  });

  test("valn0111 [CRJXO] ok: a member keeps its own, and a removed one's is free again", async () => {
    const group = await TestGroup.of(NAMES);
    await group.commit("alice");
    const again = await newClient("bob 2", { signer: group.party("bob").signer });
    const proposals = [
      { type: "remove", removed: 1 } as const,
      { type: "add", keyPackage: again.keyPackage } as const,
    ];
    await group.commit("alice", { proposals });
    await group.externalJoin(
      "carol",
      await newClient("carol", { signer: group.party("carol").signer }),
      {
        resync: () => 2,
      },
    );
    await believed();
  });

  test("valn0112 [CRO] an added leaf with the encryption key of a member, or of a parent", async () => {
    const group = await TestGroup.of(NAMES);
    const { tree } = group.party("alice").epoch;
    const keys = [...tree.nodes()].map(([, node]) =>
      node.type === "leaf" ? node.leaf.encryptionKey : node.parent.encryptionKey,
    );
    expect(keys).toHaveLength(5);
    for (const encryptionKey of [keys[4]!, keys[3]!]) {
      const client = await outsider({ leaf: { encryptionKey } });
      await notAdded(group, client, "valn0112", {});
      const { bytes } = await forgeCommit(group.party("alice"), {
        proposals: [{ type: "add", keyPackage: client.keyPackage }],
        path: false,
      });
      for (const party of [group.party("bob"), group.observer]) {
        await refuses(party, () => party.receive(bytes), "valn0112");
      }
    }
  });

  test("valn0112 [RO] an Update and a path leaf with the encryption key of another member", async () => {
    const group = await TestGroup.of(NAMES);
    const { encryptionKey } = group.party("carol").bundle.keyPackage.leafNode;
    const forged = await forgedUpdate(group, { changes: { encryptionKey } });
    await commitWith(group, forged.cached, "valn0112");
    await refusedAsPath(group, { encryptionKey }, "valn0112");
  });

  test("valn0112 [JXO] two leaves of a tree with one encryption key", async () => {
    const { publicKey: encryptionKey } = await newKeyPair();
    const group = await world({ bob: { leaf: { encryptionKey } } });
    await group.join();
    const taken = group.joiner.keyPackage.leafNode.encryptionKey;
    expect(taken).not.toEqual(encryptionKey);
    await refusedAsTree({ bob: { leaf: { encryptionKey } }, twin: true }, "valn0112");
  });

  test("valn0112 [CRJXO] ok: all keys differ", async () => {
    const group = await TestGroup.of(NAMES);
    await group.add("bob", new Map([["dave", await outsider()]]));
    await agree(group);
    await believed();
  });
});

describe("what is ignored", () => {
  const DEFAULTS = { extensions: [1, 2, 3, 4, 5], proposals: [1, 2, 3, 4, 5, 6, 7] };

  test("mk-50 [C] our capabilities list no default types", async () => {
    for (const capabilities of [{ extensions: [3] }, { proposals: [1] }]) {
      await expectRule(() => newClient("alice", { capabilities }), "mk-50", { as: "USE" });
    }
    const group = await TestGroup.of(["alice"]);
    const leaf = { capabilities: { ...capabilitiesFor(1), extensions: [5] } };
    await expectRule(() => group.createCommit("alice", { leaf }), "mk-50", { as: "USE" });
  });

  test("mk-50 [CD] ok: those of others may, and it changes nothing", async () => {
    const leaf = { capabilities: { ...capabilitiesFor(1), ...DEFAULTS } };
    const group = await TestGroup.of(NAMES);
    await group.add("alice", new Map([["mallory", await outsider({ leaf })]]));
    await agree(group);
    await believed({ bob: { leaf } });
  });

  test("mk-51 [D] unknown values and extensions are kept byte for byte", async () => {
    const leafExtensions = [{ type: 0xf00d, data: fromHex("00ff") }];
    const client = await newClient("alice", {
      capabilities: { extensions: [0xf00d, 0x9999], proposals: [0x8888], credentials: [1, 0x7777] },
      leafExtensions,
      extensions: [{ type: 0x9999, data: utf8("?") }],
    });
    const group = await TestGroup.of(["bob"]);
    await group.add("bob", new Map([["alice", client]]));
    const info = await group.groupInfo("bob", { extensions: [{ type: 0x5555, data: utf8("!") }] });
    const bytes = encodeMlsMessage({ wireFormat: "groupInfo", message: info });
    expect(encodeMlsMessage(decodeMlsMessage(bytes))).toEqual(bytes);
    const again = decode(KeyPackage, client.keyPackage.encoded);
    expect(encode(Capabilities, again.leafNode.capabilities)).toEqual(
      encode(Capabilities, client.keyPackage.leafNode.capabilities),
    );
    expect(again.leafNode.extensions).toEqual(leafExtensions);
    await group.externalJoin("carol", await newClient("carol"), { groupInfo: info });
    await agree(group);
  });

  const random = (length: number): Uint8Array => provider.suite(1).randomBytes(length);

  test("mk-52 [C] when every value is taken, no other is made up", async () => {
    const full = { ...capabilitiesFor(1), extensions: GREASE_VALUES };
    await expectRule(() => greaseCapabilities(full, random), "mk-52", { as: "USE" });
  });

  test("mk-52 [C] ok: GREASE in a leaf's extensions is listed in its capabilities", () => {
    const plain = { capabilities: capabilitiesFor(1), extensions: [] };
    const { capabilities, extensions } = greaseLeafExtensions(plain, random);
    expect(extensions).toHaveLength(1);
    expect(GREASE_VALUES).toContain(extensions[0]!.type);
    expect(capabilities.extensions).toEqual([extensions[0]!.type]);
  });

  test("mk-53 [RJXO] GREASE is judged like any unknown value: fine in lists, an error unlisted", async () => {
    const capabilities = greaseCapabilities(capabilitiesFor(1), random);
    const greased: ClientOptions = {
      capabilities: { ...capabilities, extensions: [...capabilities.extensions, 0x4a4a] },
      leafExtensions: [{ type: 0x4a4a, data: utf8("grease") }],
    };
    const group = await TestGroup.of(NAMES);
    await group.add("bob", new Map([["dave", await newClient("dave", greased)]]));
    await group.externalJoin("erin", await newClient("erin", greased));
    await agree(group);
    await believed({ client: greased });
    const unlisted = { extensions: [{ type: 0x5a5a, data: EMPTY_BYTES }] };
    await refusedAsAdd(group, await outsider({ leaf: unlisted }), "valn0107");
    await refusedAsTree({ bob: { leaf: unlisted } }, "valn0107");
    const extensions = [{ type: 0x5a5a, data: EMPTY_BYTES }];
    const proposals = [{ type: "groupContextExtensions", extensions } as const];
    await expectRule(() => group.createCommit("bob", { proposals }), "mk-62");
  });
});

/** A client whose leaf is signed as if for this place in the test group. */
function boundOutsider(origin: LeafNodeOrigin): Promise<KeyPackageBundle> {
  return outsider({ leaf: { origin }, leafBinding: { groupId: GROUP_ID, leafIndex: 3 } });
}
