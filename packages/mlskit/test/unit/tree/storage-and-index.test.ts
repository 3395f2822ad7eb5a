/** Chunks for stores, the key index, and the counters of supported types. */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { toHex } from "../../../src/codec/index.ts";
import { DecodeError, InternalError } from "../../../src/errors.ts";
import { chunkCounts, locate, nodeInSlot } from "../../../src/tree/chunk.ts";
import { KeyIndex } from "../../../src/tree/key-index.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import {
  changedChunks,
  readChunk,
  type StoredChunk,
  treeFromChunks,
} from "../../../src/tree/stored-chunks.ts";
import { supports } from "../../../src/tree/capabilities.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import { fakeLeaf, fakeParent, fakeTree, suiteCrypto } from "./samples.ts";

const crypto = suiteCrypto();
let serial = 50_000;

describe("chunks", () => {
  test("every node has one place, and every place one node", () => {
    for (const leafCount of [1, 2, 16, 32, 1024]) {
      const counts = chunkCounts(leafCount);
      const seen = new Set<string>();
      for (let node = 0; node < 2 * leafCount - 1; node++) {
        const { level, id, slot } = locate(node);
        expect(slot).toBeLessThan(31);
        expect(id).toBeLessThan(counts[level]!);
        expect(nodeInSlot(level, id, slot)).toBe(node);
        seen.add(`${level}/${id}/${slot}`);
      }
      expect(seen.size).toBe(2 * leafCount - 1);
    }
  });

  test("tree-3 places are right above 2^31", () => {
    for (const node of [2 ** 31, 2 ** 32 - 2, 2 ** 31 - 1]) {
      const { level, id, slot } = locate(node);
      expect(nodeInSlot(level, id, slot)).toBe(node);
    }
    expect(locate(2 ** 31 - 1)).toEqual({ level: 6, id: 0, slot: 1 });
  });

  test("a commit in a large group changes one chunk per five levels", () => {
    const before = fakeTree(1000);
    const editor = before.edit();
    editor.updateLeaf(leafIndex(500), fakeLeaf(serial++));
    const after = editor.finish();
    expect(changedChunks(after, before)).toHaveLength(3);
    expect(changedChunks(after, after)).toHaveLength(0);
    expect(changedChunks(after, undefined)).toHaveLength([...after.chunks()].length);
  });

  test("a store that follows the changes always holds the tree", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 25 }), (picks) => {
        const store = new Map<string, { level: number; id: number; bytes: Uint8Array }>();
        const save = (changes: readonly StoredChunk[]): void => {
          for (const { level, id, bytes } of changes) {
            if (bytes === undefined) store.delete(`${level}/${id}`);
            else store.set(`${level}/${id}`, { level, id, bytes });
          }
        };
        let tree = fakeTree(40);
        save(changedChunks(tree, undefined));
        for (const pick of picks) {
          const editor = tree.edit();
          const members = [...tree.members()];
          const [index] = members[pick % members.length]!;
          if (pick % 3 === 0 && members.length > 1) {
            for (const [other] of members.slice(1 + (pick % members.length))) {
              editor.removeLeaf(other);
            }
          } else if (pick % 3 === 1) {
            for (let i = 0; i < 20; i++) editor.addLeaf(fakeLeaf(serial++));
          } else {
            editor.updateLeaf(index, fakeLeaf(serial++));
            for (const { node } of tree.filteredDirectPath(index)) {
              editor.setParent(node, fakeParent(serial++));
            }
          }
          const next = editor.finish();
          save(changedChunks(next, tree));
          const copies = [...store.values()].map((c) => ({ ...c, bytes: c.bytes.slice() }));
          const loaded = treeFromChunks(crypto, next.leafCount, copies);
          expect(loaded.memberCount).toBe(next.memberCount);
          expect(toHex(loaded.treeHash())).toBe(toHex(next.treeHash()));
          expect(toHex(loaded.encode())).toBe(toHex(next.encode()));
          // From now on half of the history runs on the loaded tree.
          tree = pick % 2 === 0 ? loaded : next;
          save(changedChunks(tree, undefined));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a loaded tree hashes and counts without decoding a node", () => {
    const tree = fakeTree(100);
    const stored = changedChunks(tree, undefined).map(({ level, id, bytes }) => {
      return { level, id, bytes: bytes!.slice() };
    });
    // Everything behind the header is garbage now, so decoding a node would throw.
    for (const { level, bytes } of stored) if (level === 0) bytes.fill(0xff, 6 + 32);
    const loaded = treeFromChunks(crypto, tree.leafCount, stored);
    expect(loaded.memberCount).toBe(100);
    expect(loaded.leftmostBlankLeaf()).toBe(100);
    expect(toHex(loaded.treeHash())).toBe(toHex(tree.treeHash()));
    expect(() => loaded.leaf(leafIndex(0))).toThrow(DecodeError);
  });

  test("broken stores end in typed errors", () => {
    expect(() => readChunk(32, Uint8Array.of(9))).toThrow(DecodeError);
    expect(() => readChunk(32, new Uint8Array(0))).toThrow(DecodeError);
    expect(() => treeFromChunks(crypto, 3, [])).toThrow(InternalError);
    const bytes = [...changedChunks(fakeTree(1), undefined)][0]!.bytes!;
    expect(() => treeFromChunks(crypto, 1, [{ level: 0, id: 1, bytes }])).toThrow(InternalError);
  });
});

