/** The lifetimes in a file, from which follows when it was made. RFC 9420 §7.2. */
import { decode } from "../../../src/codec/index.ts";
import { decodeMlsMessage } from "../../../src/framing/mls-message.ts";
import type { KeyPackage } from "../../../src/key-packages/key-package.ts";
import type { Proposal } from "../../../src/messages/proposal.ts";
import { type LeafNode, type Lifetime, RatchetTreeNodes } from "../../../src/tree/nodes.ts";

/** Long after the lifetimes in any file have ended. */
export const FAR_FUTURE = 7_000_000_000n;

/** Those of the leaves that came by key packages. */
export function lifetimesOf(tree: Uint8Array): Lifetime[] {
  return decode(RatchetTreeNodes, tree).flatMap((node) => {
    return node?.type === "leaf" ? ofLeaf(node.leaf) : [];
  });
}

/** All that a joiner can see without following: its own, the tree's, and those of public Adds. */
export function lifetimesInSight(
  keyPackage: KeyPackage,
  tree: Uint8Array | undefined,
  messages: readonly Uint8Array[],
): Lifetime[] {
  return [
    ...ofLeaf(keyPackage.leafNode),
    ...(tree === undefined ? [] : lifetimesOf(tree)),
    ...messages.flatMap(addedBy).flatMap(ofLeaf),
  ];
}

function addedBy(bytes: Uint8Array): LeafNode[] {
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "publicMessage") return [];
  const { content } = message.message.content;
  switch (content.contentType) {
    case "proposal":
      return leafOf(content.proposal);
    case "commit":
      return content.commit.proposals.flatMap((item) => {
        return item.type === "proposal" ? leafOf(item.proposal) : [];
      });
    case "application":
      return [];
  }
}

function leafOf(proposal: Proposal): LeafNode[] {
  return proposal.type === "add" ? [proposal.keyPackage.leafNode] : [];
}

function ofLeaf({ origin }: LeafNode): Lifetime[] {
  return origin.source === "keyPackage" ? [origin.lifetime] : [];
}
