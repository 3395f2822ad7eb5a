/** Rules of section 2: keys, signatures, MACs. RFC 9420 §5.1, §6.1, §7.4. */
import { describe, expect, test } from "vitest";
import { concat, EMPTY_BYTES, fromHex, utf8 } from "../../src/codec/index.ts";
import { parseDerSignature } from "../../src/crypto/ecdsa-der.ts";
import { createNewMemberProposal } from "../../src/group/external-proposal.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../src/providers/index.ts";
import { signLeafNode } from "../../src/tree/leaf-node.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  forgeCommit,
  forgeExternalCommit,
  forgeProposal,
  forgeWelcome,
  newKeyPair,
  nodesOf,
  withParent,
} from "../support/forge.ts";
import { join, newClient, newSigner, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import { createGroup } from "../../src/group/create-group.ts";
import {
  believed,
  notAdded,
  outsider,
  refusedAsAdd,
  refusedAsPath,
  refusedAsTree,
} from "./carriers.ts";

const NAMES = ["alice", "bob", "carol"];
const webCrypto = await webCryptoProvider();

/** Not keys of X25519: too short, too long, empty, and of low order. */
const NO_X25519 = [
  new Uint8Array(31).fill(9),
  new Uint8Array(33).fill(9),
  EMPTY_BYTES,
  new Uint8Array(32),
  fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
];
/** Not points of P-256: compressed, off the curve, infinity, without its first byte. */
const NO_P256 = [
  concat(fromHex("02"), new Uint8Array(32).fill(1)),
  concat(fromHex("04"), new Uint8Array(64).fill(1)),
  fromHex("00"),
  new Uint8Array(64).fill(4),
];

describe("HPKE keys", () => {
  test.each([...NO_X25519.entries()])(
    "mk-18 [CRO] a bad X25519 key, no %i, in a key package",
    async (_, key) => {
      const group = await TestGroup.of(NAMES);
      for (const client of [
        await outsider({ leaf: { encryptionKey: key } }),
        await outsider({ fields: { initKey: key } }),
      ]) {
        await notAdded(group, client, "mk-18");
        await refusedAsAdd(group, client, "mk-18");
      }
    },
  );

  test.each([...NO_P256.entries()])(
    "mk-18 [CRO] a bad P-256 key, no %i, in a key package",
    async (_, key) => {
      const group = await TestGroup.of(NAMES, { suite: 2 });
      const client = await outsider({ leaf: { encryptionKey: key } }, { suite: 2 });
      await notAdded(group, client, "mk-18");
      await refusedAsAdd(group, client, "mk-18");
    },
  );

  test("mk-18 [RO] a bad key in a path, in its leaf and in its nodes", async () => {
    const group = await TestGroup.of(NAMES);
    for (const key of NO_X25519) {
      await refusedAsPath(group, { encryptionKey: key }, "mk-18");
      const path = { alterKeys: (keys: readonly Uint8Array[]) => [...keys.slice(0, -1), key] };
      const { bytes } = await forgeCommit(group.party("alice"), { path });
      await refusedByAll(group, "alice", bytes, "mk-18");
    }
  });

  test("mk-18 [R] a KEM output that no key can have made", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes } = await forgeExternalCommit(await newClient("dave"), group.party("alice"), {
      proposals: () => [{ type: "externalInit", kemOutput: new Uint8Array(32) }],
    });
    const bob = group.party("bob");
    await refuses(bob, () => bob.receive(bytes), "mk-18", { as: "CRY" });
  });

  test("mk-18 [JXO] a bad key in a tree, in a leaf and in a parent", async () => {
    for (const encryptionKey of NO_X25519) {
      await refusedAsTree({ bob: { leaf: { encryptionKey } } }, "mk-18");
    }
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    const nodes = withParent(nodesOf(epoch.tree), 3, { encryptionKey: new Uint8Array(32) });
    const dave = await newClient("dave");
    const { bytes } = await forgeWelcome(epoch, { nodes, joiners: [dave] });
    await refuses(dave, () => join(bytes, [dave], testEnvironment()), "mk-18");
  });

  test.each([1, 2])("mk-18 mk-19 [CRJXO] ok: keys of suite %i as they are made", async (suite) => {
    const group = await TestGroup.of(NAMES, { suite });
    await group.commit("bob");
    await group.externalJoin("dave", await newClient("dave", { suite }));
    await agree(group);
    await believed({ client: {} });
  });
});

