/** treekem: update paths, processed and made. RFC 9420 §7.4–7.6. */
import { decode, encode } from "../../../src/codec/index.ts";
import { createSigner, type Secret, type SuiteCrypto } from "../../../src/crypto/index.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { verifyJob } from "../../../src/tree/leaf-node.ts";
import { UpdatePath } from "../../../src/tree/nodes.ts";
import { derivePathKeys } from "../../../src/tree/path-secrets.ts";
import type { PrivateKeys } from "../../../src/tree/private-keys.ts";
import { RatchetTree } from "../../../src/tree/ratchet-tree.ts";
import { verifySignatures } from "../../../src/tree/signature-batch.ts";
import { leafIndex, nodeIndex } from "../../../src/tree/tree-math.ts";
import {
  createUpdatePath,
  decryptUpdatePath,
  mergeUpdatePath,
} from "../../../src/tree/update-path.ts";
import type { Checks } from "../checks.ts";
import { expected, type Format, suiteOf } from "../format.ts";
import type { Value } from "../value.ts";
import { checkKemKey, checkSignatureKey } from "./keys.ts";

const KEYS = [
  "cipher_suite",
  "group_id",
  "epoch",
  "confirmed_transcript_hash",
  "ratchet_tree",
  "leaves_private",
  "update_paths",
] as const;
const PATH_KEYS = [
  "sender",
  "update_path",
  "path_secrets",
  "commit_secret",
  "tree_hash_after",
] as const;
const NOBODY: ReadonlySet<number> = new Set();

export const treekem: Format = {
  type: "treekem",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const tree = RatchetTree.decode(crypto, fields.ratchet_tree.hex());
    const groupId = fields.group_id.hex();
    const group: Group = {
      crypto,
      tree,
      groupId,
      checks: run.checks,
      members: new Map(),
      contextBytes: (treeHash) =>
        encode(GroupContext, {
          version: 1,
          cipherSuite: crypto.suite.id,
          groupId,
          epoch: fields.epoch.uint64(),
          treeHash,
          confirmedTranscriptHash: fields.confirmed_transcript_hash.hex(),
          extensions: [],
        }),
    };
    for (const entry of fields.leaves_private.list()) await loadMember(group, entry);
    for (const [index] of tree.members()) {
      if (!group.members.has(index)) throw value.error(`the keys of leaf ${index} are missing`);
    }
    for (const entry of fields.update_paths.list()) await checkPath(group, entry);
  },
  controls: [
    ...expected(
      "update_paths.*.path_secrets.*",
      "update_paths.*.commit_secret",
      "update_paths.*.tree_hash_after",
    ),
    { kind: "ciphertext", path: "update_paths.*.update_path", at: "last", caughtBy: ["mk-75"] },
    { kind: "update path", path: "update_paths.*.update_path" },
    { kind: "private key", path: "leaves_private.*.encryption_priv" },
    { kind: "private key", path: "leaves_private.*.signature_priv" },
    {
      kind: "path secret",
      path: "leaves_private.*.path_secrets.*.path_secret",
      caughtBy: ["private keys"],
    },
    { kind: "tree node", path: "ratchet_tree" },
    { kind: "context", path: "confirmed_transcript_hash", caughtBy: ["mk-75"] },
  ],
};

interface Member {
  readonly privateKeys: PrivateKeys;
  readonly signaturePrivateKey: Uint8Array;
}

interface Group {
  readonly crypto: SuiteCrypto;
  readonly tree: RatchetTree;
  readonly groupId: Uint8Array;
  readonly checks: Checks;
  readonly members: Map<number, Member>;
  contextBytes(treeHash: Uint8Array): Uint8Array;
}

/** The private state of a leaf, each key of which must belong to the tree. */
async function loadMember({ crypto, tree, checks, members }: Group, entry: Value): Promise<void> {
  const fields = entry.object("index", "encryption_priv", "signature_priv", "path_secrets");
  const index = fields.index.integer();
  const leaf = tree.leaf(leafIndex(index));
  if (leaf === undefined) throw fields.index.error("the leaf is blank");
  const signaturePrivateKey = fields.signature_priv.hex();
  await checkSignatureKey(crypto, checks, signaturePrivateKey, leaf.signatureKey);
  const own = await checkKemKey(crypto, checks, fields.encryption_priv.hex(), leaf.encryptionKey);
  const privateKeys = new Map<number, Secret>([[2 * index, own]]);
  for (const item of fields.path_secrets.list()) {
    const { node, path_secret: secret } = item.object("node", "path_secret");
    const parent = tree.parent(nodeIndex(node.integer()));
    if (parent === undefined) throw node.error("the node is blank");
    const { keyPairs } = await derivePathKeys(crypto, secret.hex(), 1);
    const keyPair = keyPairs[0];
    if (keyPair === undefined) throw secret.error("no key follows");
    checks.bytes("private keys", keyPair.publicKey, parent.encryptionKey);
    privateKeys.set(node.integer(), keyPair.privateKey);
    checks.that("given path secrets", true, "");
  }
  members.set(index, { privateKeys, signaturePrivateKey });
  checks.that("private states", true, "");
}

