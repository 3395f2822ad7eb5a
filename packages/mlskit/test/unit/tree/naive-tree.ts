/** The tree of RFC 9420 as the text describes it, slow and obvious, to compare with. */
import { concat, encode, Writer } from "../../../src/codec/index.ts";
import type { SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { type LeafNode, ParentNode, type TreeNode } from "../../../src/tree/nodes.ts";

/** An array of nodes, of length 2^(d+1) - 1. */
export class NaiveTree {
  nodes: (TreeNode | undefined)[];

  constructor(nodes: readonly (TreeNode | undefined)[]) {
    this.nodes = [...nodes];
    while (!isFull(this.nodes.length)) this.nodes.push(undefined);
  }

  get leafCount(): number {
    return (this.nodes.length + 1) / 2;
  }

  /** Appendix C, by search instead of bit arithmetic. */
  children(node: number): [number, number] | undefined {
    if (node % 2 === 0) return undefined;
    let step = 1;
    while ((node + 1) % (4 * step) === 0) step *= 2;
    return [node - step, node + step];
  }

  parent(node: number): number | undefined {
    return this.nodes.findIndex((_, up) => this.children(up)?.includes(node) === true) === -1
      ? undefined
      : this.nodes.findIndex((_, up) => this.children(up)?.includes(node) === true);
  }

  directPath(node: number): number[] {
    const up = this.parent(node);
    return up === undefined ? [] : [up, ...this.directPath(up)];
  }

  resolution(node: number, excluded: ReadonlySet<number> = new Set()): number[] {
    const content = this.nodes[node];
    if (content?.type === "leaf") return excluded.has(node / 2) ? [] : [node];
    if (content?.type === "parent") {
      const unmerged = content.parent.unmergedLeaves.filter((leaf) => !excluded.has(leaf));
      return [node, ...unmerged.map((leaf) => 2 * leaf)];
    }
    const children = this.children(node) ?? [];
    return children.flatMap((child) => this.resolution(child, excluded));
  }

  filteredDirectPath(leaf: number): { node: number; copathChild: number }[] {
    const path: { node: number; copathChild: number }[] = [];
    let below = 2 * leaf;
    for (const node of this.directPath(below)) {
      const copathChild = this.children(node)?.find((child) => child !== below) ?? -1;
      if (this.resolution(copathChild).length > 0) path.push({ node, copathChild });
      below = node;
    }
    return path;
  }

  add(leaf: LeafNode): number {
    let index = 0;
    while (index < this.leafCount && this.nodes[2 * index] !== undefined) index++;
    if (index === this.leafCount) {
      const half = this.nodes.length + 1;
      for (let i = 0; i < half; i++) this.nodes.push(undefined);
    }
    this.nodes[2 * index] = { type: "leaf", leaf };
    for (const up of this.directPath(2 * index)) {
      const node = this.nodes[up];
      if (node?.type !== "parent") continue;
      const unmergedLeaves = [...node.parent.unmergedLeaves, index].sort((a, b) => a - b);
      this.nodes[up] = { type: "parent", parent: { ...node.parent, unmergedLeaves } };
    }
    return index;
  }

  update(index: number, leaf: LeafNode): void {
    this.nodes[2 * index] = { type: "leaf", leaf };
    for (const up of this.directPath(2 * index)) this.nodes[up] = undefined;
  }

  remove(index: number): void {
    this.nodes[2 * index] = undefined;
    for (const up of this.directPath(2 * index)) this.nodes[up] = undefined;
    while (this.nodes.length > 1) {
      const middle = (this.nodes.length - 1) / 2;
      if (this.nodes.slice(middle + 1).some((node) => node !== undefined)) break;
      this.nodes.length = middle;
    }
  }

  treeHash(crypto: SuiteCrypto, node: number = (this.nodes.length - 1) / 2): Uint8Array {
    const content = this.nodes[node];
    const writer = new Writer();
    const children = this.children(node);
    writer.uint8(children === undefined ? 1 : 2);
    if (children === undefined) {
      writer.uint32(node / 2);
      writer.uint8(content === undefined ? 0 : 1);
      return crypto.hash(
        concat(writer.finish(), content?.type === "leaf" ? content.leaf.encoded : new Uint8Array()),
      );
    }
    writer.uint8(content === undefined ? 0 : 1);
    if (content?.type === "parent") writer.bytes(encode(ParentNode, content.parent));
    for (const child of children) writer.opaque(this.treeHash(crypto, child));
    return crypto.hash(writer.finish());
  }
}

function isFull(length: number): boolean {
  return Number.isInteger(Math.log2(length + 1));
}
