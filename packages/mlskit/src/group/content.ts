/**
 * From a message to content whose author is known. RFC 9420 §6.
 *
 *   MlsMessage --open--> OpenedContent --verify--> VerifiedContent
 *
 * Each type is made only by the step before it, so that no step can be left out.
 */
import { equalBytes, type WireTypes } from "../codec/index.ts";
import type { Secret, SuiteCrypto } from "../crypto/index.ts";
import { CryptoError, MlsError, StateError } from "../errors.ts";
import { readExternalSenders } from "../extensions/extension.ts";
import type { AuthenticatedContent } from "../framing/authenticated-content.ts";
import { contentVerifyJob } from "../framing/authenticated-content.ts";
import type { Content, Sender } from "../framing/framed-content.ts";
import type { PrivateMessage, PublicMessage } from "../framing/mls-message.ts";
import { openContent, openSenderData } from "../framing/private-message.ts";
import { unprotectPublic } from "../framing/public-message.ts";
import type { GroupContext } from "../key-schedule/group-context.ts";
import { check, violation } from "../rules.ts";
import { eraseMessageKey, type RatchetKind } from "../secret-tree/hash-ratchet.ts";
import type { SecretTree, SecretTreeChange, SecretTreeLimits } from "../secret-tree/secret-tree.ts";

/** What opening needs to know of the message's epoch: the current one, or a retained past one. */
export interface EpochKeys {
  readonly crypto: SuiteCrypto;
  readonly context: Pick<GroupContext, "groupId" | "epoch" | "extensions">;
  readonly contextBytes: Uint8Array;
  readonly ownLeaf: number;
  readonly senderDataSecret: Secret;
  readonly secretTree: SecretTree;
  /** Signature key of a leaf in that epoch; undefined if the leaf is blank or outside the tree. */
  signatureKey(leaf: number): Uint8Array | undefined;
}

/** Decrypted, or checked against the membership tag; the signature is still unknown. */
export class OpenedContent {
  readonly #authenticated: AuthenticatedContent;
  /** What using the message key changes; undefined for public messages. */
  readonly change: SecretTreeChange | undefined;
  readonly generation: number | undefined;

  private constructor(
    authenticated: AuthenticatedContent,
    change?: SecretTreeChange,
    generation?: number,
  ) {
    this.#authenticated = authenticated;
    this.change = change;
    this.generation = generation;
  }

  get authenticated(): AuthenticatedContent {
    return this.#authenticated;
  }

  /** `membershipKey` is undefined for observers, who cannot check the tag. */
  static fromPublic(
    crypto: SuiteCrypto,
    message: PublicMessage,
    contextBytes: Uint8Array,
    membershipKey: Secret | undefined,
  ): OpenedContent {
    const membership =
      membershipKey === undefined ? undefined : { membershipKey, groupContext: contextBytes };
    return new OpenedContent(unprotectPublic(crypto, message, membership));
  }

  /** @throws CryptoError, DecodeError, ValidationError, StateError: the secret tree is unchanged */
  static fromPrivate(
    keys: EpochKeys,
    message: PrivateMessage,
    limits: SecretTreeLimits,
    types: WireTypes,
  ): OpenedContent | "own" {
    const { crypto, secretTree } = keys;
    const senderData = uniform(() => openSenderData(crypto, message, keys.senderDataSecret));
    const { leafIndex: sender, generation } = senderData;
    if (keys.signatureKey(sender) === undefined) {
      throw violation(
        "valn1306",
        "INVALID_MESSAGE",
        "the sender's leaf is blank or does not exist",
      );
    }
    // Rule mk-27: our own keys are gone, and nobody else can have sent this.
    if (sender === keys.ownLeaf) return "own";
    const kind: RatchetKind = message.contentType === "application" ? "application" : "handshake";
    const { messageKey, change } = secretTree.prepareReceive(sender, kind, generation, limits);
    try {
      const open = () => openContent(crypto, message, senderData, messageKey, types);
      return new OpenedContent(uniform(open), change, generation);
    } finally {
      eraseMessageKey(messageKey);
    }
  }
}

/** Content whose signature was verified under the key that its sender type prescribes. */
export class VerifiedContent {
  readonly #authenticated: AuthenticatedContent;
  readonly change: SecretTreeChange | undefined;
  readonly generation: number | undefined;

  private constructor({ authenticated, change, generation }: OpenedContent) {
    this.#authenticated = authenticated;
    this.change = change;
    this.generation = generation;
  }

  get authenticated(): AuthenticatedContent {
    return this.#authenticated;
  }

  get sender(): Sender {
    return this.authenticated.content.sender;
  }

  get content(): Content {
    return this.authenticated.content.content;
  }

