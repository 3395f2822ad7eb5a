/**
 * Decoded objects that keep the bytes they came from write those bytes again. To prove the encoders,
 * such objects are built anew from their fields, inside out, before they are encoded.
 */
import { type Codec, opaque, struct, uint32, withEncoding } from "../../../src/codec/index.ts";
import { type Extension, Extensions } from "../../../src/extensions/extension.ts";
import { type FramedContent, FramedContentFields } from "../../../src/framing/framed-content.ts";
import { type KeyPackage, KeyPackageFields } from "../../../src/key-packages/key-package.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { type LeafNode, LeafNodeFields } from "../../../src/tree/nodes.ts";
import { isObject } from "../value.ts";

interface GroupInfoFields {
  readonly groupContext: GroupContext;
  readonly extensions: readonly Extension[];
  readonly confirmationTag: Uint8Array;
  readonly signer: number;
  readonly signature: Uint8Array;
}

const GroupInfoFields: Codec<GroupInfoFields> = struct({
  groupContext: GroupContext,
  extensions: Extensions,
  confirmationTag: opaque,
  signer: uint32,
  signature: opaque,
});

/** The same value without any bytes taken over from its input. */
export function rebuild<T>(value: T): T {
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => rebuild(item)) as T;
  const fields = Object.entries(value).filter(([key]) => key !== "encoded");
  const rebuilt: unknown = Object.fromEntries(fields.map(([key, item]) => [key, rebuild(item)]));
  return ("encoded" in value ? encodedAnew(rebuilt) : rebuilt) as T;
}

function encodedAnew(value: unknown): unknown {
  if (!isObject(value)) throw new Error("an encoded value has fields");
  if ("initKey" in value) return withEncoding(KeyPackageFields, value as unknown as KeyPackage);
  if ("origin" in value) return withEncoding(LeafNodeFields, value as unknown as LeafNode);
  if ("groupContext" in value) {
    return withEncoding(GroupInfoFields, value as unknown as GroupInfoFields);
  }
  if ("sender" in value)
    return withEncoding(FramedContentFields, value as unknown as FramedContent);
  throw new Error("a type keeps its encoding that is not known here");
}
