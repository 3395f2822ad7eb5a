/** Catalogue M-OBS-09: annotations for clients without a tree. draft-ietf-mls-partial. */
import { describe, expect, test } from "vitest";
import { decode, encode, toHex } from "../../src/codec/index.ts";
import { decryptWithLabel } from "../../src/crypto/labels.ts";
import {
  AnnotatedCommit,
  AnnotatedWelcome,
  annotateCommit,
  annotateWelcome,
  MembershipProof,
  membershipProof,
  proveMember,
} from "../../src/drafts/index.ts";
import type { CommitOptions } from "../../src/group/create-commit.ts";
import { encodeContext, provisionalContext, type PublicEpoch } from "../../src/group/epoch.ts";
import { type ObservedCommit, PublicGroup } from "../../src/observer/index.ts";
import { derivePathKeys } from "../../src/tree/path-secrets.ts";
import {
  commonAncestor,
  directPath,
  leafIndex,
  level,
  nodeOfLeaf,
} from "../../src/tree/tree-math.ts";
import { testEnvironment } from "../support/environment.ts";
import { newClient, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const environment = testEnvironment();
const NAMES = ["a", "b", "c", "d", "e", "f", "g"];

interface Watched {
  readonly group: TestGroup;
  readonly server: PublicGroup;
}

async function watched(suite = 1, names: readonly string[] = NAMES): Promise<Watched> {
  const group = await TestGroup.of(names, { environment, suite });
  const groupInfo = await group.groupInfo("a");
  const { group: server } = await PublicGroup.start(provider, { groupInfo }, environment);
  return { group, server };
}

/** A Commit as the server sees it, and the private keys that members had before. */
async function followed({ group, server }: Watched, name: string, options: Partial<CommitOptions>) {
  const keys = new Map<number, ReadonlyMap<number, Uint8Array>>();
  for (const { epoch } of group.members) {
    const own = [...epoch.privateKeys].map(([node, key]) => [node, key.bytes.slice()] as const);
    keys.set(epoch.ownLeaf, new Map(own));
  }
  const before = server.publicEpoch;
  const { commit } = await group.commit(name, options);
  const observed = await server.process(commit, environment);
  if (observed.type !== "commit") throw new Error("a Commit was expected");
  return { before, commit, observed, keys };
}

function treeHashOf({ crypto }: PublicEpoch, proof: MembershipProof): string {
  return toHex(proveMember(crypto, proof).treeHash);
}

/** Steps 1 to 3 of a client without a tree, as far as the annotation matters to them. */
async function follow(
  before: PublicEpoch,
  annotated: AnnotatedCommit,
  extensions: ObservedCommit["epoch"]["context"]["extensions"],
  keys: ReadonlyMap<number, Uint8Array>,
): Promise<void> {
  const { senderMembershipProof, treeHashAfter, resolutionIndex, commit } = annotated;
  const { senderMembershipProofAfter: sender, receiverMembershipProofAfter: receiver } = annotated;
  if (senderMembershipProof !== undefined) {
    expect(treeHashOf(before, senderMembershipProof)).toBe(toHex(before.context.treeHash));
  }
  for (const proof of [sender, receiver]) {
    expect(treeHashOf(before, proof)).toBe(toHex(treeHashAfter));
  }
  if (commit.wireFormat !== "publicMessage") throw new Error("a PublicMessage was expected");
  const { content } = commit.message.content;
  if (content.contentType !== "commit") throw new Error("a Commit was expected");
  expect(content.commit.path === undefined).toBe(resolutionIndex === undefined);
  if (content.commit.path === undefined || resolutionIndex === undefined) return;

  const overlap = commonAncestor(leafIndex(sender.leafIndex), leafIndex(receiver.leafIndex));
  const height = level(overlap);
  const updatePathIndex = sender.directPathNodes
    .slice(1, height)
    .filter((node) => node !== undefined).length;
  const sealed = content.commit.path.nodes[updatePathIndex]?.encryptedPathSecret[resolutionIndex];
  const own = nodeOfLeaf(leafIndex(receiver.leafIndex));
  const below = [own, ...directPath(own, receiver.leafCount)].slice(0, height).reverse();
  // The next node under it that is not blank, and of which the receiver is not an unmerged leaf.
  const held = below.find(
    (node) => receiver.directPathNodes[level(node)] !== undefined && keys.has(node),
  );
  if (sealed === undefined || held === undefined) throw new Error("there is no ciphertext or key");
  const context = provisionalContext(before, { treeHash: treeHashAfter, extensions });
  const pathSecret = await decryptWithLabel(
    before.crypto,
    keys.get(held)!,
    "UpdatePathNode",
    encodeContext(context),
    sealed,
  );
  const { keyPairs } = await derivePathKeys(before.crypto, pathSecret, 1);
  const node = receiver.directPathNodes[height];
  if (node?.type !== "parent") throw new Error("the path's node is not in the proof");
  expect(keyPairs[0]?.publicKey).toEqual(node.parent.encryptionKey);
}

/** What every member but the committer makes of its annotation. */
async function checkAll(
  { before, commit, observed, keys }: Awaited<ReturnType<typeof followed>>,
  receivers: readonly number[],
): Promise<void> {
  for (const receiver of receivers) {
    const made = annotateCommit(before, { commit, observed, receiver });
    const annotated = decode(AnnotatedCommit, encode(AnnotatedCommit, made));
    expect(annotated).toEqual(made);
    expect(annotated.receiverMembershipProofAfter.leafIndex).toBe(receiver);
    await follow(before, annotated, observed.epoch.context.extensions, keys.get(receiver)!);
  }
}

describe.each([1, 2, 7])("suite %i", (suite) => {
  test("M-OBS-09: every member is proved by its path and the hashes beside it, and nobody else", async () => {
    const { group, server } = await watched(suite);
    const proposals = [2, 5].map((removed) => ({ type: "remove", removed }) as const);
    await server.process((await group.commit("a", { proposals })).commit, environment);
    const { crypto, tree, context } = server.publicEpoch;
    for (const [index, leaf] of tree.members()) {
      const proof = membershipProof(tree, index);
      expect(proof).toMatchObject({ leafIndex: index, leafCount: 8 });
      expect([proof.directPathNodes.length, proof.copathHashes.length]).toEqual([4, 3]);
      const read = decode(MembershipProof, encode(MembershipProof, proof));
      expect(proveMember(crypto, read)).toEqual({ leaf, treeHash: context.treeHash });
      const forged = { ...proof, leafIndex: index ^ 1 };
      expect(proveMember(crypto, forged).treeHash).not.toEqual(context.treeHash);
    }
    const proof = membershipProof(tree, 0);
    for (const wrong of [
      { ...proof, leafCount: 6 },
      { ...proof, leafIndex: 8 },
      { ...proof, copathHashes: proof.copathHashes.slice(1) },
      { ...proof, directPathNodes: proof.directPathNodes.slice(1) },
      { ...proof, directPathNodes: [undefined, ...proof.directPathNodes.slice(1)] },
    ]) {
      expect(() => proveMember(crypto, wrong)).toThrow(
        expect.objectContaining({ code: "MALFORMED" }) as Error,
      );
    }
    for (const absent of [2, 7, 8, -1, 0.5]) {
      expect(() => membershipProof(tree, absent)).toThrow(
        expect.objectContaining({ code: "UNKNOWN_MEMBER" }) as Error,
      );
    }
  });
});

describe("M-OBS-09: Commits are annotated for members without a tree", () => {
  test("M-OBS-09: paths through a full tree, a tree with blanks, and one with unmerged leaves", async () => {
    const world = await watched();
    await checkAll(await followed(world, "d", { forcePath: true }), [0, 1, 2, 4, 5, 6]);
    await checkAll(await followed(world, "g", { forcePath: true }), [0, 1, 2, 3, 4, 5]);
    const remove = [{ type: "remove", removed: 2 } as const];
    await checkAll(await followed(world, "a", { proposals: remove }), [1, 3, 4, 5, 6]);
    // Two join without a path, and are unmerged below the nodes above them.
    const joiners = new Map([
      ["h", await newClient("h")],
      ["i", await newClient("i")],
    ]);
    const before = world.server.publicEpoch;
    const added = await world.group.add("b", joiners, { forcePath: false });
    const observed = await world.server.process(added.commit, environment);
    if (observed.type !== "commit") throw new Error("a Commit was expected");
    const { commit } = added;
    const withoutPath = annotateCommit(before, { commit, observed, receiver: 0 });
    expect(withoutPath.resolutionIndex).toBeUndefined();
    for (const receiver of [1, 2, 9]) {
      expect(() => annotateCommit(before, { commit, observed, receiver })).toThrow(
        expect.objectContaining({ code: "UNKNOWN_MEMBER" }) as Error,
      );
    }
    const leaves = world.group.members.map(({ epoch }) => epoch.ownLeaf);
    const committer = world.group.party("e").epoch.ownLeaf;
    const others = leaves.filter((leaf) => leaf !== committer);
    await checkAll(await followed(world, "e", { forcePath: true }), others);
  });

  test("M-OBS-09: an external commit has no proof of its sender in the epoch before", async () => {
    const world = await watched();
    const keys = new Map(
      world.group.members.map(({ epoch }) => [
        epoch.ownLeaf as number,
        new Map([...epoch.privateKeys].map(([node, key]) => [node, key.bytes.slice()] as const)),
      ]),
    );
    const before = world.server.publicEpoch;
    const { commit } = await world.group.externalJoin("h", await newClient("h"));
    const observed = await world.server.process(commit, environment);
    if (observed.type !== "commit") throw new Error("a Commit was expected");
    const annotated = annotateCommit(before, { commit, observed, receiver: 3 });
    expect(annotated.senderMembershipProof).toBeUndefined();
    expect(annotated.senderMembershipProofAfter.leafIndex).toBe(7);
    await checkAll({ before, commit, observed, keys }, [0, 1, 2, 3, 4, 5, 6]);
  });

  test("M-OBS-09: a Commit with joiners and a path encrypts nothing to the joiners", async () => {
    const world = await watched();
    const bundle = await newClient("h");
    const before = world.server.publicEpoch;
    const keys = new Map(
      world.group.members.map(({ epoch }) => [
        epoch.ownLeaf as number,
        new Map([...epoch.privateKeys].map(([node, key]) => [node, key.bytes.slice()] as const)),
      ]),
    );
    const made = await world.group.add("a", new Map([["h", bundle]]), { forcePath: true });
    const observed = await world.server.process(made.commit, environment);
    if (observed.type !== "commit") throw new Error("a Commit was expected");
    const commit = made.commit;
    await checkAll({ before, commit, observed, keys }, [1, 2, 3, 4, 5, 6]);

    // And the joiner gets an annotated Welcome.
    const { tree, context, crypto } = observed.epoch;
    const annotated = annotateWelcome(observed.epoch, {
      welcome: made.welcomes[0]!.bytes,
      sender: observed.summary.committer,
      joiner: 7,
    });
    const read = decode(AnnotatedWelcome, encode(AnnotatedWelcome, annotated));
    expect(read).toEqual(annotated);
    const joiner = proveMember(crypto, read.joinerMembershipProof);
    expect(joiner.leaf.encryptionKey).toEqual(bundle.keyPackage.leafNode.encryptionKey);
    expect(joiner.treeHash).toEqual(context.treeHash);
    const sender = proveMember(crypto, read.welcome.senderMembershipProof);
    expect(sender).toEqual({ leaf: tree.leaf(leafIndex(0)), treeHash: context.treeHash });
    expect(() =>
      annotateWelcome(observed.epoch, { welcome: commit, sender: 0, joiner: 7 }),
    ).toThrow(expect.objectContaining({ code: "NOT_A_WELCOME" }) as Error);
  });
});
