/**
 * Signatures inside proposals that were found good when the proposal arrived, or that we made: a
 * Commit that names the proposal need not verify them again. RFC 9420 §7.3, §10.1.
 *
 * Remembered by the identity of the decoded object, together with what else the signature covers, and
 * for as long as somebody keeps that object. What is read from a store is verified again.
 */
import { equalBytes } from "../codec/index.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { LeafBinding } from "../tree/leaf-node.ts";
import type { LeafNode } from "../tree/nodes.ts";

const keyPackages = new WeakSet<KeyPackage>();
const leaves = new WeakMap<LeafNode, LeafBinding>();

export function rememberKeyPackage(keyPackage: KeyPackage): void {
  keyPackages.add(keyPackage);
}

export function isVerifiedKeyPackage(keyPackage: KeyPackage): boolean {
  return keyPackages.has(keyPackage);
}

export function rememberLeaf(leaf: LeafNode, binding: LeafBinding): void {
  leaves.set(leaf, binding);
}

/** The same leaf in another place or another group has not been verified. */
export function isVerifiedLeaf(leaf: LeafNode, { groupId, leafIndex }: LeafBinding): boolean {
  const known = leaves.get(leaf);
  return known?.leafIndex === leafIndex && equalBytes(known.groupId, groupId);
}
