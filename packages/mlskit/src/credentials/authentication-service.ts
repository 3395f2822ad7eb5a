/** The application's say on credentials. RFC 9420 §5.3.1. */
import type { MaybePromise } from "../crypto/index.ts";
import type { Credential } from "./credential.ts";

/** A credential with the signature key it vouches for. */
export interface Identity {
  readonly credential: Credential;
  readonly signatureKey: Uint8Array;
}

/** Where a credential was met. */
export type CredentialEvent =
  | "keyPackage"
  | "join"
  | "add"
  | "update"
  | "commit"
  | "externalJoin"
  | "externalSender";

export interface CredentialContext {
  readonly event: CredentialEvent;
  readonly groupId: Uint8Array | undefined;
  /** Seconds since 1970, from the injected clock. */
  readonly now: bigint;
}

/** True, or the reason for a refusal in words that may be logged. */
export type Verdict = true | { readonly reason: string };

/**
 * Decides what a credential is worth. Every method may answer asynchronously; all members must come
 * to the same answers, or the group falls apart (a rule like this is part of the group's consensus).
 */
export interface AuthenticationService {
  /** Whether each credential belongs to the key it stands beside. One verdict per entry, in order. */
  validate(
    identities: readonly Identity[],
    context: CredentialContext,
  ): MaybePromise<readonly Verdict[]>;
  /** Whether `next` may stand in the place of `current`: Update, path, or resync. */
  isSuccessor(current: Identity, next: Identity, context: CredentialContext): MaybePromise<Verdict>;
  /**
   * Bytes that are equal for two identities of one client, which then has one leaf in a group at most,
   * RFC 9420 §12.2. Left out: the signature key itself, so that every device is a client.
   */
  clientId?(identity: Identity): Uint8Array;
  /** When a credential ends, in seconds since 1970; undefined or left out: it does not. */
  expiresAt?(identity: Identity): bigint | undefined;
}
