/** A tree that grows by the operations of a group, with every member's private state. RFC 9420 §7. */
import { Secret } from "../../../src/crypto/index.ts";
import type { LeafNode } from "../../../src/tree/nodes.ts";
import { derivePathKeys } from "../../../src/tree/path-secrets.ts";
import type { PrivateKeys } from "../../../src/tree/private-keys.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { directPath, leafIndex, nodeOfLeaf } from "../../../src/tree/tree-math.ts";
import { type CreatedUpdatePath, createUpdatePath } from "../../../src/tree/update-path.ts";
import { makePerson, type Person } from "./people.ts";
import type { Source } from "./random.ts";

export class TreeBuilder {
  readonly source: Source;
  readonly groupId: Uint8Array;
  readonly #people = new Map<number, Person>();
  readonly #leafKeys = new Map<number, Secret>();
  /** Path secrets by node. All members below know them, but those that are unmerged. */
  readonly #pathSecrets = new Map<number, Uint8Array>();
  #tree: RatchetTree;

  private constructor(source: Source, founder: Person) {
    this.source = source;
    this.groupId = source.random(16);
    this.#tree = RatchetTree.ofLeaf(source.crypto, founder.keyPackage.leafNode);
    this.#people.set(0, founder);
    this.#leafKeys.set(0, founder.encryptionKey);
  }

  /** Members added one by one, each by the one before. */
  static async ofSize(source: Source, size: number): Promise<TreeBuilder> {
    const group = new TreeBuilder(source, await makePerson(source, "member 0"));
    for (let i = 1; i < size; i++) {
      await group.add(await makePerson(source, `member ${i}`));
      await group.commitAs(i - 1);
    }
    return group;
  }

  get tree(): RatchetTree {
    return this.#tree;
  }

  async add(person: Person): Promise<void> {
    const editor = this.#tree.edit();
    const index = editor.addLeaf(person.keyPackage.leafNode);
    this.#tree = editor.finish();
    this.#people.set(index, person);
    this.#leafKeys.set(index, person.encryptionKey);
  }

  remove(index: number): void {
    const editor = this.#tree.edit();
    editor.removeLeaf(leafIndex(index));
    this.#tree = editor.finish();
  }

  replace(index: number, leaf: LeafNode): void {
    const editor = this.#tree.edit();
    editor.updateLeaf(leafIndex(index), leaf);
    this.#tree = editor.finish();
  }

  /** A path by this member, for the group as it is. */
  pathAs(
    index: number,
    contextBytes: (treeHash: Uint8Array) => Uint8Array,
  ): Promise<CreatedUpdatePath> {
    const person = this.person(index);
    return createUpdatePath({
      tree: this.#tree,
      sender: leafIndex(index),
      leaf: person.keyPackage.leafNode,
      signer: person.signer,
      groupId: this.groupId,
      excludedLeaves: new Set(),
      groupContextBytes: contextBytes,
    });
  }

  /** The path becomes part of the tree. */
  async commitAs(index: number): Promise<void> {
    const made = await this.pathAs(index, (treeHash) => treeHash);
    this.#tree = made.tree;
    this.#leafKeys.set(index, made.leafPrivateKey);
    for (const [node, secret] of made.pathSecrets) this.#pathSecrets.set(node, secret.bytes);
  }

  person(index: number): Person {
    const person = this.#people.get(index);
    if (person === undefined) throw new Error(`nobody is at leaf ${index}`);
    return person;
  }

  leafKey(index: number): Secret {
    const key = this.#leafKeys.get(index);
    if (key === undefined) throw new Error(`nobody is at leaf ${index}`);
    return key;
  }

  /** By node, for the nodes above the leaf that it was told of. */
  pathSecretsOf(index: number): (readonly [number, Uint8Array])[] {
    const known: (readonly [number, Uint8Array])[] = [];
    for (const node of directPath(nodeOfLeaf(leafIndex(index)), this.#tree.leafCount)) {
      const parent = this.#tree.parent(node);
      const secret = this.#pathSecrets.get(node);
      if (parent === undefined || secret === undefined) continue;
      if (!parent.unmergedLeaves.includes(index)) known.push([node, secret]);
    }
    return known;
  }

  async privateKeysOf(index: number): Promise<PrivateKeys> {
    const keys = new Map<number, Secret>([[2 * index, this.leafKey(index)]]);
    for (const [node, secret] of this.pathSecretsOf(index)) {
      const { keyPairs } = await derivePathKeys(this.source.crypto, secret, 1);
      if (keyPairs[0] !== undefined) keys.set(node, keyPairs[0].privateKey);
    }
    return keys;
  }
}
