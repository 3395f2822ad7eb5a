/** Looking into messages that nobody encrypted. */
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { Commit } from "../../src/messages/commit.ts";

/** The Commit inside a PublicMessage. */
export function commitIn(bytes: Uint8Array): Commit {
  const { message } = decodeMlsMessage(bytes);
  if (!("content" in message) || message.content.content.contentType !== "commit") {
    throw new Error("a Commit was expected");
  }
  return message.content.content.commit;
}
