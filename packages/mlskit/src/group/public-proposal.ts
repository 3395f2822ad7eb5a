/** Proposals in the clear, read from outside the group: no membership tag can be checked. */
import { leafIndex } from "../tree/tree-math.ts";
import { StateError } from "../errors.ts";
import { decodeMlsMessage, type PublicMessage } from "../framing/mls-message.ts";
import { checkGroupAndEpoch, OpenedContent, VerifiedContent } from "./content.ts";
import { type DecodingRules, type Environment, wireTypes } from "./environment.ts";
import type { PublicEpoch } from "./epoch.ts";
import { type CachedProposal, cacheKey } from "./proposal-entry.ts";
import { acceptProposal } from "./proposal-message.ts";
import { checkNotRepeated } from "./proposal-rules.ts";

/** Content of a PublicMessage with its signature verified, its membership tag not. RFC 9420 §6.2. */
export async function verifyPublicMessage(
  epoch: Pick<PublicEpoch, "crypto" | "context" | "contextBytes" | "tree">,
  message: PublicMessage,
  rules: DecodingRules,
): Promise<VerifiedContent> {
  const { crypto, context, contextBytes, tree } = epoch;
  checkGroupAndEpoch(message.content, context, message.content.content.contentType === "commit");
  const opened = OpenedContent.fromPublic(crypto, message, contextBytes, undefined);
  const signatureKey = (leaf: number): Uint8Array | undefined =>
    tree.leaf(leafIndex(leaf))?.signatureKey;
  const keys = { context, contextBytes, signatureKey };
  return VerifiedContent.verify(crypto, opened, keys, wireTypes(rules));
}

/**
 * Proposal messages of one epoch, for an external commit that carries them by reference or an
 * observer that was handed them.
 *
 * @throws StateError `NOT_A_PROPOSAL`, ValidationError, CryptoError, PolicyError
 */
export async function acceptPublicProposals(
  epoch: PublicEpoch,
  messages: readonly Uint8Array[],
  environment: Environment,
): Promise<readonly CachedProposal[]> {
  const accepted = new Map<string, CachedProposal>();
  for (const bytes of messages) {
    const message = decodeMlsMessage(bytes, wireTypes(environment));
    const isProposal =
      message.wireFormat === "publicMessage" &&
      message.message.content.content.contentType === "proposal";
    if (!isProposal) {
      throw new StateError("NOT_A_PROPOSAL", "the message is not a proposal in the clear");
    }
    const verified = await verifyPublicMessage(epoch, message.message, environment);
    const cached = await acceptProposal(epoch, verified, environment);
    checkNotRepeated(cached, accepted, environment.types);
    accepted.set(cacheKey(cached.reference), cached);
  }
  return [...accepted.values()];
}
