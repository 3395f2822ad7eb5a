/** Who this client is: a credential with its signature key. RFC 9420 §5.3. */
import { equalBytes, utf8 } from "../../codec/index.ts";
import type { Credential } from "../../credentials/credential.ts";
import { Secret, type Signer } from "../../crypto/index.ts";
import { StateError, UsageError } from "../../errors.ts";
import type { ClientCore } from "../session/client-core.ts";
import {
  decodeRecord,
  encodeRecord,
  type IdentityRecord,
  identityRecord,
} from "../records/record-codecs.ts";
import {
  IDENTITY_PREFIX,
  identityKey,
  RETIRED_PREFIX,
  retiredKey,
} from "../records/record-keys.ts";
import type { Transaction } from "../records/transaction.ts";

export interface Identity {
  /** Of a Basic credential; empty otherwise. */
  readonly identity: Uint8Array;
  readonly credential: Credential;
  readonly signatureKey: Uint8Array;
  readonly cipherSuite: number;
}

/** Which identities are meant; all that is given must match. */
export interface IdentitySelector {
  readonly identity?: IdentityInput | undefined;
  readonly cipherSuite?: number | undefined;
  readonly signatureKey?: Uint8Array | undefined;
}

/** A name, or a ready credential. */
export type IdentityInput = string | Uint8Array | Credential;

function toCredential(input: IdentityInput): Credential {
  const identity = typeof input === "string" ? utf8(input) : input;
  const credential: Credential =
    identity instanceof Uint8Array ? { type: "basic", identity: identity.slice() } : identity;
  if (credential.type === "basic" && credential.identity.length === 0) {
    throw new UsageError("EMPTY_IDENTITY", "an identity must not be empty");
  }
  return credential;
}

/** Makes a signature key, or takes a signer whose key lives outside, and stores the identity. */
export async function createIdentity(
  core: ClientCore,
  transaction: Transaction,
  input: IdentityInput,
  cipherSuite: number,
  signer: Signer | undefined,
): Promise<Identity> {
  // Two that are made at the same time do not get the same place.
  await core.raiseMeta(transaction);
  const crypto = core.options.provider.suite(cipherSuite);
  const credential = toCredential(input);
  if (signer !== undefined && signer.scheme !== crypto.suite.signature.scheme) {
    throw new UsageError("INVALID_SIGNER", "the signer is for another cipher suite");
  }
  const keyPair = signer === undefined ? await crypto.generateSignatureKeyPair() : undefined;
  const publicKey = signer?.publicKey ?? keyPair?.publicKey ?? new Uint8Array(0);
  const record: IdentityRecord = {
    cipherSuite,
    credential,
    publicKey,
    privateKey: keyPair === undefined ? undefined : new Secret(keyPair.privateKey),
    order: ((await storedIdentities(core)).at(-1)?.order ?? -1) + 1,
  };
  const key = identityKey(publicKey);
  if ((await core.storage.get(key)) !== undefined) {
    throw new UsageError("IDENTITY_EXISTS", "the store holds this identity already");
  }
  transaction.expect(key, 0);
  transaction.put(key, encodeRecord(identityRecord, record));
  if (signer !== undefined) core.addSigner(signer);
  return identityOf(record);
}

/** In the order in which they were made, without their private keys. */
async function storedIdentities(core: ClientCore): Promise<IdentityRecord[]> {
  const listed = await core.storage.list(IDENTITY_PREFIX);
  const records = listed.map(({ value }) => decodeRecord(identityRecord, value, core.stored));
  for (const { privateKey } of records) privateKey?.erase();
  return records.sort((a, b) => a.order - b.order);
}

/** In the order in which they were made. */
export async function listIdentities(
  core: ClientCore,
  { identity, cipherSuite, signatureKey }: IdentitySelector = {},
): Promise<Identity[]> {
  const wanted = identity === undefined ? undefined : toCredential(identity);
  const records = await storedIdentities(core);
  return records.map(identityOf).filter((known) => {
    if (cipherSuite !== undefined && known.cipherSuite !== cipherSuite) return false;
    if (signatureKey !== undefined && !equalBytes(known.signatureKey, signatureKey)) return false;
    return wanted === undefined || isSameCredential(known.credential, wanted);
  });
}

/** The stored identity that is meant. @throws StateError `SIGNER_NOT_FOUND` */
export async function findIdentity(
  core: ClientCore,
  selector: IdentitySelector,
): Promise<Identity> {
  const known = await listIdentities(core, selector);
  const retired = new Set((await core.storage.list(RETIRED_PREFIX)).map(({ key }) => key));
  const inUse = known.find(({ signatureKey }) => !retired.has(retiredKey(signatureKey)));
  const found = inUse ?? known[0];
  if (found === undefined) {
    throw new StateError("SIGNER_NOT_FOUND", "the store holds no key for this identity");
  }
  // Fails now rather than at the first message if the key is not at hand.
  await core.signer(found.signatureKey);
  return found;
}

function identityOf({ credential, publicKey, cipherSuite }: IdentityRecord): Identity {
  const identity = credential.type === "basic" ? credential.identity : new Uint8Array(0);
  return { identity, credential, signatureKey: publicKey, cipherSuite };
}

function isSameCredential(a: Credential, b: Credential): boolean {
  if (a.type === "basic" && b.type === "basic") return equalBytes(a.identity, b.identity);
  if (a.type === "x509" && b.type === "x509") {
    const [x, y] = [a.certificates[0], b.certificates[0]];
    return x !== undefined && y !== undefined && equalBytes(x, y);
  }
  if (a.type !== "custom" || b.type !== "custom") return false;
  return a.credentialType === b.credentialType && equalBytes(a.body, b.body);
}
