/** Key packages of ours: making, listing, using up, pruning. RFC 9420 §10, §16.8; rules P-KP. */
import { bytesKey, EMPTY_BYTES, MLS10, uint64 } from "../../codec/index.ts";
import { type Credential, credentialTypeOf } from "../../credentials/credential.ts";
import type { Signer, SuiteCrypto } from "../../crypto/index.ts";
import { StateError } from "../../errors.ts";
import { type Extension, ExtensionType } from "../../extensions/extension.ts";
import { greaseCapabilities } from "../../extensions/grease.ts";
import { encodeMlsMessage } from "../../framing/mls-message.ts";
import type { RegisteredTypes } from "../../group/environment.ts";
import type { KeyPackageBundle } from "../../group/join-by-welcome.ts";
import { createKeyPackage } from "../../key-packages/create-key-package.ts";
import { isLastResort, type KeyPackage, keyPackageRef } from "../../key-packages/key-package.ts";
import type { Capabilities, Lifetime } from "../../tree/nodes.ts";
import type { ClientCore } from "../session/client-core.ts";
import type { Identity } from "./identity.ts";
import {
  decodeRecord,
  encodeRecord,
  type KeyPackageRecord,
  keyPackageRecord,
} from "../records/record-codecs.ts";
import {
  goneKey,
  KEY_PACKAGE_PREFIX,
  keyPackageKey,
  stockKey,
  usedKey,
} from "../records/record-keys.ts";
import type { Transaction } from "../records/transaction.ts";

export interface KeyPackageOptions {
  /**
   * A window, or seconds from now. Default: an hour ago to 83 days from now. Not longer than
   * `limits.maximumLifetime`; undefined there allows any.
   */
  readonly lifetime?: Lifetime | bigint | undefined;
  readonly capabilities?: Capabilities | undefined;
  /** Of the key package. */
  readonly extensions?: readonly Extension[] | undefined;
  readonly leafExtensions?: readonly Extension[] | undefined;
  /** Marked to be kept after use. RFC 9420 §16.8. */
  readonly lastResort?: boolean | undefined;
  /** Random values that peers must ignore, RFC 9420 §13.5. Default: yes. */
  readonly grease?: boolean | undefined;
}

export interface PublishedKeyPackage {
  /** A complete MLSMessage, to be published. */
  readonly bytes: Uint8Array;
  /** KeyPackageRef. */
  readonly reference: Uint8Array;
  /** Seconds since 1970. */
  readonly expiresAt: bigint;
}

/** How many key packages an identity has, and how many to make and publish. */
export interface KeyPackageStock {
  readonly identity: Identity;
  readonly cipherSuite: number;
  readonly available: number;
  readonly missing: number;
}

export interface StoredKeyPackage extends PublishedKeyPackage {
  readonly cipherSuite: number;
  readonly signatureKey: Uint8Array;
  readonly isLastResort: boolean;
  /** A Welcome for it could not be used; not to be offered any more. */
  readonly isSuspect: boolean;
  readonly isExpired: boolean;
  /** Seconds since 1970. */
  readonly createdAt: bigint;
  readonly keyPackage: KeyPackage;
}

const HOUR = 3600n;
const DAY = 86_400n;

/** An hour of tolerance for clocks, and less than the 84 days that peers accept. */
function defaultLifetime(now: bigint, duration: bigint = 83n * DAY): Lifetime {
  return { notBefore: now - HOUR, notAfter: now + duration };
}

/** What this client supports, and no type that everybody supports. RFC 9420 §7.2. */
export function defaultCapabilities(
  suites: readonly number[],
  types: RegisteredTypes,
  credential: Credential,
): Capabilities {
  const credentials = new Set([credentialTypeOf(credential), 1, ...types.credentials.keys()]);
  return {
    versions: [MLS10],
    cipherSuites: suites,
    extensions: [...new Set([...types.extensions, ExtensionType.lastResort])],
    proposals: [...types.proposals.keys()],
    credentials: [...credentials],
  };
}

