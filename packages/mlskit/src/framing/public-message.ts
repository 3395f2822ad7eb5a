/** PublicMessage: content in the clear, tagged by members. RFC 9420 §6.2. */
import { equalSecrets, lendEncoding } from "../codec/index.ts";
import type { Secret, SuiteCrypto } from "../crypto/index.ts";
import { CryptoError, UsageError } from "../errors.ts";
import { violation } from "../rules.ts";
import { type AuthenticatedContent, writeFramedContentTbm } from "./authenticated-content.ts";
import type { PublicMessage } from "./mls-message.ts";

/** What a member needs to tag and check public messages of an epoch. */
export interface MembershipKey {
  readonly membershipKey: Secret;
  /** Encoded GroupContext of the epoch. */
  readonly groupContext: Uint8Array;
}

/** `membership` is left out for senders that are not members. */
export function protectPublic(
  crypto: SuiteCrypto,
  authenticated: AuthenticatedContent,
  membership: MembershipKey | undefined,
): PublicMessage {
  const { content, auth } = authenticated;
  if (content.content.contentType === "application") {
    throw new UsageError("INVALID_CONTENT", "application data is never sent as PublicMessage", {
      rule: "mk-28",
    });
  }
  const isMember = content.sender.type === "member";
  if (isMember !== (membership !== undefined)) {
    throw new UsageError("INVALID_SENDER", "a membership tag belongs to members and nobody else", {
      rule: "valn1302",
    });
  }
  const membershipTag =
    membership === undefined ? undefined : membershipTagOf(crypto, authenticated, membership);
  return { content, auth, membershipTag };
}

/**
 * The content of a PublicMessage whose membership tag, if the sender needs one, is right. The
 * signature is not checked yet. Observers pass no key, and the tag stays unchecked.
 */
export function unprotectPublic(
  crypto: SuiteCrypto,
  message: PublicMessage,
  membership: MembershipKey | undefined,
): AuthenticatedContent {
  const { content, auth, membershipTag } = message;
  if (content.content.contentType === "application") {
    throw violation("mk-28", "INVALID_MESSAGE", "application data came as PublicMessage");
  }
  const authenticated: AuthenticatedContent = { wireFormat: "publicMessage", content, auth };
  if (membershipTag !== undefined && membership !== undefined) {
    const expected = membershipTagOf(crypto, authenticated, membership);
    if (!equalSecrets(expected, membershipTag)) {
      throw new CryptoError("TAG_INVALID", "the membership tag is wrong", {
        rule: content.content.contentType === "commit" ? "valn1202" : "valn1302",
      });
    }
  }
  return authenticated;
}

function membershipTagOf(
  crypto: SuiteCrypto,
  authenticated: AuthenticatedContent,
  { membershipKey, groupContext }: MembershipKey,
): Uint8Array {
  return lendEncoding(
    (writer) => writeFramedContentTbm(writer, authenticated, groupContext),
    (tbm) => crypto.hmac(membershipKey.bytes, tbm),
  );
}
