/** Generates tree-operations, tree-validation and treekem. */
import { encode, toHex } from "../../../src/codec/index.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { Proposal } from "../../../src/messages/proposal.ts";
import { signLeafNode } from "../../../src/tree/leaf-node.ts";
import { UpdatePath } from "../../../src/tree/nodes.ts";
import { leafIndex, nodeCount, nodeIndex } from "../../../src/tree/tree-math.ts";
import { decryptUpdatePath } from "../../../src/tree/update-path.ts";
import { makePerson } from "./people.ts";
import type { Source } from "./random.ts";
import { TreeBuilder } from "./tree-builder.ts";

/** Adds into a full tree and into a blank, an Update, Removes in the middle and at the end. */
export async function treeOperationsCases(source: Source): Promise<unknown[]> {
  const group = await TreeBuilder.ofSize(source, 4);
  await group.commitAs(1);
  const cases: unknown[] = [];
  const record = async (proposal: Proposal, sender: number, run: () => Promise<void>) => {
    const before = group.tree;
    await run();
    cases.push({
      cipher_suite: source.crypto.suite.id,
      tree_before: toHex(before.encode()),
      proposal: toHex(encode(Proposal, proposal)),
      proposal_sender: sender,
      tree_hash_before: toHex(before.treeHash()),
      tree_after: toHex(group.tree.encode()),
      tree_hash_after: toHex(group.tree.treeHash()),
    });
  };
  const joiner = await makePerson(source, "fifth");
  const fifth: Proposal = { type: "add", keyPackage: joiner.keyPackage };
  await record(fifth, 0, () => group.add(joiner));
  await group.commitAs(2);
  const update = await updateOf(group, 3);
  await record(update, 3, async () => group.replace(3, update.leafNode));
  await record({ type: "remove", removed: 1 }, 0, async () => group.remove(1));
  const other = await makePerson(source, "second");
  await record({ type: "add", keyPackage: other.keyPackage }, 2, () => group.add(other));
  await record({ type: "remove", removed: 4 }, 0, async () => group.remove(4));
  return cases;
}

/** One, two and six leaves; unmerged leaves; blanks inside and at the end. */
export async function treeValidationCases(source: Source): Promise<unknown[]> {
  const cases: unknown[] = [];
  for (const size of [2, 6]) {
    const group = await TreeBuilder.ofSize(source, size);
    cases.push(validationCase(group));
    if (size === 2) continue;
    await group.add(await makePerson(source, "unmerged"));
    cases.push(validationCase(group));
    group.remove(1);
    group.remove(2);
    await group.commitAs(0);
    group.remove(6);
    cases.push(validationCase(group));
  }
  return cases;
}

/** Two and three leaves; five with a blank and with an unmerged leaf. */
export async function treekemCases(source: Source): Promise<unknown[]> {
  const cases = [];
  for (const size of [2, 3, 5]) {
    const group = await TreeBuilder.ofSize(source, size);
    if (size === 5) {
      group.remove(1);
      await group.commitAs(2);
      await group.add(await makePerson(source, "unmerged"));
    }
    cases.push(await treekemCase(source, group, size === 5 ? [0, 1, 4] : [0, size - 1]));
  }
  return cases;
}

async function updateOf(group: TreeBuilder, index: number) {
  const { crypto } = group.source;
  const { publicKey } = await crypto.generateKeyPair();
  const person = group.person(index);
  const { credential, capabilities, extensions, signatureKey } = person.keyPackage.leafNode;
  const fields = { credential, capabilities, extensions, signatureKey, encryptionKey: publicKey };
  const leafNode = await signLeafNode(
    crypto,
    person.signer,
    { ...fields, origin: { source: "update" } },
    { groupId: group.groupId, leafIndex: leafIndex(index) },
  );
  return { type: "update", leafNode } as const;
}

function validationCase({ tree, groupId, source }: TreeBuilder): unknown {
  const nodes = [...new Array<undefined>(nodeCount(tree.leafCount)).keys()].map(nodeIndex);
  return {
    cipher_suite: source.crypto.suite.id,
    tree: toHex(tree.encode()),
    group_id: toHex(groupId),
    resolutions: nodes.map((node) => tree.resolution(node)),
    tree_hashes: nodes.map((node) => toHex(tree.nodeHash(node))),
  };
}

async function treekemCase(
  { crypto, random }: Source,
  group: TreeBuilder,
  senders: readonly number[],
): Promise<unknown> {
  const { tree, groupId } = group;
  const confirmedTranscriptHash = random(crypto.suite.kdf.size);
  const epoch = 5;
  const contextBytes = (treeHash: Uint8Array): Uint8Array =>
    encode(GroupContext, {
      version: 1,
      cipherSuite: crypto.suite.id,
      groupId,
      epoch: BigInt(epoch),
      treeHash,
      confirmedTranscriptHash,
      extensions: [],
    });
  const members = [...tree.members()].map(([index]) => index);
  const paths: unknown[] = [];
  for (const sender of senders) {
    const made = await group.pathAs(sender, contextBytes);
    const secrets: (string | null)[] = [];
    for (let receiver = 0; receiver < tree.leafCount; receiver++) {
      if (receiver === sender || !members.includes(leafIndex(receiver))) {
        secrets.push(null);
        continue;
      }
      const received = await decryptUpdatePath({
        tree: made.tree,
        treeBefore: tree,
        path: tree.filteredDirectPath(leafIndex(sender)),
        updatePath: made.updatePath,
        ownLeaf: leafIndex(receiver),
        privateKeys: await group.privateKeysOf(receiver),
        excludedLeaves: new Set(),
        groupContextBytes: contextBytes(made.tree.treeHash()),
      });
      secrets.push(toHex(received.pathSecret.bytes));
    }
    paths.push({
      sender,
      update_path: toHex(encode(UpdatePath, made.updatePath)),
      path_secrets: secrets,
      commit_secret: toHex(made.commitSecret.bytes),
      tree_hash_after: toHex(made.tree.treeHash()),
    });
  }
  return {
    cipher_suite: crypto.suite.id,
    group_id: toHex(groupId),
    epoch,
    confirmed_transcript_hash: toHex(confirmedTranscriptHash),
    ratchet_tree: toHex(tree.encode()),
    leaves_private: members.map((index) => ({
      index,
      encryption_priv: toHex(group.leafKey(index).bytes),
      signature_priv: toHex(group.person(index).signaturePrivateKey),
      path_secrets: group.pathSecretsOf(index).map(([node, secret]) => {
        return { node, path_secret: toHex(secret) };
      }),
    })),
    update_paths: paths,
  };
}