/** A key package with its private keys, not stored anywhere yet. */
export async function makeKeyPackage(
  core: ClientCore,
  identity: Identity,
  signer: Signer,
  options: KeyPackageOptions,
): Promise<KeyPackageBundle & { readonly crypto: SuiteCrypto }> {
  const { provider, types, clock, limits } = core.options;
  const crypto = provider.suite(identity.cipherSuite);
  const { credential } = identity;
  const { lifetime } = options;
  let capabilities = options.capabilities;
  if (capabilities === undefined) {
    capabilities = defaultCapabilities(provider.suites, types, credential);
    if (options.grease !== false) {
      capabilities = greaseCapabilities(capabilities, (length) => crypto.randomBytes(length));
    }
  }
  const extensions = [...(options.extensions ?? [])];
  if (options.lastResort === true) {
    extensions.push({ type: ExtensionType.lastResort, data: EMPTY_BYTES });
  }
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential,
    capabilities,
    lifetime: typeof lifetime === "object" ? lifetime : defaultLifetime(clock(), lifetime),
    extensions,
    leafExtensions: options.leafExtensions,
    maxLifetime: limits.maximumLifetime,
  });
  return { keyPackage, ...privateKeys, signer, crypto };
}

/** From here on its private keys are in the transaction only. */
export function storeKeyPackage(
  transaction: Transaction,
  made: Awaited<ReturnType<typeof makeKeyPackage>>,
  createdAt: bigint,
): PublishedKeyPackage {
  const { keyPackage, initKey, encryptionKey, crypto } = made;
  const reference = keyPackageRef(crypto, keyPackage);
  const record: KeyPackageRecord = {
    keyPackage,
    initKey,
    encryptionKey,
    createdAt,
    isSuspect: false,
  };
  transaction.put(keyPackageKey(reference), encodeRecord(keyPackageRecord, record));
  eraseKeys(made);
  const bytes = encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
  return { bytes, reference, expiresAt: expiryOf(record) };
}

/** Makes and stores many, in one transaction. */
export async function publishKeyPackages(
  core: ClientCore,
  transaction: Transaction,
  identity: Identity,
  count: number,
  options: KeyPackageOptions,
): Promise<PublishedKeyPackage[]> {
  const signer = await core.signerFor(transaction, identity.signatureKey);
  const published: PublishedKeyPackage[] = [];
  for (let i = 0; i < count; i++) {
    const made = await makeKeyPackage(core, identity, signer, options);
    published.push(storeKeyPackage(transaction, made, core.options.clock()));
  }
  return published;
}

/** All key packages of ours. */
export async function listKeyPackages(core: ClientCore): Promise<StoredKeyPackage[]> {
  const now = core.options.clock();
  const found: StoredKeyPackage[] = [];
  for (const { value } of await core.storage.list(KEY_PACKAGE_PREFIX)) {
    const record = decodeRecord(keyPackageRecord, value, core.stored);
    eraseKeys(record);
    const { keyPackage, isSuspect, createdAt } = record;
    const crypto = core.options.provider.suite(keyPackage.cipherSuite);
    const expiresAt = expiryOf(record);
    found.push({
      bytes: encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage }),
      reference: keyPackageRef(crypto, keyPackage),
      expiresAt,
      cipherSuite: keyPackage.cipherSuite,
      signatureKey: keyPackage.leafNode.signatureKey,
      isLastResort: isLastResort(keyPackage),
      isSuspect,
      isExpired: expiresAt < now,
      createdAt,
      keyPackage,
    });
  }
  return found;
}

/** The private half of a key package of ours, if it is still here. */
export async function findKeyPackage(
  core: ClientCore,
  reference: Uint8Array,
): Promise<(KeyPackageBundle & { readonly version: number }) | undefined> {
  const stored = await core.storage.get(keyPackageKey(reference));
  if (stored === undefined) return undefined;
  const record = decodeRecord(keyPackageRecord, stored.value, core.stored);
  const { keyPackage, initKey, encryptionKey } = record;
  const signer = await core.signer(keyPackage.leafNode.signatureKey);
  return { keyPackage, initKey, encryptionKey, signer, version: stored.version };
}

/** Whether the private half of this key package of ours is still here. */
export async function hasKeyPackage(core: ClientCore, reference: Uint8Array): Promise<boolean> {
  const stored = await core.storage.get(keyPackageKey(reference));
  stored?.value.fill(0);
  return stored !== undefined;
}

