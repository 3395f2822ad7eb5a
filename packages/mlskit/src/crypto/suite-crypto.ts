/** SuiteCrypto over a back end's primitives: format checks, HKDF, HPKE, error mapping. RFC 9420 §5.1. */
import { MlsError, ProviderError, UsageError } from "../errors.ts";
import type { CipherSuite } from "./cipher-suite.ts";
import type {
  HpkeKeyPair,
  HpkePsk,
  MaybePromise,
  SealedMessage,
  SealJob,
  SignatureKeyPair,
  SuiteCrypto,
  VerifyJob,
} from "./crypto-provider.ts";
import { Dhkem, randomPrivateKey } from "./dhkem.ts";
import { parseDerSignature } from "./ecdsa-der.ts";
import { isSafePoint } from "./eddsa-points.ts";
import { expand } from "./hkdf.ts";
import { Hpke } from "./hpke.ts";
import {
  decryptionFailed,
  fullPrivateKey,
  invalidPublicKey,
  isLowOrder,
  looksUncompressed,
  nistCurve,
  type ScalarRange,
  scalarRange,
} from "./key-encoding.ts";
import { all, andThen, attempt } from "./maybe-promise.ts";
import type { SuitePrimitives } from "./suite-primitives.ts";

/** Completes a back end's primitives to everything mlskit needs from a suite. */
export function createSuiteCrypto(suite: CipherSuite, primitives: SuitePrimitives): SuiteCrypto {
  if (suite.kem.hash !== suite.kdf.hash && primitives.kemHmac === undefined) {
    throw new UsageError("INVALID_SUITE", "the KEM's hash differs and kemHmac is missing");
  }
  return new ComposedSuiteCrypto(suite, primitives);
}

class ComposedSuiteCrypto implements SuiteCrypto {
  readonly suite: CipherSuite;
  readonly providerName: string;
  readonly #primitives: SuitePrimitives;
  readonly #kem: Dhkem;
  readonly #hpke: Hpke;
  readonly #kemRange: ScalarRange | undefined;
  readonly #signatureRange: ScalarRange | undefined;
  readonly #signatureKeySize: number;

  constructor(suite: CipherSuite, primitives: SuitePrimitives) {
    this.suite = suite;
    this.providerName = primitives.providerName;
    this.#primitives = primitives;
    const kemCurve = nistCurve(suite.kem.group);
    const signatureCurve = nistCurve(suite.signature.name);
    this.#kemRange = kemCurve === undefined ? undefined : scalarRange(kemCurve);
    this.#signatureRange = signatureCurve === undefined ? undefined : scalarRange(signatureCurve);
    this.#signatureKeySize = this.#signatureRange?.order.length ?? suite.signature.publicKeySize;
    this.#kem = new Dhkem(suite, primitives, this.#kemRange);
    this.#hpke = new Hpke(suite, primitives, this.#kem);
  }

  randomBytes(length: number): Uint8Array {
    return this.#primitives.randomBytes(length);
  }

  hash(data: Uint8Array): Uint8Array {
    return this.#primitives.hash(data);
  }

  hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
    return this.#primitives.hmac(key, data);
  }

  extract(salt: Uint8Array, ikm: Uint8Array): Uint8Array {
    // An empty salt is a string of zeros, RFC 5869 §2.2; HMAC pads keys with zeros anyway.
    return this.#primitives.hmac(salt, ikm);
  }

  expand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
    const primitives = this.#primitives;
    return expand(
      (key, data) => primitives.hmac(key, data),
      this.suite.kdf.size,
      prk,
      info,
      length,
    );
  }

  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#checkAeadSizes(key, nonce);
    return this.#primitives.aeadSeal(key, nonce, aad, plaintext);
  }

  aeadOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array {
    this.#checkAeadSizes(key, nonce);
    if (ciphertext.length < this.suite.aead.tagSize) throw decryptionFailed();
    try {
      return this.#primitives.aeadOpen(key, nonce, aad, ciphertext);
    } catch {
      throw decryptionFailed();
    }
  }

  generateKeyPair(): MaybePromise<HpkeKeyPair> {
    const kem = this.#primitives.kem;
    if (kem.generateKeyPair !== undefined) return kem.generateKeyPair();
    const privateKey = this.#kem.randomPrivateKey();
    return andThen(kem.publicKeyOf(privateKey), (publicKey) => ({ publicKey, privateKey }));
  }

  deriveKeyPair(ikm: Uint8Array): MaybePromise<HpkeKeyPair> {
    return this.#kem.deriveKeyPair(ikm);
  }

  publicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array> {
    return this.#primitives.kem.publicKeyOf(this.#fullKemKey(privateKey));
  }

  isValidPublicKey(publicKey: Uint8Array): MaybePromise<boolean> {
    if (!this.#hasKemFormat(publicKey)) return false;
    const kem = this.#primitives.kem;
    if (kem.isOnCurve === undefined) return true;
    return attempt(() => kem.isOnCurve?.(publicKey) ?? true, no);
  }

  seal(
    publicKey: Uint8Array,
    info: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    psk?: HpkePsk,
  ): MaybePromise<SealedMessage> {
    this.#checkKemFormat(publicKey);
    return this.#hpke.seal(publicKey, info, aad, plaintext, psk);
  }

  sealMany(info: Uint8Array, jobs: readonly SealJob[]): MaybePromise<readonly SealedMessage[]> {
    for (const job of jobs) this.#checkKemFormat(job.publicKey);
    return this.#primitives.sealMany?.(info, jobs) ?? this.#hpke.sealMany(info, jobs);
  }

  open(
    privateKey: Uint8Array,
    sealed: SealedMessage,
    info: Uint8Array,
    aad: Uint8Array,
    psk?: HpkePsk,
  ): MaybePromise<Uint8Array> {
    const full = this.#fullKemKey(privateKey);
    this.#checkKemFormat(sealed.kemOutput);
    return this.#hpke.open(full, sealed, info, aad, psk);
  }

  sendExport(
    publicKey: Uint8Array,
    info: Uint8Array,
    context: Uint8Array,
    length: number,
  ): MaybePromise<{ readonly kemOutput: Uint8Array; readonly secret: Uint8Array }> {
    this.#checkKemFormat(publicKey);
    return this.#hpke.sendExport(publicKey, info, context, length);
  }

  receiveExport(
    privateKey: Uint8Array,
    kemOutput: Uint8Array,
    info: Uint8Array,
    context: Uint8Array,
    length: number,
  ): MaybePromise<Uint8Array> {
    const full = this.#fullKemKey(privateKey);
    this.#checkKemFormat(kemOutput);
    return this.#hpke.receiveExport(full, kemOutput, info, context, length);
  }

  generateSignatureKeyPair(): MaybePromise<SignatureKeyPair> {
    const privateKey = randomPrivateKey(
      this.#primitives,
      this.#signatureKeySize,
      this.#signatureRange,
    );
    return andThen(this.#primitives.signature.publicKeyOf(privateKey), (publicKey) => ({
      publicKey,
      privateKey,
    }));
  }

  signaturePublicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array> {
    return this.#primitives.signature.publicKeyOf(this.#fullSignatureKey(privateKey));
  }

  isValidSignatureKey(publicKey: Uint8Array): MaybePromise<boolean> {
    if (!this.#hasSignatureKeyFormat(publicKey)) return false;
    const signature = this.#primitives.signature;
    if (signature.isOnCurve === undefined) return true;
    return attempt(() => signature.isOnCurve?.(publicKey) ?? true, no);
  }

  sign(privateKey: Uint8Array, message: Uint8Array): MaybePromise<Uint8Array> {
    const full = this.#fullSignatureKey(privateKey);
    return attempt(() => this.#primitives.signature.sign(full, message), providerFailed);
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): MaybePromise<boolean> {
    if (!this.#isWellFormed(publicKey, signature)) return false;
    return attempt(() => this.#primitives.signature.verify(publicKey, message, signature), no);
  }

  verifyMany(jobs: readonly VerifyJob[]): MaybePromise<readonly boolean[]> {
    const scheme = this.#primitives.signature;
    if (scheme.verifyMany === undefined || jobs.length < 2) return this.#verifyEach(jobs);
    const wellFormed = jobs.filter((job) => this.#isWellFormed(job.publicKey, job.signature));
    return andThen(scheme.verifyMany(wellFormed), (results) => {
      const valid = new Set(wellFormed.filter((_, i) => results[i] === true));
      return jobs.map((job) => valid.has(job));
    });
  }

  #verifyEach(jobs: readonly VerifyJob[]): MaybePromise<readonly boolean[]> {
    return all(jobs.map((job) => this.verify(job.publicKey, job.message, job.signature)));
  }

  #hasKemFormat(publicKey: Uint8Array): boolean {
    const { group, publicKeySize } = this.suite.kem;
    if (group === "x25519" || group === "x448") {
      return publicKey.length === publicKeySize && !isLowOrder(group, publicKey);
    }
    return looksUncompressed(publicKey, publicKeySize);
  }

  #checkKemFormat(publicKey: Uint8Array): void {
    if (!this.#hasKemFormat(publicKey)) throw invalidPublicKey();
  }

  #hasSignatureKeyFormat(publicKey: Uint8Array): boolean {
    const { name, publicKeySize } = this.suite.signature;
    if (name === "ed25519" || name === "ed448") return isSafePoint(name, publicKey);
    return looksUncompressed(publicKey, publicKeySize);
  }

  /** mk-19 and mk-20, so that every back end refuses the same inputs. */
  #isWellFormed(publicKey: Uint8Array, signature: Uint8Array): boolean {
    if (!this.#hasSignatureKeyFormat(publicKey)) return false;
    const { name, publicKeySize } = this.suite.signature;
    if (name === "ed25519" || name === "ed448") {
      // R || S, each as long as a public key.
      const half = signature.subarray(0, publicKeySize);
      return signature.length === 2 * publicKeySize && isSafePoint(name, half);
    }
    return parseDerSignature(signature, this.#signatureKeySize) !== undefined;
  }

  #fullKemKey(privateKey: Uint8Array): Uint8Array {
    return fullPrivateKey(privateKey, this.suite.kem.privateKeySize, this.#kemRange);
  }

  #fullSignatureKey(privateKey: Uint8Array): Uint8Array {
    return fullPrivateKey(privateKey, this.#signatureKeySize, this.#signatureRange);
  }

  #checkAeadSizes(key: Uint8Array, nonce: Uint8Array): void {
    const { keySize, nonceSize } = this.suite.aead;
    if (key.length !== keySize || nonce.length !== nonceSize) {
      throw new UsageError(
        "INVALID_LENGTH",
        `${this.suite.aead.name} key or nonce length is wrong`,
      );
    }
  }
}

function no(): false {
  return false;
}

function providerFailed(error: unknown): never {
  if (MlsError.is(error)) throw error;
  throw new ProviderError("signing failed", { cause: error });
}
