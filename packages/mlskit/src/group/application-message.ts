/** Sending application data. RFC 9420 §6.3, §15. */
import { signContent, authenticate } from "../framing/authenticated-content.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import type { PaddingPolicy } from "../framing/padding.ts";
import type { SecretTreeChange } from "../secret-tree/secret-tree.ts";
import type { Epoch } from "./epoch.ts";
import { protectContent } from "./protect.ts";

export interface ApplicationMessageOptions {
  readonly data: Uint8Array;
  /** Authenticated but not encrypted. */
  readonly authenticatedData: Uint8Array;
  readonly padding: PaddingPolicy;
}

export interface SentMessage {
  /** A complete MLSMessage. Not to be sent before `change` is durable. */
  readonly bytes: Uint8Array;
  readonly generation: number;
  readonly change: SecretTreeChange;
}

/** Encrypts with the next key of our own ratchet. The epoch does not change until `change` is applied. */
export async function protectApplicationData(
  epoch: Epoch,
  { data, authenticatedData, padding }: ApplicationMessageOptions,
): Promise<SentMessage> {
  const signed = await signContent(
    {
      groupId: epoch.context.groupId,
      epoch: epoch.context.epoch,
      sender: { type: "member", leafIndex: epoch.ownLeaf },
      authenticatedData,
      content: { contentType: "application", applicationData: data },
    },
    "privateMessage",
    epoch.contextBytes,
    epoch.signer,
  );
  const authenticated = authenticate(signed, undefined);
  const { message, change, generation } = protectContent(epoch, authenticated, padding);
  return {
    bytes: encodeMlsMessage(message),
    generation: generation ?? 0,
    change: change ?? { nodes: [], ratchets: [] },
  };
}
