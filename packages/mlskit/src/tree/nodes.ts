/** The nodes of the ratchet tree as they travel. RFC 9420 §7.1, §7.2, §7.8. */
import {
  type Codec,
  captured,
  decode,
  decodeInPlace,
  type Encoded,
  opaque,
  optional,
  Reader,
  struct,
  type StructCodec,
  uint8,
  uint16,
  uint32,
  uint64,
  union,
  vector,
} from "../codec/index.ts";
import { Credential } from "../credentials/credential.ts";
import { type Extension, Extensions } from "../extensions/extension.ts";

/** What a client can process. RFC 9420 §7.2. */
export interface Capabilities {
  readonly versions: readonly number[];
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly number[];
  readonly proposals: readonly number[];
  readonly credentials: readonly number[];
}

export const Capabilities: Codec<Capabilities> = struct({
  versions: vector(uint16),
  cipherSuites: vector(uint16),
  extensions: vector(uint16),
  proposals: vector(uint16),
  credentials: vector(uint16),
});

/** Validity of a key package, in seconds since 1970, both bounds included. RFC 9420 §7.2. */
export interface Lifetime {
  readonly notBefore: bigint;
  readonly notAfter: bigint;
}

export const Lifetime: Codec<Lifetime> = struct({ notBefore: uint64, notAfter: uint64 });

/** Where a leaf node comes from, with what is specific to it. RFC 9420 §7.2. */
export type LeafNodeOrigin =
  | { readonly source: "keyPackage"; readonly lifetime: Lifetime }
  | { readonly source: "update" }
  | { readonly source: "commit"; readonly parentHash: Uint8Array };

export const LeafNodeOrigin: Codec<LeafNodeOrigin> = union<"source", LeafNodeOrigin>(
  "source",
  uint8,
  {
    keyPackage: [1, struct({ lifetime: Lifetime })],
    update: [2, struct<object>({})],
    commit: [3, struct({ parentHash: opaque })],
  },
);

/** The fields of a leaf node before it is encoded. */
export interface LeafNodeFields {
  readonly encryptionKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  readonly credential: Credential;
  readonly capabilities: Capabilities;
  readonly origin: LeafNodeOrigin;
  readonly extensions: readonly Extension[];
  /** Over LeafNodeTBS, see leaf-node.ts. */
  readonly signature: Uint8Array;
}

export interface LeafNode extends LeafNodeFields, Encoded {}

/** Field-wise codec, for building; {@link LeafNode} reads and writes whole values. */
export const LeafNodeFields: StructCodec<LeafNodeFields> = struct({
  encryptionKey: opaque,
  signatureKey: opaque,
  credential: Credential,
  capabilities: Capabilities,
  origin: LeafNodeOrigin,
  extensions: Extensions,
  signature: opaque,
});

export const LeafNode: Codec<LeafNode> = captured(LeafNodeFields);

/** A leaf that comes by a message and stays in the tree: as a view it would keep a long one in memory. */
const ArrivingLeafNode: Codec<LeafNode> = {
  ...LeafNode,
  read(reader) {
    const leaf = LeafNode.read(reader);
    if (leaf.encoded.buffer.byteLength < 4096) return leaf;
    return decode(LeafNode, leaf.encoded, "LeafNode", reader.types);
  },
};

/** RFC 9420 §7.1. `unmergedLeaves` holds leaf indices in increasing order. */
export interface ParentNode {
  readonly encryptionKey: Uint8Array;
  readonly parentHash: Uint8Array;
  readonly unmergedLeaves: readonly number[];
}

export const ParentNode: Codec<ParentNode> = struct({
  encryptionKey: opaque,
  parentHash: opaque,
  unmergedLeaves: vector(uint32),
});

/** RFC 9420 §7.8. */
export type TreeNode =
  | { readonly type: "leaf"; readonly leaf: LeafNode }
  | { readonly type: "parent"; readonly parent: ParentNode };

export const TreeNode: Codec<TreeNode> = union<"type", TreeNode>("type", uint8, {
  leaf: [1, struct({ leaf: LeafNode })],
  parent: [2, struct({ parent: ParentNode })],
});

/** `optional<Node> ratchet_tree<V>`. RFC 9420 §12.4.3.3. */
export const RatchetTreeNodes: Codec<readonly (TreeNode | undefined)[]> = vector(
  optional(TreeNode),
);

/** One ciphertext of an update path. RFC 9420 §7.6. */
export interface HpkeCiphertext {
  readonly kemOutput: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export const HpkeCiphertext: Codec<HpkeCiphertext> = struct({
  kemOutput: opaque,
  ciphertext: opaque,
});

export interface UpdatePathNode {
  readonly encryptionKey: Uint8Array;
  readonly encryptedPathSecret: readonly HpkeCiphertext[];
}

const Ciphertexts: Codec<readonly HpkeCiphertext[]> = vector(HpkeCiphertext);

/** Up to here, decoding a list of ciphertexts at once costs less than putting it off. */
const SHORT_LIST = 512;

interface Undecoded {
  readonly encoded: Uint8Array;
  readonly count: number;
}

/** Received ciphertexts, still encoded: a member needs one of them, a list may be for thousands. */
const undecoded = new WeakMap<UpdatePathNode, Undecoded>();

/** Reading checks that the ciphertexts are well-formed; of many, objects are made when asked for. */
export const UpdatePathNode: Codec<UpdatePathNode> = {
  write(writer, { encryptionKey, encryptedPathSecret }) {
    writer.opaque(encryptionKey);
    Ciphertexts.write(writer, encryptedPathSecret);
  },
  read(reader) {
    const encryptionKey = opaque.read(reader);
    const start = reader.offset;
    const list = reader.vector();
    if (list.remaining <= SHORT_LIST) {
      const encryptedPathSecret: HpkeCiphertext[] = [];
      while (list.remaining > 0) encryptedPathSecret.push(HpkeCiphertext.read(list));
      return { encryptionKey, encryptedPathSecret };
    }
    let count = 0;
    for (; list.remaining > 0; count++) skipCiphertext(list);
    const encoded = reader.since(start);
    let decoded: readonly HpkeCiphertext[] | undefined;
    const node: UpdatePathNode = {
      encryptionKey,
      get encryptedPathSecret() {
        return (decoded ??= decodeInPlace(Ciphertexts, encoded));
      },
    };
    undecoded.set(node, { encoded, count });
    return node;
  },
};

/** How many ciphertexts a node has. */
export function ciphertextCount(node: UpdatePathNode): number {
  return undecoded.get(node)?.count ?? node.encryptedPathSecret.length;
}

/** One ciphertext of a node, without decoding the others. */
export function ciphertextAt(node: UpdatePathNode, index: number): HpkeCiphertext | undefined {
  const received = undecoded.get(node);
  if (received === undefined) return node.encryptedPathSecret[index];
  const list = new Reader(received.encoded).vector();
  for (let i = 0; i < index && list.remaining > 0; i++) skipCiphertext(list);
  return list.remaining > 0 ? HpkeCiphertext.read(list) : undefined;
}

function skipCiphertext(reader: Reader): void {
  reader.skipVector();
  reader.skipVector();
}

export interface UpdatePath {
  readonly leafNode: LeafNode;
  readonly nodes: readonly UpdatePathNode[];
}

export const UpdatePath: Codec<UpdatePath> = struct({
  leafNode: ArrivingLeafNode,
  nodes: vector(UpdatePathNode),
});
