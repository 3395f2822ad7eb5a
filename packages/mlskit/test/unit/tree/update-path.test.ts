import { describe, expect, test } from "vitest";
import { toHex, withEncoding } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/index.ts";
import { Secret } from "../../../src/crypto/secret.ts";
import { CryptoError } from "../../../src/errors.ts";
import { LeafNodeFields, type UpdatePath } from "../../../src/tree/nodes.ts";
import {
  type PrivateKeys,
  privateKeysFromPathSecret,
  retainPrivateKeys,
} from "../../../src/tree/private-keys.ts";
import type { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import {
  type CreatedUpdatePath,
  createUpdatePath,
  decryptUpdatePath,
  mergeUpdatePath,
} from "../../../src/tree/update-path.ts";
import { SampleGroup } from "./sample-group.ts";
import { seal } from "./sealing.ts";
import { fakeLeaf, GROUP_ID, suiteCrypto } from "./samples.ts";

const crypto = suiteCrypto();
const NOBODY: ReadonlySet<number> = new Set();

function broken(rule: string): unknown {
  return expect.objectContaining({ rule, code: "INVALID_COMMIT" });
}

async function pathBy(group: SampleGroup, sender: number): Promise<CreatedUpdatePath> {
  return createUpdatePath({
    tree: group.tree,
    sender: leafIndex(sender),
    leaf: group.tree.leaf(leafIndex(sender))!,
    signer: group.members.get(sender)!.client.signer,
    groupId: GROUP_ID,
    excludedLeaves: NOBODY,
    groupContextBytes: (treeHash) => treeHash,
  });
}

function merge(group: SampleGroup, sender: number, updatePath: UpdatePath): Promise<unknown> {
  return mergeUpdatePath({
    tree: group.tree,
    sender: leafIndex(sender),
    updatePath,
    excludedLeaves: NOBODY,
  });
}

describe("a path", () => {
  test("with too few or too many nodes is refused", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const { updatePath } = await pathBy(group, 0);
    const [first, second] = updatePath.nodes;
    for (const nodes of [[], [first!], [first!, second!, second!]]) {
      await expect(merge(group, 0, { ...updatePath, nodes })).rejects.toEqual(broken("mk-72"));
    }
  });

  test("with too few or too many ciphertexts is refused", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const { updatePath } = await pathBy(group, 0);
    const [first, second] = updatePath.nodes;
    const [one, two] = second!.encryptedPathSecret;
    for (const encryptedPathSecret of [[], [one!], [one!, two!, two!]]) {
      const nodes = [first!, { ...second!, encryptedPathSecret }];
      await expect(merge(group, 0, { ...updatePath, nodes })).rejects.toEqual(broken("valn1101"));
    }
  });

  test("with a key of the tree, of itself, or of its own leaf is refused", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(2);
    const { updatePath } = await pathBy(group, 0);
    const [first, second] = updatePath.nodes;
    const current = group.tree.leaf(leafIndex(0))!;
    const kept = { ...updatePath.leafNode, encryptionKey: current.encryptionKey };
    const leafNode = withEncoding(LeafNodeFields, kept);
    await expect(merge(group, 0, { ...updatePath, leafNode })).rejects.toEqual(broken("valn1208"));
    const used = [group.tree.leaf(leafIndex(3))!, group.tree.parent(nodeIndex(3))!];
    for (const { encryptionKey } of used) {
      const nodes = [first!, { ...second!, encryptionKey }];
      await expect(merge(group, 0, { ...updatePath, nodes })).rejects.toEqual(broken("valn1209"));
    }
    for (const encryptionKey of [first!.encryptionKey, updatePath.leafNode.encryptionKey]) {
      const nodes = [first!, { ...second!, encryptionKey }];
      await expect(merge(group, 0, { ...updatePath, nodes })).rejects.toEqual(broken("mk-73"));
    }
    const short = [first!, { ...second!, encryptionKey: new Uint8Array(31) }];
    await expect(merge(group, 0, { ...updatePath, nodes: short })).rejects.toEqual(broken("mk-18"));
  });

  test("ph-5 whose leaf carries a wrong parent hash or source is refused", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const { updatePath } = await pathBy(group, 0);
    const withOrigin = (origin: LeafNodeFields["origin"]): UpdatePath => {
      const leafNode = withEncoding(LeafNodeFields, { ...updatePath.leafNode, origin });
      return { ...updatePath, leafNode };
    };
    for (const parentHash of [new Uint8Array(0), new Uint8Array(32)]) {
      const path = withOrigin({ source: "commit", parentHash });
      await expect(merge(group, 0, path)).rejects.toEqual(broken("mk-74"));
    }
    await expect(merge(group, 0, withOrigin({ source: "update" }))).rejects.toEqual(
      broken("valn0110"),
    );
  });

  test("of a new member takes the leftmost blank leaf and may extend the tree", async () => {
    for (const members of [1, 2, 3, 4]) {
      const group = await SampleGroup.create(crypto, members - 1);
      if (members > 1) await group.commit(0);
      const joiner = await SampleGroup.create(crypto);
      const sender = group.tree.leftmostBlankLeaf();
      expect(sender).toBe(members);
      const created = await createUpdatePath({
        tree: group.tree,
        sender,
        leaf: joiner.tree.leaf(leafIndex(0))!,
        signer: joiner.members.get(0)!.client.signer,
        groupId: GROUP_ID,
        excludedLeaves: NOBODY,
        groupContextBytes: (treeHash) => treeHash,
      });
      const { updatePath } = created;
      const merged = await mergeUpdatePath({
        tree: group.tree,
        sender,
        updatePath,
        excludedLeaves: NOBODY,
      });
      expect(toHex(merged.tree.encode())).toBe(toHex(created.tree.encode()));
      for (const [index, { privateKeys }] of group.members) {
        const received = await decryptUpdatePath({
          ...merged,
          treeBefore: group.tree,
          updatePath,
          ownLeaf: leafIndex(index),
          privateKeys,
          excludedLeaves: NOBODY,
          groupContextBytes: merged.tree.treeHash(),
        });
        expect(toHex(received.commitSecret.bytes)).toBe(toHex(created.commitSecret.bytes));
      }
    }
  });
});