async function checkPath(group: Group, entry: Value): Promise<void> {
  const { crypto, tree, checks, members } = group;
  const fields = entry.object(...PATH_KEYS);
  const sender = fields.sender.integer();
  const updatePath = decode(UpdatePath, fields.update_path.hex());
  checks.bytes("encodings", encode(UpdatePath, updatePath), fields.update_path.hex());
  const commitSecret = fields.commit_secret.hex();
  const binding = { groupId: group.groupId, leafIndex: leafIndex(sender) };
  await verifySignatures(crypto, [verifyJob(updatePath.leafNode, binding)]);
  const merged = await merge(group, sender, updatePath);
  checks.bytes("tree hashes", merged.treeHash(), fields.tree_hash_after.hex());
  const listed = fields.path_secrets.list();
  if (listed.length > tree.leafCount) throw fields.path_secrets.error("there are too many");
  for (let receiver = 0; receiver < tree.leafCount; receiver++) {
    const expectedSecret = listed[receiver]?.hexOrNull();
    const isReceiver = receiver !== sender && members.has(receiver);
    if (isReceiver !== (expectedSecret !== undefined)) {
      throw fields.path_secrets.error(`leaf ${receiver} does not fit the tree`);
    }
    if (expectedSecret === undefined) continue;
    const found = await receive(group, sender, receiver, updatePath, merged);
    checks.bytes("path secrets", found.pathSecret.bytes, expectedSecret);
    checks.bytes("commit secrets", found.commitSecret.bytes, commitSecret);
  }
  checks.that("update paths", true, "");
  await checkOwnPath(group, sender);
}

/** The other direction: a path that we make, for all others. */
async function checkOwnPath(group: Group, sender: number): Promise<void> {
  const { crypto, tree, checks, members, groupId } = group;
  const leaf = tree.leaf(leafIndex(sender));
  const own = members.get(sender);
  if (leaf === undefined || own === undefined) throw new Error("the sender is no member");
  const created = await createUpdatePath({
    tree,
    sender: leafIndex(sender),
    leaf,
    signer: createSigner(crypto, {
      publicKey: leaf.signatureKey,
      privateKey: own.signaturePrivateKey,
    }),
    groupId,
    excludedLeaves: NOBODY,
    groupContextBytes: group.contextBytes,
  });
  const sent = decode(UpdatePath, encode(UpdatePath, created.updatePath));
  const binding = { groupId, leafIndex: leafIndex(sender) };
  await verifySignatures(crypto, [verifyJob(sent.leafNode, binding)]);
  const merged = await merge(group, sender, sent);
  checks.bytes("own tree hashes", merged.treeHash(), created.tree.treeHash());
  for (const receiver of members.keys()) {
    if (receiver === sender) continue;
    const found = await receive(group, sender, receiver, sent, merged);
    checks.bytes("own path receivers", found.commitSecret.bytes, created.commitSecret.bytes);
  }
  checks.that("own update paths", true, "");
}

async function merge(
  { tree }: Group,
  sender: number,
  updatePath: UpdatePath,
): Promise<RatchetTree> {
  const options = { tree, sender: leafIndex(sender), updatePath, excludedLeaves: NOBODY };
  return (await mergeUpdatePath(options)).tree;
}

function receive(
  group: Group,
  sender: number,
  receiver: number,
  updatePath: UpdatePath,
  merged: RatchetTree,
): ReturnType<typeof decryptUpdatePath> {
  return decryptUpdatePath({
    tree: merged,
    treeBefore: group.tree,
    path: group.tree.filteredDirectPath(leafIndex(sender)),
    updatePath,
    ownLeaf: leafIndex(receiver),
    privateKeys: group.members.get(receiver)?.privateKeys ?? new Map(),
    excludedLeaves: NOBODY,
    groupContextBytes: group.contextBytes(merged.treeHash()),
  });
}
