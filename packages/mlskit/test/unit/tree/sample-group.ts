/** A group reduced to its tree: all members process every commit and must agree. */
import { expect } from "vitest";
import { equalBytes, toHex } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import type { Secret } from "../../../src/crypto/secret.ts";
import { encryptionKeyOf } from "../../../src/tree/key-index.ts";
import type { UpdatePath } from "../../../src/tree/nodes.ts";
import { type PrivateKeys, privateKeysFromPathSecret } from "../../../src/tree/private-keys.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { commonAncestor, leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import { validateTree } from "../../../src/tree/tree-validation.ts";
import {
  createUpdatePath,
  decryptUpdatePath,
  mergeUpdatePath,
} from "../../../src/tree/update-path.ts";
import { GROUP_ID, type SampleClient, sampleClient } from "./samples.ts";

export interface Member {
  readonly client: SampleClient;
  privateKeys: PrivateKeys;
}

export interface Change {
  readonly remove?: readonly number[];
  readonly add?: number;
  /** A Commit without a path, which only adds. */
  readonly partial?: boolean;
}

export class SampleGroup {
  readonly crypto: SuiteCrypto;
  readonly members = new Map<number, Member>();
  tree: RatchetTree;

  private constructor(crypto: SuiteCrypto, founder: SampleClient) {
    this.crypto = crypto;
    this.tree = RatchetTree.ofLeaf(crypto, founder.leaf);
    this.members.set(0, { client: founder, privateKeys: new Map([[0, founder.encryptionKey]]) });
  }

  static async create(crypto: SuiteCrypto, others = 0): Promise<SampleGroup> {
    const group = new SampleGroup(crypto, await sampleClient(crypto, 0));
    if (others > 0) await group.commit(0, { add: others, partial: true });
    return group;
  }

  /** Applies the change, with a path unless it is partial; checks what everybody ends up with. */
  async commit(sender: number, change: Change = {}): Promise<UpdatePath | undefined> {
    const editor = this.tree.edit();
    for (const leaf of change.remove ?? []) {
      editor.removeLeaf(leafIndex(leaf));
      this.members.delete(leaf);
    }
    const added = new Set<number>();
    for (let i = 0; i < (change.add ?? 0); i++) {
      const client = await sampleClient(this.crypto, i);
      const index = editor.addLeaf(client.leaf);
      added.add(index);
      const privateKeys = new Map<number, Secret>([[2 * index, client.encryptionKey]]);
      this.members.set(index, { client, privateKeys });
    }
    const provisional = editor.finish();
    if (change.partial === true) {
      this.tree = provisional;
      return undefined;
    }
    const { client } = this.members.get(sender)!;
    const context = (treeHash: Uint8Array): Uint8Array => treeHash;
    const created = await createUpdatePath({
      tree: provisional,
      sender: leafIndex(sender),
      leaf: provisional.leaf(leafIndex(sender))!,
      signer: client.signer,
      groupId: GROUP_ID,
      excludedLeaves: added,
      groupContextBytes: context,
    });
    const { updatePath } = created;
    const shared = { sender: leafIndex(sender), updatePath, excludedLeaves: added };
    const merged = await mergeUpdatePath({ ...shared, tree: provisional });
    expect(toHex(merged.tree.treeHash())).toBe(toHex(created.tree.treeHash()));
    for (const [index, member] of this.members) {
      if (index === sender) {
        member.privateKeys = created.privateKeys;
        continue;
      }
      if (added.has(index)) {
        const ancestor = commonAncestor(leafIndex(sender), leafIndex(index));
        const keys = await privateKeysFromPathSecret({
          tree: merged.tree,
          sender: leafIndex(sender),
          ownLeaf: leafIndex(index),
          pathSecret: created.pathSecrets.get(ancestor)!.bytes,
        });
        member.privateKeys = new Map([...member.privateKeys, ...keys]);
        continue;
      }
      const received = await decryptUpdatePath({
        ...shared,
        ...merged,
        treeBefore: provisional,
        ownLeaf: leafIndex(index),
        privateKeys: member.privateKeys,
        groupContextBytes: context(merged.tree.treeHash()),
      });
      expect(equalBytes(received.commitSecret.bytes, created.commitSecret.bytes)).toBe(true);
      member.privateKeys = received.privateKeys;
    }
    this.tree = merged.tree;
    return updatePath;
  }

  /** The tree invariant, from below: each member holds keys of nodes above it, and right ones. */
  async checkInvariant(): Promise<void> {
    for (const { privateKeys } of this.members.values()) {
      for (const [at, secret] of privateKeys) {
        const node = this.tree.node(nodeIndex(at))!;
        const publicKey = await this.crypto.publicKeyOf(secret.bytes);
        expect(toHex(publicKey)).toBe(toHex(encryptionKeyOf(node)));
      }
    }
    await validateTree(this.tree, { groupId: GROUP_ID });
    const copy = RatchetTree.decode(this.crypto, this.tree.encode());
    await validateTree(copy, { groupId: GROUP_ID });
  }

  /** Which parents are set, and their unmerged leaves. */
  shape(): Record<number, readonly number[]> {
    const shape: Record<number, readonly number[]> = {};
    for (const [at, node] of this.tree.nodes()) {
      if (node.type === "parent") shape[at] = node.parent.unmergedLeaves;
    }
    return shape;
  }
}
