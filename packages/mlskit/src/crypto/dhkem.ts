/** DHKEM(Group, HKDF): encapsulation and key derivation. RFC 9180 §4.1, §7.1.3. */
import { utf8 } from "../codec/bytes.ts";
import { MlsError, ProviderError } from "../errors.ts";
import type { CipherSuite } from "./cipher-suite.ts";
import type { HpkeKeyPair, MaybePromise } from "./crypto-provider.ts";
import { expand, type Hmac } from "./hkdf.ts";
import { invalidPublicKey, isAllZero, isScalar, type ScalarRange } from "./key-encoding.ts";
import { andThen, attempt } from "./maybe-promise.ts";
import type { SuitePrimitives } from "./suite-primitives.ts";

const VERSION: Uint8Array = /* @__PURE__ */ utf8("HPKE-v1");

/** LabeledExtract and LabeledExpand for one suite_id, RFC 9180 §4. */
export class LabeledHkdf {
  readonly #hmac: Hmac;
  readonly #size: number;
  readonly #suiteId: Uint8Array;

  constructor(hmac: Hmac, size: number, suiteId: Uint8Array) {
    this.#hmac = hmac;
    this.#size = size;
    this.#suiteId = suiteId;
  }

  extract(salt: Uint8Array, label: Uint8Array, ikm: Uint8Array): Uint8Array {
    const labeled = join(VERSION, this.#suiteId, label, ikm);
    const prk = this.#hmac(salt, labeled);
    labeled.fill(0);
    return prk;
  }

  expand(prk: Uint8Array, label: Uint8Array, info: Uint8Array, length: number): Uint8Array {
    const size = new Uint8Array([length >> 8, length & 0xff]);
    const labeled = join(size, VERSION, this.#suiteId, label, info);
    return expand(this.#hmac, this.#size, prk, labeled, length);
  }
}

export interface Encapsulated {
  readonly enc: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** The KEM of one suite over a back end's Diffie-Hellman. */
export class Dhkem {
  readonly #suite: CipherSuite;
  readonly #primitives: SuitePrimitives;
  readonly #range: ScalarRange | undefined;
  readonly #kdf: LabeledHkdf;

  constructor(suite: CipherSuite, primitives: SuitePrimitives, range: ScalarRange | undefined) {
    this.#suite = suite;
    this.#primitives = primitives;
    this.#range = range;
    const hmac: Hmac =
      primitives.kemHmac === undefined
        ? (key, data) => primitives.hmac(key, data)
        : primitives.kemHmac.bind(primitives);
    const id = suite.kem.id;
    const suiteId = join(utf8("KEM"), new Uint8Array([id >> 8, id & 0xff]));
    this.#kdf = new LabeledHkdf(hmac, HASH_SIZE[suite.kem.hash], suiteId);
  }

  /** A private key from the provider's random numbers. */
  randomPrivateKey(): Uint8Array {
    return randomPrivateKey(this.#primitives, this.#suite.kem.privateKeySize, this.#range);
  }

  /** Encap: `publicKey` must have passed its format check. */
  encapsulate(publicKey: Uint8Array): MaybePromise<Encapsulated> {
    const kem = this.#primitives.kem;
    const { encapsulate, ephemeral } = kem;
    if (encapsulate !== undefined) {
      return attempt(() => encapsulate.call(kem, publicKey), rethrowAsInvalidKey);
    }
    if (ephemeral !== undefined) {
      const made = attempt(() => ephemeral.call(kem, publicKey), rethrowAsInvalidKey);
      return andThen(made, (pair) => this.#encapsulated(pair.publicKey, pair.shared, publicKey));
    }
    const privateKey = this.randomPrivateKey();
    return andThen(kem.publicKeyOf(privateKey), (enc) =>
      andThen(this.#dh(privateKey, publicKey), (shared) => {
        privateKey.fill(0);
        return this.#encapsulated(enc, shared, publicKey);
      }),
    );
  }

  /** Decap: both keys must have passed their format checks. */
  decapsulate(privateKey: Uint8Array, enc: Uint8Array): MaybePromise<Uint8Array> {
    return andThen(this.#dh(privateKey, enc), (shared) =>
      andThen(this.#primitives.kem.publicKeyOf(privateKey), (publicKey) =>
        this.#extractAndExpand(shared, enc, publicKey),
      ),
    );
  }

  /** DeriveKeyPair, RFC 9180 §7.1.3. */
  deriveKeyPair(ikm: Uint8Array): MaybePromise<HpkeKeyPair> {
    const privateKey = this.#derivePrivateKey(ikm);
    return andThen(this.#primitives.kem.publicKeyOf(privateKey), (publicKey) => ({
      publicKey,
      privateKey,
    }));
  }

  #derivePrivateKey(ikm: Uint8Array): Uint8Array {
    const size = this.#suite.kem.privateKeySize;
    const prk = this.#kdf.extract(NOTHING, DKP_PRK, ikm);
    const range = this.#range;
    if (range === undefined) {
      const privateKey = this.#kdf.expand(prk, SK, NOTHING, size);
      prk.fill(0);
      return privateKey;
    }
    for (let counter = 0; counter <= 255; counter++) {
      const candidate = this.#kdf.expand(prk, CANDIDATE, new Uint8Array([counter]), size);
      candidate[0] = (candidate[0] ?? 0) & range.bitmask;
      if (isScalar(candidate, range.order)) {
        prk.fill(0);
        return candidate;
      }
    }
    throw new ProviderError("DeriveKeyPair found no private key");
  }

  #dh(privateKey: Uint8Array, publicKey: Uint8Array): MaybePromise<Uint8Array> {
    return attempt(() => this.#primitives.kem.dh(privateKey, publicKey), rethrowAsInvalidKey);
  }

  #encapsulated(enc: Uint8Array, shared: Uint8Array, publicKey: Uint8Array): Encapsulated {
    return { enc, sharedSecret: this.#extractAndExpand(shared, enc, publicKey) };
  }

  #extractAndExpand(shared: Uint8Array, enc: Uint8Array, publicKey: Uint8Array): Uint8Array {
    // A low-order public key makes the secret known to everyone, RFC 9180 §7.1.4.
    if (isAllZero(shared)) throw invalidPublicKey();
    const prk = this.#kdf.extract(NOTHING, EAE_PRK, shared);
    shared.fill(0);
    const context = join(enc, publicKey);
    const secret = this.#kdf.expand(prk, SHARED_SECRET, context, this.#suite.kem.sharedSecretSize);
    prk.fill(0);
    return secret;
  }
}

/** A uniformly random private key, by rejection for NIST curves. */
export function randomPrivateKey(
  source: { randomBytes(length: number): Uint8Array },
  size: number,
  range: ScalarRange | undefined,
): Uint8Array {
  if (range === undefined) return source.randomBytes(size);
  for (let attempts = 0; attempts < 256; attempts++) {
    const candidate = source.randomBytes(size);
    candidate[0] = (candidate[0] ?? 0) & range.bitmask;
    if (isScalar(candidate, range.order)) return candidate;
  }
  throw new ProviderError("the random source yields no usable private key");
}

/** Concatenation; the usual one takes a spread, which costs more than the copying here. */
export function join(
  a: Uint8Array,
  b: Uint8Array,
  c: Uint8Array = NOTHING,
  d: Uint8Array = NOTHING,
  e: Uint8Array = NOTHING,
): Uint8Array {
  const bc = a.length + b.length;
  const cd = bc + c.length;
  const de = cd + d.length;
  const out = new Uint8Array(de + e.length);
  out.set(a);
  out.set(b, a.length);
  out.set(c, bc);
  out.set(d, cd);
  out.set(e, de);
  return out;
}

/** With lengths and private keys checked before, only the public key can make the group fail. */
function rethrowAsInvalidKey(error: unknown): never {
  throw MlsError.is(error) ? error : invalidPublicKey();
}

const NOTHING: Uint8Array = /* @__PURE__ */ new Uint8Array(0);
const DKP_PRK: Uint8Array = /* @__PURE__ */ utf8("dkp_prk");
const SK: Uint8Array = /* @__PURE__ */ utf8("sk");
const CANDIDATE: Uint8Array = /* @__PURE__ */ utf8("candidate");
const EAE_PRK: Uint8Array = /* @__PURE__ */ utf8("eae_prk");
const SHARED_SECRET: Uint8Array = /* @__PURE__ */ utf8("shared_secret");
const HASH_SIZE = { sha256: 32, sha384: 48, sha512: 64 } as const;
