/** From a signed Commit to the secrets of the epoch it starts. RFC 9420 §8, §12.4.1, §12.4.2. */
import type { Secret } from "../crypto/index.ts";
import { StateError } from "../errors.ts";
import type { Extension } from "../extensions/extension.ts";
import type { SignedContent } from "../framing/authenticated-content.ts";
import { confirmedTranscriptHash } from "../framing/transcript-hash.ts";
import type { GroupContext } from "../key-schedule/group-context.ts";
import {
  confirmationTag,
  type EpochSecrets,
  epochSecrets,
  joinerSecret,
  memberSecret,
} from "../key-schedule/key-schedule.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { MAX_UINT64 } from "../codec/index.ts";
import { encodeContext, provisionalContext, type PublicEpoch, publicEpoch } from "./epoch.ts";

/** What a Commit makes of an epoch in public. */
export interface PublicEpochInput {
  readonly before: PublicEpoch;
  readonly tree: RatchetTree;
  readonly extensions: readonly Extension[];
  readonly commit: SignedContent;
}

export interface NextEpochInput extends PublicEpochInput {
  /** init_secret of the epoch before, or of the ExternalInit. */
  readonly initSecret: Secret;
  /** All zero without a path. */
  readonly commitSecret: Secret;
  readonly pskSecret: Secret;
}

export interface NextEpoch {
  readonly public: PublicEpoch;
  readonly secrets: EpochSecrets;
  /** For a Welcome; the caller erases it. */
  readonly joinerSecret: Secret;
}

/** The one place where an epoch follows from another, for committers and receivers alike. */
export function startNextEpoch(input: NextEpochInput): NextEpoch {
  const { before, tree } = input;
  const { crypto } = before;
  const context = nextContext(input);
  const contextBytes = encodeContext(context);
  const joiner = joinerSecret(crypto, input.initSecret, input.commitSecret, contextBytes);
  const member = memberSecret(crypto, joiner, input.pskSecret);
  const secrets = epochSecrets(crypto, member, contextBytes);
  member.erase();
  const tag = confirmationTag(crypto, secrets.confirmationKey, context.confirmedTranscriptHash);
  return {
    public: publicEpoch(crypto, context, tree, tag, contextBytes),
    secrets,
    joinerSecret: joiner,
  };
}

/** The same as far as it is public, for those who must take the confirmation tag on trust. */
export function startNextPublicEpoch(
  input: PublicEpochInput,
  confirmationTag: Uint8Array,
): PublicEpoch {
  return publicEpoch(input.before.crypto, nextContext(input), input.tree, confirmationTag);
}

function nextContext({ before, tree, extensions, commit }: PublicEpochInput): GroupContext {
  checkEpochLeft(before);
  const { crypto, interimTranscriptHash: interimBefore } = before;
  return {
    ...provisionalContext(before, { treeHash: tree.treeHash(), extensions }),
    confirmedTranscriptHash: confirmedTranscriptHash(crypto, interimBefore, commit),
  };
}

/** RFC 9420 §8.1: the epoch is a uint64 and does not wrap. */
export function checkEpochLeft({ context }: PublicEpoch): void {
  if (context.epoch < MAX_UINT64) return;
  throw new StateError("EPOCHS_EXHAUSTED", "the last epoch has no successor", { rule: "mk-85" });
}