  /** @throws CryptoError `SIGNATURE_INVALID`, ValidationError */
  static async verify(
    crypto: SuiteCrypto,
    opened: OpenedContent,
    keys: Pick<EpochKeys, "context" | "contextBytes" | "signatureKey">,
    types?: WireTypes,
  ): Promise<VerifiedContent> {
    const { authenticated } = opened;
    checkSenderMayCarry(authenticated);
    const publicKey = senderKey(authenticated, keys, types);
    const job = contentVerifyJob(authenticated, keys.contextBytes, publicKey);
    const isValid = await crypto.verify(job.publicKey, job.message, job.signature);
    if (!isValid) throwWrongSignature(authenticated);
    return new VerifiedContent(opened);
  }
}

function throwWrongSignature({ wireFormat, content }: AuthenticatedContent): never {
  const [code, message] = ["SIGNATURE_INVALID", "the signature of the message is wrong"] as const;
  if (content.sender.type === "newMemberCommit") {
    throw new CryptoError(code, message, { rule: "valn0407" });
  }
  if (content.content.contentType === "commit") {
    throw new CryptoError(code, message, { rule: "valn1203" });
  }
  if (wireFormat === "privateMessage") throw new CryptoError(code, message, { rule: "valn1304" });
  throw new CryptoError(code, message, { rule: "valn1301" });
}

/** Which sender may send what. RFC 9420 §6.1, Table 5. */
function checkSenderMayCarry({ content: { sender, content } }: AuthenticatedContent): void {
  const { contentType } = content;
  switch (sender.type) {
    case "member":
      return;
    case "external":
      check(
        contentType === "proposal",
        "valn1501",
        "INVALID_MESSAGE",
        "an external sender sends nothing but proposals",
      );
      return;
    case "newMemberProposal":
      check(
        contentType === "proposal",
        "valn1503",
        "INVALID_MESSAGE",
        "a new member that proposes sends nothing but a proposal",
      );
      return;
    case "newMemberCommit":
      check(
        contentType === "commit",
        "valn0408",
        "INVALID_MESSAGE",
        "a new member that commits sends nothing but a Commit",
      );
      return;
  }
}

/** The key that must have signed. RFC 9420 §6.1. */
function senderKey(
  { content: { sender, content } }: AuthenticatedContent,
  { context, signatureKey }: Pick<EpochKeys, "context" | "signatureKey">,
  types: WireTypes | undefined,
): Uint8Array {
  switch (sender.type) {
    case "member": {
      const key = signatureKey(sender.leafIndex);
      if (key === undefined) {
        throw violation("mk-26", "INVALID_MESSAGE", "the sender's leaf is blank or does not exist");
      }
      return key;
    }
    case "external": {
      const found = readExternalSenders(context.extensions, types)[sender.senderIndex];
      if (found === undefined) {
        throw violation("mk-33", "UNKNOWN_EXTERNAL_SENDER", "the group does not list this sender", {
          senderIndex: sender.senderIndex,
        });
      }
      return found.signatureKey;
    }
    case "newMemberProposal":
      if (content.contentType === "proposal" && content.proposal.type === "add") {
        return content.proposal.keyPackage.leafNode.signatureKey;
      }
      throw violation("valn1504", "INVALID_MESSAGE", "a new member proposes only its own Add");
    case "newMemberCommit":
      if (content.contentType === "commit" && content.commit.path !== undefined) {
        return content.commit.path.leafNode.signatureKey;
      }
      throw violation("valn0405", "INVALID_MESSAGE", "an external commit needs a path");
  }
}

/** Whether a message belongs to this group, and to this epoch. @throws ValidationError, StateError */
export function checkGroupAndEpoch(
  message: { readonly groupId: Uint8Array; readonly epoch: bigint },
  { groupId, epoch }: Pick<GroupContext, "groupId" | "epoch">,
  isCommit: boolean,
): void {
  check(
    equalBytes(message.groupId, groupId),
    "mk-24",
    "INVALID_MESSAGE",
    "the message belongs to another group",
  );
  if (message.epoch === epoch) return;
  const relation = message.epoch < epoch ? "stale" : "future";
  throw new StateError("WRONG_EPOCH", `the message belongs to a ${relation} epoch`, {
    rule: isCommit ? "valn1201" : "valn1307",
    details: { relation, messageEpoch: message.epoch, currentEpoch: epoch },
  });
}

/** Rule mk-29: every failure to open looks the same; only malformed contents are told apart. */
function uniform<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!MlsError.is(error, "DECRYPTION_FAILED")) throw error;
    throw new CryptoError("DECRYPTION_FAILED", "the message cannot be decrypted", {
      rule: "mk-29",
    });
  }
}
