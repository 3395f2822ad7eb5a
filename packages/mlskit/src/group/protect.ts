/** Wrapping a member's content for the wire. RFC 9420 §6.2, §6.3. */
import { UsageError } from "../errors.ts";
import type { AuthenticatedContent } from "../framing/authenticated-content.ts";
import type { MlsMessage } from "../framing/mls-message.ts";
import type { PaddingPolicy } from "../framing/padding.ts";
import { protectPrivate } from "../framing/private-message.ts";
import { protectPublic } from "../framing/public-message.ts";
import { eraseMessageKey } from "../secret-tree/hash-ratchet.ts";
import type { SecretTreeChange } from "../secret-tree/secret-tree.ts";
import type { Epoch } from "./epoch.ts";

export interface ProtectedContent {
  readonly message: MlsMessage;
  /** What using a key changes. To be durable before the message leaves, and applied. */
  readonly change: SecretTreeChange | undefined;
  readonly generation: number | undefined;
}

/** In the wire format that the content was signed for. */
export function protectContent(
  epoch: Epoch,
  authenticated: AuthenticatedContent,
  padding: PaddingPolicy,
): ProtectedContent {
  const { crypto, secrets, secretTree, ownLeaf } = epoch;
  const { sender } = authenticated.content;
  if (sender.type !== "member" || sender.leafIndex !== ownLeaf) {
    throw new UsageError("INVALID_SENDER", "a member sends in its own name only", {
      rule: "valn1305",
    });
  }
  if (authenticated.wireFormat === "publicMessage") {
    const membership = { membershipKey: secrets.membershipKey, groupContext: epoch.contextBytes };
    const message = protectPublic(crypto, authenticated, membership);
    return {
      message: { wireFormat: "publicMessage", message },
      change: undefined,
      generation: undefined,
    };
  }
  const isApplication = authenticated.content.content.contentType === "application";
  const kind = isApplication ? "application" : "handshake";
  const { messageKey, change } = secretTree.prepareSend(ownLeaf, kind);
  const message = protectPrivate(
    crypto,
    authenticated,
    messageKey,
    secrets.senderDataSecret,
    padding,
  );
  eraseMessageKey(messageKey);
  const { generation } = messageKey;
  return { message: { wireFormat: "privateMessage", message }, change, generation };
}