describe("tree-9 the key index", () => {
  test("answers for the tree that is asked, not for its forks or descendants", () => {
    const base = fakeTree(10);
    const [old, left, right] = [base.leaf(leafIndex(4))!, fakeLeaf(serial++), fakeLeaf(serial++)];
    const fork = (leaf: typeof old): RatchetTree => {
      const editor = base.edit();
      editor.updateLeaf(leafIndex(4), leaf);
      return editor.finish();
    };
    const [a, b] = [fork(left), fork(right)];
    expect(a.nodeWithEncryptionKey(left.encryptionKey)).toBe(8);
    expect(a.nodeWithEncryptionKey(right.encryptionKey)).toBeUndefined();
    expect(a.nodeWithEncryptionKey(old.encryptionKey)).toBeUndefined();
    expect(b.leafWithSignatureKey(right.signatureKey)).toBe(4);
    expect(b.leafWithSignatureKey(left.signatureKey)).toBeUndefined();
    expect(base.leafWithSignatureKey(old.signatureKey)).toBe(4);
    expect(base.leafWithSignatureKey(old.signatureKey, leafIndex(4))).toBeUndefined();
    expect(base.nodeWithEncryptionKey(left.encryptionKey)).toBeUndefined();
  });

  test("equals a walk over all nodes along a random history, also after it was rebuilt", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 300 }), (picks) => {
        let tree = fakeTree(3);
        const trees: RatchetTree[] = [];
        for (const pick of picks) {
          const index = leafIndex(pick % 3);
          const editor = tree.edit();
          // A small pool of keys, so that they come back.
          editor.updateLeaf(index, fakeLeaf(70_000 + (pick % 400)));
          editor.setParent(nodeIndex(3), fakeParent(pick % 50));
          tree = editor.finish();
          trees.push(tree);
          if (trees.length > 5) trees.shift();
          for (const asked of trees) {
            for (let i = 0; i < 3; i++) {
              const leaf = asked.leaf(leafIndex(i))!;
              const found = asked.nodeWithEncryptionKey(leaf.encryptionKey)!;
              expect(asked.leaf(leafIndex(found / 2))!.encryptionKey).toEqual(leaf.encryptionKey);
              const twins = [...asked.members()].filter(
                ([other, { signatureKey }]) =>
                  other !== i && toHex(signatureKey) === toHex(leaf.signatureKey),
              );
              const twin = asked.leafWithSignatureKey(leaf.signatureKey, leafIndex(i));
              expect(twin === undefined).toBe(twins.length === 0);
            }
          }
          const keys = [...tree.members()].map(([, { encryptionKey }]) => toHex(encryptionKey));
          const repeats = new Set(keys).size < keys.length;
          expect(tree.repeatedEncryptionKey() !== undefined).toBe(repeats);
          expect(tree.repeatedSignatureKey() !== undefined).toBe(repeats);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe("support counters", () => {
  const withTypes = (extensions: number[], credentials: number[], own = 1): typeof leaf => {
    const credential =
      own === 1
        ? { type: "basic" as const, identity: new Uint8Array(1) }
        : { type: "x509" as const, certificates: [] };
    const capabilities = {
      versions: [1],
      cipherSuites: [1],
      extensions,
      proposals: [9],
      credentials,
    };
    return fakeLeaf(serial++, { credential, capabilities });
  };
  const leaf = fakeLeaf(serial++);

  test("equal a scan of all leaves after every change", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.nat(20), fc.nat(7)), { maxLength: 30 }),
        (steps) => {
          let tree = RatchetTree.ofLeaf(crypto, withTypes([20, 20], [1, 2]));
          for (const [op, pick, bits] of steps) {
            const members = [...tree.members()];
            const [index] = members[pick % members.length]!;
            const next = withTypes(
              [20, 21, 22].filter((_, i) => (bits >> i) % 2 === 1),
              bits % 2 === 0 ? [1] : [1, 2, 2],
              1 + (bits % 2),
            );
            const editor = tree.edit();
            if (op === 0) editor.addLeaf(next);
            else if (op === 1) editor.updateLeaf(index, next);
            else if (members.length > 1) editor.removeLeaf(index);
            tree = editor.finish();
            const leaves = [...tree.members()].map(([, member]) => member);
            for (const type of [1, 5, 20, 21, 22]) {
              const expected = leaves.every((l) => supports(l.capabilities, "extensions", type));
              expect(tree.supportedByAll("extensions", type)).toBe(expected);
            }
            for (const type of [1, 2]) {
              const expected = leaves.every((l) => l.capabilities.credentials.includes(type));
              expect(tree.supportedByAll("credentials", type)).toBe(expected);
            }
            const inUse = new Set(leaves.map((l) => (l.credential.type === "x509" ? 2 : 1)));
            expect(tree.credentialTypesInUse()).toEqual(inUse);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("default types count as supported, credential types never do", () => {
    const tree = RatchetTree.ofLeaf(crypto, withTypes([], []));
    for (const type of [1, 2, 3, 4, 5]) expect(tree.supportedByAll("extensions", type)).toBe(true);
    for (const type of [1, 7]) expect(tree.supportedByAll("proposals", type)).toBe(true);
    expect(tree.supportedByAll("proposals", 8)).toBe(false);
    expect(tree.supportedByAll("proposals", 9)).toBe(true);
    expect(tree.supportedByAll("credentials", 1)).toBe(false);
    expect(tree.supportedByAll("versions", 1)).toBe(true);
  });

  test("M-SEC-05: edits that are dropped fill no memory", () => {
    const note = vi.spyOn(KeyIndex.prototype, "note");
    const base = fakeTree(10);
    for (let i = 0; i < 500; i++) {
      const editor = base.edit();
      editor.updateLeaf(leafIndex(4), fakeLeaf(90_000 + i));
      editor.finish();
    }
    const noted = note.mock.calls.reduce((sum, [nodes]) => sum + nodes.length, 0);
    expect(noted).toBeGreaterThan(256);
    expect(noted).toBeLessThanOrEqual(4 * 20 + 256);
    note.mockRestore();
  });
});
