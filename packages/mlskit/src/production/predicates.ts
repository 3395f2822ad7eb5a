/** Questions that applications ask of an error, so that nobody has to know all codes. */
import { MlsError } from "../errors.ts";

/** The message or object belongs to an epoch other than the current one. */
export function isEpochMismatch(error: unknown): boolean {
  return MlsError.is(error, "WRONG_EPOCH");
}

/** The message belongs to another group. */
export function isWrongGroup(error: unknown): boolean {
  return MlsError.is(error) && error.rule === "mk-24";
}

/** A signature is wrong; also by a key that is not the author's. */
export function isBadSignature(error: unknown): boolean {
  return MlsError.is(error, "SIGNATURE_INVALID");
}

/** The member that is named, or that is said to have sent something, does not exist. */
export function isUnknownMember(error: unknown): boolean {
  if (!MlsError.is(error)) return false;
  return error.code === "MEMBER_NOT_FOUND" || error.rule === "mk-26";
}

/** The ciphertext does not open. What is wrong with it cannot be said. */
export function isDecryptionFailure(error: unknown): boolean {
  return MlsError.is(error, "DECRYPTION_FAILED");
}

/** A Welcome that is not for us, or no longer. */
export function isKeyPackageMissing(error: unknown): boolean {
  return MlsError.is(error, "NO_MATCHING_KEY_PACKAGE", "ORPHAN_WELCOME");
}

/** A pre-shared key is not at hand; with it the same call can succeed. */
export function isPskMissing(error: unknown): boolean {
  return MlsError.is(error, "MISSING_PSK");
}

/** The group is suspended or over, or its join is not accepted yet. */
export function isNotOperational(error: unknown): boolean {
  return MlsError.is(error, "GROUP_INACTIVE", "GROUP_SUSPENDED", "PENDING_JOIN");
}

/** Proposals have to be committed first. */
export function isCommitRequired(error: unknown): boolean {
  return MlsError.is(error, "COMMIT_REQUIRED");
}