describe("signature keys", () => {
  const BAD = [
    new Uint8Array(31).fill(9),
    EMPTY_BYTES,
    new Uint8Array(33).fill(9),
    new Uint8Array(57),
  ];

  test("mk-19 [CRO] of the wrong form in a key package, an Update or a path", async () => {
    const group = await TestGroup.of(NAMES);
    for (const signatureKey of BAD) {
      const client = await outsider({ leaf: { signatureKey } });
      await notAdded(group, client, "mk-19");
      await refusedAsAdd(group, client, "mk-19");
      await refusedAsPath(group, { signatureKey }, "mk-19");
    }
  });

  test("mk-19 [CRO] a compressed point where suite 2 wants an uncompressed one", async () => {
    const group = await TestGroup.of(NAMES, { suite: 2 });
    const client = await outsider({ leaf: { signatureKey: NO_P256[0]! } }, { suite: 2 });
    await notAdded(group, client, "mk-19");
    await refusedAsAdd(group, client, "mk-19");
  });

  test("mk-19 [JXO] of the wrong form in a tree", async () => {
    for (const signatureKey of BAD) {
      await refusedAsTree({ bob: { leaf: { signatureKey } } }, "mk-19");
    }
  });
});

describe("encodings of signatures", () => {
  const longer = (signature: Uint8Array): Uint8Array => concat(signature, fromHex("00"));
  const shorter = (signature: Uint8Array): Uint8Array => signature.subarray(0, -1);
  /** SEQUENCE with a length in two octets where one is enough. */
  const lax = (der: Uint8Array): Uint8Array =>
    concat(fromHex("3081"), Uint8Array.of(der.length - 2), der.subarray(2));
  const VARIANTS: readonly [number, string, (signature: Uint8Array) => Uint8Array][] = [
    [1, "longer", longer],
    [1, "shorter", shorter],
    [2, "longer", longer],
    [2, "shorter", shorter],
    [2, "lax", lax],
  ];

  test.each(VARIANTS)(
    "mk-20 [CRO] suite %i: %s ones in key packages and messages",
    async (suite, _, alter) => {
      const group = await TestGroup.of(NAMES, { suite });
      const client = await outsider({ alterSignature: alter }, { suite });
      await notAdded(group, client, "valn0203");
      await refusedAsAdd(group, client, "valn0203");
      const remove = { type: "remove", removed: 2 } as const;
      const { bytes } = await forgeProposal(group.party("alice"), remove, {
        alterSignature: alter,
      });
      await refusedByAll(group, "alice", bytes, "valn1301");
      const commit = await forgeCommit(group.party("alice"), { alterSignature: alter });
      await refusedByAll(group, "alice", commit.bytes, "valn1203");
    },
  );

  test.each([
    ["node", nodeProvider()],
    ["noble", nobleProvider()],
    ["WebCrypto", webCrypto],
  ] as const)(
    "mk-20 [CRJXO] with no back end, %s, a second encoding verifies",
    async (_, maker) => {
      const message = utf8("message");
      for (const [suite, , alter] of VARIANTS) {
        const crypto = maker.suite(suite);
        const { privateKey, publicKey } = await crypto.generateSignatureKeyPair();
        const signature = await crypto.sign(privateKey, message);
        expect(await crypto.verify(publicKey, message, signature)).toBe(true);
        expect(await crypto.verify(publicKey, message, alter(signature))).toBe(false);
      }
    },
  );

  test("mk-20 [JXO] in leaves and GroupInfos of a group that is joined", async () => {
    for (const alter of [longer, shorter]) {
      await refusedAsTree({ bob: { alterLeafSignature: alter } }, "valn0102");
      await refusedAsTree({ alterSignature: alter }, "valn1402");
    }
  });

  test("mk-20 [CRJXO] ok: signatures as the schemes make them", async () => {
    const signer = await newSigner(2);
    const signature = await signer.sign(utf8("message"));
    expect(parseDerSignature(signature, 32)).toBeDefined();
    expect(await provider.suite(2).verify(signer.publicKey, utf8("message"), signature)).toBe(true);
    expect(await provider.suite(2).verify(signer.publicKey, utf8("message"), lax(signature))).toBe(
      false,
    );
    await believed();
  });
});

describe("tags", () => {
  const other = new Uint8Array(32).fill(7);
  const LENGTHS: readonly [string, (tag: Uint8Array) => Uint8Array][] = [
    ["empty", () => EMPTY_BYTES],
    ["one byte", (tag) => tag.subarray(0, 1)],
    ["a byte short", (tag) => tag.subarray(0, -1)],
    ["a byte long", (tag) => concat(tag, fromHex("00"))],
    ["another", () => other],
    ["wrong at the end", (tag) => concat(tag.subarray(0, -1), Uint8Array.of(tag.at(-1)! ^ 1))],
  ];

  test.each(LENGTHS)("mk-21 [R] %s tag on a message of a member", async (_, alter) => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const remove = { type: "remove", removed: 2 } as const;
    const membership = await forgeProposal(alice, remove, {
      publicly: { alterMembershipTag: (tag) => alter(tag!) },
    });
    await refuses(bob, () => bob.receive(membership.bytes), "valn1302");
    const confirmation = await forgeCommit(alice, { alterConfirmationTag: (tag) => alter(tag!) });
    await refuses(bob, () => bob.receive(confirmation.bytes), "mk-77");
  });

  test.each(LENGTHS)("mk-21 [J] %s confirmation tag in a Welcome", async (_, alter) => {
    const group = await TestGroup.of(["alice"]);
    const { epoch } = group.party("alice");
    const dave = await newClient("dave");
    const nodes = [
      ...nodesOf(epoch.tree),
      undefined,
      { type: "leaf", leaf: dave.keyPackage.leafNode } as const,
    ];
    const forgery = { nodes, joiners: [dave], alterConfirmationTag: alter };
    const { bytes } = await forgeWelcome(epoch, forgery);
    await refuses(dave, () => join(bytes, [dave], testEnvironment()), "valn1411");
  });

  test("mk-21 [RJ] ok: the right tags", async () => {
    const group = await TestGroup.of(NAMES);
    await group.propose("alice", { type: "remove", removed: 2 });
    await group.commit("bob");
    await agree(group);
  });
});

