/** What an application gives to a client. */
import type { AuthenticationService } from "../credentials/authentication-service.ts";
import type { CryptoProvider, Signer } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import type { Extension } from "../extensions/extension.ts";
import type { GroupLimits, GroupPolicy, PskSource, RegisteredTypes } from "../group/environment.ts";
import type { Storage } from "../storage/storage.ts";
import { type CacheStrategy, ClientCore } from "./session/client-core.ts";
import { type Clock, systemClock } from "./state/clock.ts";
import { DEFAULT_CONFIG, type GroupConfig } from "./state/config.ts";
import { requireSetting } from "./state/setting-checks.ts";
import { configWith, countOf, limitsWith, timeoutOf } from "./state/settings.ts";
import type { EventLog } from "./records/event-log.ts";
import type { Identity, IdentityInput } from "./identity/identity.ts";
import type { KeyPackageOptions } from "./identity/key-packages.ts";
import type { TreeSource } from "./state/outside-tree.ts";

export interface ClientOptions {
  readonly storage: Storage;
  /** Decides which credentials to believe. There is no default. */
  readonly authenticationService: AuthenticationService;
  /** Default: `node:crypto` where there is one, else pure JavaScript. */
  readonly provider?: CryptoProvider | undefined;
  readonly clock?: Clock | undefined;
  readonly policy?: GroupPolicy | undefined;
  /** Proposal, credential and extension types of the application or of drafts. */
  readonly types?: Partial<RegisteredTypes> | undefined;
  readonly limits?: Partial<GroupLimits> | undefined;
  /** For groups that are created or joined from now on. */
  readonly config?: Partial<GroupConfig> | undefined;
  /** Asked for external PSKs that are not in the store. */
  readonly psk?: PskSource | undefined;
  /** Signers whose keys live outside the store. */
  readonly signers?: readonly Signer[] | undefined;
  /** Milliseconds that hooks may take before the operation fails. Default: 30 s. */
  readonly hookTimeout?: number | undefined;
  /**
   * Whether groups stay in memory between calls, or are read from the store for each. Default: keep.
   * Both are right at all times; reading again suits many groups that are rarely used.
   */
  readonly cache?: CacheStrategy | undefined;
  /** Milliseconds that transport callbacks may take before the answer counts as lost. Default: 30 s. */
  readonly transportTimeout?: number | undefined;
  /** Bytes of messages that came too early, in all groups together. Default: 64 MiB. */
  readonly bufferedBytes?: number | undefined;
  /** Trees of groups with the setting `storedTree: false`, when such a group is read from the store. */
  readonly tree?: TreeSource | undefined;
  /** Fewer usable key packages of an identity raise `keyPackagesLow`. Default: 10. */
  readonly keyPackageThreshold?: number | undefined;
  /** Stores events for those who missed them; `eventLog()` of mlskit/production. Default: none are stored. */
  readonly eventLog?: EventLog | undefined;
}

/** For a client that brings no provider of its own, and so no code that a bundle does not use. */
export interface CompleteOptions extends ClientOptions {
  readonly provider: CryptoProvider;
}

export interface NewIdentityOptions {
  /** Name of a Basic credential, or any credential. */
  readonly identity: IdentityInput;
  /** Default: suite 1, MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519. */
  readonly cipherSuite?: number | undefined;
  /** Holds the signature key, if it is not to be made and stored here. */
  readonly signer?: Signer | undefined;
}

export interface CreateGroupRequest {
  /** Default: KDF.Nh random bytes. */
  readonly groupId?: Uint8Array | undefined;
  /** GroupContext extensions. */
  readonly extensions?: readonly Extension[] | undefined;
  /** One of this client's identities. Default: the first. */
  readonly identity?: Identity | undefined;
  readonly config?: Partial<GroupConfig> | undefined;
  /** Of the creator's leaf. */
  readonly leaf?: KeyPackageOptions | undefined;
  /** KeyPackageRef of a key package of ours that is used up for this, instead of `leaf`. */
  readonly keyPackage?: Uint8Array | undefined;
  /** Take the id from an inactive group of this client. */
  readonly replace?: boolean | undefined;
}

const DEFAULT_HOOK_TIMEOUT = 30_000;
const DEFAULT_BUFFERED_BYTES = 64 * 2 ** 20;
const DEFAULT_TRANSPORT_TIMEOUT = 30_000;
const DEFAULT_KEY_PACKAGE_THRESHOLD = 10;

/** With defaults for what was left out. @throws UsageError `INVALID_SETTING` */
export function coreOf(options: CompleteOptions, isReadOnly = false): ClientCore {
  const { types = {}, cache = "keep" } = options;
  if ((options.authenticationService as AuthenticationService | undefined) === undefined) {
    throw new UsageError("NO_AUTHENTICATION_SERVICE", "nobody says which credentials to accept");
  }
  requireSetting(cache === "keep" || cache === "reload", "cache");
  return new ClientCore({
    storage: options.storage,
    provider: options.provider,
    clock: options.clock ?? systemClock,
    authenticationService: options.authenticationService,
    policy: options.policy ?? {},
    types: {
      proposals: types.proposals ?? new Map(),
      credentials: types.credentials ?? new Map(),
      extensions: types.extensions ?? new Set(),
      psks: types.psks,
    },
    limits: limitsWith(options.limits),
    config: configWith(DEFAULT_CONFIG, options.config),
    psk: options.psk,
    signers: options.signers ?? [],
    hookTimeout: timeoutOf("hookTimeout", options.hookTimeout ?? DEFAULT_HOOK_TIMEOUT),
    tree: options.tree,
    cache,
    isReadOnly,
    bufferedBytes: countOf("bufferedBytes", options.bufferedBytes ?? DEFAULT_BUFFERED_BYTES),
    transportTimeout: timeoutOf(
      "transportTimeout",
      options.transportTimeout ?? DEFAULT_TRANSPORT_TIMEOUT,
    ),
    keyPackageThreshold: countOf(
      "keyPackageThreshold",
      options.keyPackageThreshold ?? DEFAULT_KEY_PACKAGE_THRESHOLD,
    ),
    eventLog: options.eventLog,
  });
}