describe("a path secret", () => {
  async function receive(
    group: SampleGroup,
    updatePath: UpdatePath,
    change: { privateKeys?: PrivateKeys; groupContextBytes?: Uint8Array } = {},
  ): Promise<unknown> {
    const options = { sender: leafIndex(0), updatePath, excludedLeaves: NOBODY };
    const merged = await mergeUpdatePath({ ...options, tree: group.tree });
    return decryptUpdatePath({
      ...options,
      ...merged,
      treeBefore: group.tree,
      ownLeaf: leafIndex(2),
      privateKeys: change.privateKeys ?? group.members.get(2)!.privateKeys,
      groupContextBytes: change.groupContextBytes ?? merged.tree.treeHash(),
    });
  }

  test("that does not open fails as a decryption", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const { updatePath } = await pathBy(group, 0);
    const failure = expect.objectContaining({ rule: "mk-75", code: "DECRYPTION_FAILED" });
    const wrong = { groupContextBytes: new Uint8Array(1) };
    await expect(receive(group, updatePath, wrong)).rejects.toEqual(failure);
    await expect(receive(group, updatePath, { privateKeys: new Map() })).rejects.toThrow(
      CryptoError,
    );
  });

  test("com-11 that belongs to other keys than announced is refused with its node", async () => {
    const group = await SampleGroup.create(crypto, 3);
    const { updatePath, tree } = await pathBy(group, 0);
    const [first, second] = updatePath.nodes;
    for (const [secret, rule] of [
      [new Uint8Array(32), "mk-76"],
      [new Uint8Array(31), "mk-22"],
    ] as const) {
      const encryptedPathSecret = await seal(crypto, group.tree, [4, 6], tree.treeHash(), secret);
      const nodes = [first!, { ...second!, encryptedPathSecret }];
      await expect(receive(group, { ...updatePath, nodes })).rejects.toEqual(broken(rule));
    }
  });
});

/** The suite, with the keys of all derivations that go through it. */
function withKeys(suite: SuiteCrypto): {
  readonly crypto: SuiteCrypto;
  readonly keys: Uint8Array[];
} {
  const keys: Uint8Array[] = [];
  const get = (target: SuiteCrypto, name: keyof SuiteCrypto): unknown => {
    const value: unknown = target[name];
    if (typeof value !== "function") return value;
    return (...inputs: unknown[]): unknown => {
      if ((name === "expand" || name === "hmac") && inputs[0] instanceof Uint8Array) {
        keys.push(inputs[0]);
      }
      return value.apply(target, inputs);
    };
  };
  return {
    crypto: new Proxy(suite, { get: (target, name) => get(target, name as keyof SuiteCrypto) }),
    keys,
  };
}