describe("lengths of secrets", () => {
  test.each([0, 31, 33])("mk-22 [R] a path secret of %i bytes", async (length) => {
    const group = await TestGroup.of(NAMES);
    const path = { alterSecret: () => new Uint8Array(length).fill(1) };
    const { bytes } = await forgeCommit(group.party("alice"), { path });
    for (const name of ["bob", "carol"]) {
      const party = group.party(name);
      await refuses(party, () => party.receive(bytes), "mk-22");
    }
  });

  test.each([0, 31, 33])("mk-22 [J] a joiner secret or path secret of %i bytes", async (length) => {
    const group = await TestGroup.of(NAMES);
    const { epoch } = group.party("alice");
    const dave = await newClient("dave");
    const secret = new Uint8Array(length).fill(1);
    const joiner = await forgeWelcome(epoch, {
      joiners: [dave],
      alterSecrets: (secrets) => ({ ...secrets, joinerSecret: secret }),
    });
    await refuses(dave, () => join(joiner.bytes, [dave], testEnvironment()), "mk-22");
    const leaf = { type: "leaf", leaf: dave.keyPackage.leafNode } as const;
    const own = await TestGroup.of(["alice"]);
    const alice = own.party("alice");
    const forgery = { nodes: [...nodesOf(alice.epoch.tree), undefined, leaf], joiners: [dave] };
    const path = await forgeWelcome(alice.epoch, { ...forgery, pathSecret: () => secret });
    await refuses(dave, () => join(path.bytes, [dave], testEnvironment()), "mk-22");
  });

  test("mk-22 [RJ] ok: as long as the KDF's output, also where that is 64 bytes", async () => {
    for (const suite of [1, 5]) {
      const group = await TestGroup.of(["alice", "bob"], { suite });
      await group.commit("alice");
      await agree(group);
    }
  });
});

describe("private keys", () => {
  test("mk-23 [C] a group, a leaf or a proposal with the key of somebody else", async () => {
    const crypto = provider.suite(1);
    const [alice, bob] = [await newClient("alice"), await newClient("bob")];
    const options = { crypto, groupId: utf8("id"), extensions: [] };
    for (const creator of [
      { ...alice, encryptionKey: bob.encryptionKey },
      { ...alice, signer: bob.signer },
    ]) {
      await expectRule(() => createGroup({ ...options, creator }, testEnvironment()), "mk-23");
    }
    const { leafNode } = alice.keyPackage;
    await expectRule(() => signLeafNode(crypto, bob.signer, leafNode), "mk-23");
    const group = { groupId: utf8("id"), epoch: 0n };
    await expectRule(() => createNewMemberProposal(group, alice.keyPackage, bob.signer), "mk-23");
  });

  test("mk-23 [J] a Welcome is not opened with keys that were mixed up", async () => {
    const group = await TestGroup.of(NAMES);
    const dave = await newClient("dave");
    const proposals = [{ type: "add", keyPackage: dave.keyPackage } as const];
    const { welcomes } = await group.createCommit("alice", { proposals });
    const { privateKey } = await newKeyPair();
    for (const mixed of [
      { ...dave, initKey: privateKey },
      { ...dave, encryptionKey: privateKey },
      { ...dave, signer: await newSigner() },
    ]) {
      const action = () => join(welcomes[0]!.bytes, [mixed], testEnvironment());
      await refuses(mixed, action, "mk-23");
    }
    await join(welcomes[0]!.bytes, [dave], testEnvironment());
  });

  test("mk-23 [X] an external joiner does not sign with the key of another suite", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("dave");
    const { credential, capabilities, extensions } = client.keyPackage.leafNode;
    const leaf = { credential, capabilities, extensions, signer: await newSigner(2) };
    await expectRule(() => group.createExternalJoin(client, { leaf }), "mk-23");
  });

  test("mk-23 [CJX] ok: one's own keys", async () => {
    const group = await TestGroup.of(NAMES);
    await group.externalJoin("dave", await newClient("dave"));
    await agree(group);
  });
});
