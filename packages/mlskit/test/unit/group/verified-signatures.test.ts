import { describe, expect, test } from "vitest";
import {
  isVerifiedKeyPackage,
  isVerifiedLeaf,
  rememberKeyPackage,
  rememberLeaf,
} from "../../../src/group/verified-signatures.ts";
import { leafIndex } from "../../../src/tree/tree-math.ts";
import { newClient } from "../../support/parties.ts";

describe("a signature that was verified", () => {
  const binding = { groupId: new Uint8Array([1, 2]), leafIndex: leafIndex(3) };

  test("counts for this leaf in this place of this group only", async () => {
    const leaf = (await newClient("alice")).keyPackage.leafNode;
    expect(isVerifiedLeaf(leaf, binding)).toBe(false);
    rememberLeaf(leaf, binding);
    expect(isVerifiedLeaf(leaf, { ...binding, groupId: new Uint8Array([1, 2]) })).toBe(true);
    expect(isVerifiedLeaf(leaf, { ...binding, leafIndex: leafIndex(4) })).toBe(false);
    expect(isVerifiedLeaf(leaf, { ...binding, groupId: new Uint8Array([1, 3]) })).toBe(false);
    expect(isVerifiedLeaf({ ...leaf }, binding)).toBe(false);
  });

  test("counts for this key package and no copy of it", async () => {
    const { keyPackage } = await newClient("bob");
    expect(isVerifiedKeyPackage(keyPackage)).toBe(false);
    rememberKeyPackage(keyPackage);
    expect(isVerifiedKeyPackage(keyPackage)).toBe(true);
    expect(isVerifiedKeyPackage({ ...keyPackage })).toBe(false);
  });
});
