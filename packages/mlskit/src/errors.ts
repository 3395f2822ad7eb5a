/**
 * Every error that mlskit throws. One base class with a stable `code`; the subclass says whose
 * fault it is. Messages are one sentence and never carry key material, plaintext or wire bytes.
 */

/** Structured, non-secret facts about an error: indices, epochs, ids, references. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface MlsErrorOptions {
  /** Validation rule that was broken (`valn0407`, `mk-01`), if one was. */
  readonly rule?: string | undefined;
  readonly details?: ErrorDetails | undefined;
  readonly cause?: unknown;
}

/** Who has to act, and what they can do. See {@link MlsError.blame}. */
export type Blame =
  | "decode"
  | "unsupported"
  | "validation"
  | "crypto"
  | "policy"
  | "state"
  | "usage"
  | "storage"
  | "provider"
  | "transport"
  | "internal";

export abstract class MlsError extends Error {
  /** Stable, part of the public contract. Text may change, codes may not. */
  readonly code: string;
  /** Id of the broken validation rule, if there is one (see `rules.ts`). */
  readonly rule: string | undefined;
  readonly details: ErrorDetails;
  abstract readonly blame: Blame;

  constructor(code: string, message: string, options: MlsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.rule = options.rule;
    this.details = options.details ?? {};
  }

  /** Whether the same call can succeed later without a change by the peer or the caller. */
  get retryable(): boolean {
    return false;
  }

  /** Narrows an unknown value to an mlskit error, optionally with one of the given codes. */
  static is(error: unknown, ...codes: readonly string[]): error is MlsError {
    return error instanceof MlsError && (codes.length === 0 || codes.includes(error.code));
  }
}

/** Malformed bytes. The peer's fault; drop the message. */
export class DecodeError extends MlsError {
  readonly blame = "decode";
  constructor(message: string, options: MlsErrorOptions = {}) {
    super("MALFORMED", message, options);
  }
}

/** Well formed, but a version, suite or type that is not implemented here. */
export class UnsupportedError extends MlsError {
  readonly blame = "unsupported";
}

/** Well formed and supported, but it breaks a rule of RFC 9420. Carries the rule id. */
export class ValidationError extends MlsError {
  readonly blame = "validation";
}

/** AEAD, HPKE, signature or MAC failure. Deliberately uniform: no detail that could be an oracle. */
export class CryptoError extends MlsError {
  readonly blame = "crypto";
}

/** The application's authentication service or policy refused. */
export class PolicyError extends MlsError {
  readonly blame = "policy";
  override get retryable(): boolean {
    return this.code === "POLICY_TIMEOUT" || this.code === "HOOK_FAILED";
  }
}

/** Timing or local state: epoch, missing PSK, pending commit. Often resolved by processing more. */
export class StateError extends MlsError {
  readonly blame = "state";
  override get retryable(): boolean {
    return true;
  }
}

/** The caller asked for something that cannot be done; nothing was built. */
export class UsageError extends MlsError {
  readonly blame = "usage";
}

/** The store failed, conflicted, or holds something this build cannot read. */
export class StorageError extends MlsError {
  readonly blame = "storage";
  override get retryable(): boolean {
    return this.code === "STORAGE_CONFLICT" || this.code === "STORE_LOCKED";
  }
}

/** The cryptographic provider failed in a way that is not the input's fault. */
export class ProviderError extends MlsError {
  readonly blame = "provider";
  constructor(message: string, options: MlsErrorOptions = {}) {
    super("PROVIDER_FAILED", message, options);
  }
}

/** The application's transport callback answered "rejected" or "retry". */
export class TransportError extends MlsError {
  readonly blame = "transport";
  override get retryable(): boolean {
    return this.code === "TRANSPORT_RETRY";
  }
}

/** A bug in mlskit. Please report it. */
export class InternalError extends MlsError {
  readonly blame = "internal";
  constructor(message: string, options: MlsErrorOptions = {}) {
    super("INTERNAL", message, options);
  }
}
