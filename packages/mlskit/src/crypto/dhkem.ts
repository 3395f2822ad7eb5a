/** DHKEM(Group, HKDF): encapsulation and key derivation. RFC 9180 §4.1, §7.1.3. */
import { EMPTY_BYTES, isAllZero, utf8 } from "../codec/bytes.ts";
import { lendEncoding } from "../codec/scratch.ts";
import type { Writer } from "../codec/writer.ts";
import { MlsError } from "../errors.ts";
import type { CipherSuite } from "./cipher-suite.ts";
import type { HpkeKeyPair, MaybePromise } from "./crypto-provider.ts";
import { checkExpandedLength, expand, type Hmac, truncate } from "./hkdf.ts";
import { invalidPublicKey } from "./key-format.ts";
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
    return lendEncoding(
      (writer) => this.#write(writer, label, ikm),
      (labeled) => this.#hmac(salt, labeled),
    );
  }

  expand(prk: Uint8Array, label: Uint8Array, info: Uint8Array, length: number): Uint8Array {
    checkExpandedLength(this.#size, length);
    const isShort = length <= this.#size;
    return lendEncoding(
      (writer) => {
        writer.uint16(length);
        this.#write(writer, label, info);
        // Up to one hash, HKDF-Expand is a single HMAC over the info and a counter of 1.
        if (isShort) writer.uint8(1);
      },
      (labeled) =>
        isShort
          ? truncate(this.#hmac(prk, labeled), length)
          : expand(this.#hmac, this.#size, prk, labeled, length),
    );
  }

  #write(writer: Writer, label: Uint8Array, data: Uint8Array): void {
    writer.bytes(VERSION);
    writer.bytes(this.#suiteId);
    writer.bytes(label);
    writer.bytes(data);
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
  readonly #kdf: LabeledHkdf;

  constructor(suite: CipherSuite, primitives: SuitePrimitives) {
    this.#suite = suite;
    this.#primitives = primitives;
    const hmac: Hmac =
      primitives.kemHmac === undefined
        ? (key, data) => primitives.hmac(key, data)
        : primitives.kemHmac.bind(primitives);
    const id = suite.kem.id;
    const suiteId = join(utf8("KEM"), new Uint8Array([id >> 8, id & 0xff]));
    this.#kdf = new LabeledHkdf(hmac, HASH_SIZE[suite.kem.hash], suiteId);
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
    const privateKey = kem.format.privateKeys.random(this.#primitives);
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
    const prk = this.#kdf.extract(EMPTY_BYTES, DKP_PRK, ikm);
    const privateKey = this.#primitives.kem.format.privateKeys.derive((label, info, length) =>
      this.#kdf.expand(prk, utf8(label), info, length),
    );
    prk.fill(0);
    return privateKey;
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
    const prk = this.#kdf.extract(EMPTY_BYTES, EAE_PRK, shared);
    shared.fill(0);
    const context = join(enc, publicKey);
    const secret = this.#kdf.expand(prk, SHARED_SECRET, context, this.#suite.kem.sharedSecretSize);
    prk.fill(0);
    return secret;
  }
}

/** Concatenation; the usual one takes a spread, which costs more than the copying here. */
export function join(
  a: Uint8Array,
  b: Uint8Array,
  c: Uint8Array = EMPTY_BYTES,
  d: Uint8Array = EMPTY_BYTES,
  e: Uint8Array = EMPTY_BYTES,
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

const DKP_PRK: Uint8Array = /* @__PURE__ */ utf8("dkp_prk");
const EAE_PRK: Uint8Array = /* @__PURE__ */ utf8("eae_prk");
const SHARED_SECRET: Uint8Array = /* @__PURE__ */ utf8("shared_secret");
const HASH_SIZE = { sha256: 32, sha384: 48, sha512: 64 } as const;
