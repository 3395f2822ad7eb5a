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
import { Dhkem } from "./dhkem.ts";
import { expand } from "./hkdf.ts";
import { Hpke } from "./hpke.ts";
import { decryptionFailed, invalidPublicKey } from "./key-format.ts";
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

  constructor(suite: CipherSuite, primitives: SuitePrimitives) {
    this.suite = suite;
    this.providerName = primitives.providerName;
    this.#primitives = primitives;
    this.#kem = new Dhkem(suite, primitives);
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
    const privateKey = kem.format.privateKeys.random(this.#primitives);
    return andThen(kem.publicKeyOf(privateKey), (publicKey) => ({ publicKey, privateKey }));
  }

  deriveKeyPair(ikm: Uint8Array): MaybePromise<HpkeKeyPair> {
    return this.#kem.deriveKeyPair(ikm);
  }

  publicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array> {
    return this.#primitives.kem.publicKeyOf(this.#fullKemKey(privateKey));
  }

  isValidPublicKey(publicKey: Uint8Array): MaybePromise<boolean> {
    const kem = this.#primitives.kem;
    if (!kem.format.isPublicKey(publicKey)) return false;
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
    const { signature } = this.#primitives;
    const privateKey = signature.format.privateKeys.random(this.#primitives);
    return andThen(signature.publicKeyOf(privateKey), (publicKey) => ({
      publicKey,
      privateKey,
    }));
  }

  signaturePublicKeyOf(privateKey: Uint8Array): MaybePromise<Uint8Array> {
    return this.#primitives.signature.publicKeyOf(this.#fullSignatureKey(privateKey));
  }

  isValidSignatureKey(publicKey: Uint8Array): MaybePromise<boolean> {
    const signature = this.#primitives.signature;
    if (!signature.format.isPublicKey(publicKey)) return false;
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

  #checkKemFormat(publicKey: Uint8Array): void {
    if (!this.#primitives.kem.format.isPublicKey(publicKey)) throw invalidPublicKey();
  }

  /** mk-19 and mk-20, so that every back end refuses the same inputs. */
  #isWellFormed(publicKey: Uint8Array, signature: Uint8Array): boolean {
    const { format } = this.#primitives.signature;
    return format.isPublicKey(publicKey) && format.isSignature(signature);
  }

  #fullKemKey(privateKey: Uint8Array): Uint8Array {
    return this.#primitives.kem.format.privateKeys.complete(privateKey);
  }

  #fullSignatureKey(privateKey: Uint8Array): Uint8Array {
    return this.#primitives.signature.format.privateKeys.complete(privateKey);
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