test("M-SEC-15: of the path secrets only the one handed out is left after a path was read", async () => {
  const { crypto: watched, keys } = withKeys(crypto);
  const group = await SampleGroup.create(watched, 8);
  const { updatePath } = await pathBy(group, 0);
  const options = { sender: leafIndex(0), updatePath, excludedLeaves: NOBODY };
  const merged = await mergeUpdatePath({ ...options, tree: group.tree });
  keys.length = 0;
  const { pathSecret } = await decryptUpdatePath({
    ...options,
    ...merged,
    treeBefore: group.tree,
    ownLeaf: leafIndex(1),
    privateKeys: group.members.get(1)!.privateKeys,
    groupContextBytes: merged.tree.treeHash(),
  });
  const used = [...new Set(keys)];
  expect(used.length).toBeGreaterThanOrEqual(merged.path.length);
  expect(used.filter((key) => key.some((byte) => byte !== 0))).toEqual([pathSecret.bytes]);
});

describe("tree-11 private keys", () => {
  test("of replaced and blanked nodes are gone after others' commits", async () => {
    const group = await SampleGroup.create(crypto, 7);
    for (let sender = 0; sender < 8; sender++) await group.commit(sender);
    const before = group.members.get(1)!.privateKeys;
    expect([...before.keys()].sort((a, b) => a - b)).toEqual([1, 2, 3, 7]);
    await group.commit(7, { remove: [0] });
    const after = group.members.get(1)!.privateKeys;
    expect([...after.keys()].sort((a, b) => a - b)).toEqual([2, 7]);
    expect(after.get(7)).not.toBe(before.get(7));
    expect(after.get(2)).toBe(before.get(2));
  });

  test("of blank and replaced nodes are dropped without a path, too", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(0);
    const keys = group.members.get(0)!.privateKeys;
    const editor = group.tree.edit();
    editor.updateLeaf(leafIndex(1), fakeLeaf(1));
    const tree: RatchetTree = editor.finish();
    expect([...retainPrivateKeys(tree, keys).keys()]).toEqual([0]);
    const other = group.tree.edit();
    other.setLeaf(leafIndex(0), fakeLeaf(2));
    const replaced = other.finish();
    expect([...retainPrivateKeys(replaced, keys, group.tree).keys()]).toEqual([1, 3]);
    expect([...retainPrivateKeys(group.tree, keys, group.tree).keys()]).toEqual([0, 1, 3]);
  });
});

describe("join-6 a path secret in a Welcome", () => {
  test("is refused if it does not fit the tree, has a wrong length or comes from ourselves", async () => {
    const group = await SampleGroup.create(crypto, 3);
    await group.commit(0);
    const options = { tree: group.tree, sender: leafIndex(0), ownLeaf: leafIndex(3) };
    const failure = (rule: string): unknown =>
      expect.objectContaining({ rule, code: "INVALID_WELCOME" });
    const [wrong, short] = [new Uint8Array(32), new Uint8Array(31)];
    await expect(privateKeysFromPathSecret({ ...options, pathSecret: wrong })).rejects.toEqual(
      failure("mk-100"),
    );
    await expect(privateKeysFromPathSecret({ ...options, pathSecret: short })).rejects.toEqual(
      failure("mk-22"),
    );
    await expect(
      privateKeysFromPathSecret({ ...options, ownLeaf: leafIndex(0), pathSecret: wrong }),
    ).rejects.toEqual(failure("mk-100"));
    const fresh = await SampleGroup.create(crypto, 3);
    await expect(
      privateKeysFromPathSecret({ ...options, tree: fresh.tree, pathSecret: wrong }),
    ).rejects.toEqual(failure("mk-100"));
  });
});

test("secrets of a path do not show when printed", async () => {
  const group = await SampleGroup.create(crypto, 1);
  const created = await pathBy(group, 0);
  expect(created.commitSecret).toBeInstanceOf(Secret);
  expect(JSON.stringify([...created.privateKeys])).not.toContain("{");
});