export function eraseKeys({
  initKey,
  encryptionKey,
}: Pick<KeyPackageBundle, "initKey" | "encryptionKey">): void {
  initKey.erase();
  encryptionKey.erase();
}

/** Uses it up for a group whose keys are at hand already. */
export async function consumeKeyPackage(
  core: ClientCore,
  transaction: Transaction,
  reference: Uint8Array,
): Promise<void> {
  eraseKeys(await takeKeyPackage(core, transaction, reference));
}

/**
 * A key package for a group that we enter now, which uses it up. Rule mk-101: gone in the transaction
 * that enters the group, unless it is a last resort.
 */
export async function takeKeyPackage(
  core: ClientCore,
  transaction: Transaction,
  reference: Uint8Array,
): Promise<KeyPackageBundle & { readonly crypto: SuiteCrypto }> {
  const bundle = await findKeyPackage(core, reference);
  if (bundle === undefined) {
    throw new StateError("NO_MATCHING_KEY_PACKAGE", "this client has no such key package", {
      rule: "mk-60",
    });
  }
  const key = keyPackageKey(reference);
  transaction.expect(key, bundle.version);
  if (!isLastResort(bundle.keyPackage)) {
    removeKeyPackage(transaction, reference, core.options.clock());
  } else transaction.put(usedKey(reference), EMPTY_BYTES);
  const { cipherSuite, leafNode } = bundle.keyPackage;
  const { signatureKey } = leafNode;
  transaction.events.push({
    type: "keyPackageUsed",
    cipherSuite,
    signatureKey,
    reference,
    isLastResort: isLastResort(bundle.keyPackage),
  });
  return { ...bundle, crypto: core.options.provider.suite(cipherSuite) };
}

/** Deletes a package of ours and remembers that there was one, see `ORPHAN_WELCOME`. */
export function removeKeyPackage(
  transaction: Transaction,
  reference: Uint8Array,
  now: bigint,
): void {
  transaction.delete(keyPackageKey(reference));
  transaction.delete(stockKey(reference));
  transaction.delete(usedKey(reference));
  transaction.put(goneKey(reference), encodeRecord(uint64, now));
}

/** Whether a package with this reference was ours once. */
export async function wasOurs(core: ClientCore, reference: Uint8Array): Promise<boolean> {
  return (await core.storage.get(goneKey(reference))) !== undefined;
}

/** Usable packages of an identity: neither expired nor suspect nor kept as a last resort. */
export async function countKeyPackages(
  core: ClientCore,
): Promise<(signatureKey: Uint8Array) => number> {
  const counts = new Map<string, number>();
  for (const { signatureKey, isExpired, isSuspect, isLastResort: last } of await listKeyPackages(
    core,
  )) {
    if (isExpired || isSuspect || last) continue;
    const key = bytesKey(signatureKey);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return (signatureKey) => counts.get(bytesKey(signatureKey)) ?? 0;
}

/** Tells that packages run out. The one that is being used is still in the store. */
export async function reportStock(
  core: ClientCore,
  transaction: Transaction,
  used: KeyPackage,
): Promise<void> {
  const { cipherSuite, leafNode } = used;
  const { signatureKey } = leafNode;
  const counted = (await countKeyPackages(core))(signatureKey);
  const available = isLastResort(used) ? counted : Math.max(0, counted - 1);
  if (available >= core.options.keyPackageThreshold) return;
  transaction.events.push({ type: "keyPackagesLow", cipherSuite, signatureKey, available });
}

/** Expired ones go when their grace time is over, for a Welcome may still be on its way. */
export async function pruneKeyPackages(
  core: ClientCore,
  transaction: Transaction,
  grace: bigint,
): Promise<number> {
  const now = core.options.clock();
  let pruned = 0;
  for (const { reference, expiresAt } of await listKeyPackages(core)) {
    if (expiresAt + grace >= now) continue;
    removeKeyPackage(transaction, reference, now);
    pruned += 1;
  }
  return pruned;
}

function expiryOf({ keyPackage }: KeyPackageRecord): bigint {
  const { origin } = keyPackage.leafNode;
  return origin.source === "keyPackage" ? origin.lifetime.notAfter : 0n;
}
