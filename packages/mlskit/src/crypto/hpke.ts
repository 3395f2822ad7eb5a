/** Single-shot HPKE and secret export, base and PSK mode. RFC 9180 §5.1, §5.3, §6.1. */
import { EMPTY_BYTES, utf8 } from "../codec/bytes.ts";
import { UsageError } from "../errors.ts";
import type { CipherSuite } from "./cipher-suite.ts";
import type { HpkePsk, MaybePromise, SealedMessage, SealJob } from "./crypto-provider.ts";
import { type Dhkem, type Encapsulated, join, LabeledHkdf } from "./dhkem.ts";
import { decryptionFailed } from "./key-format.ts";
import { all, andThen } from "./maybe-promise.ts";
import type { SuitePrimitives } from "./suite-primitives.ts";

const MODE_BASE = 0x00;
const MODE_PSK = 0x01;

/** HPKE of one suite. Keys must have passed their format checks. */
export class Hpke {
  readonly #suite: CipherSuite;
  readonly #primitives: SuitePrimitives;
  readonly #kem: Dhkem;
  readonly #kdf: LabeledHkdf;
  #emptyPskIdHash: Uint8Array | undefined;

  constructor(suite: CipherSuite, primitives: SuitePrimitives, kem: Dhkem) {
    this.#suite = suite;
    this.#primitives = primitives;
    this.#kem = kem;
    const ids = [suite.kem.id, suite.kdf.id, suite.aead.id];
    const suiteId = join(utf8("HPKE"), Uint8Array.from(ids.flatMap((id) => [id >> 8, id & 0xff])));
    this.#kdf = new LabeledHkdf((key, data) => primitives.hmac(key, data), suite.kdf.size, suiteId);
  }

  seal(
    publicKey: Uint8Array,
    info: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    psk: HpkePsk | undefined,
  ): MaybePromise<SealedMessage> {
    const context = this.#context(info, psk);
    return andThen(this.#kem.encapsulate(publicKey), (made) =>
      this.#sealWith(made, context, aad, plaintext, psk),
    );
  }

  /** The context depends on `info` only, so it is hashed once for all jobs. */
  sealMany(info: Uint8Array, jobs: readonly SealJob[]): MaybePromise<readonly SealedMessage[]> {
    const context = this.#context(info, undefined);
    return all(
      jobs.map((job) =>
        andThen(this.#kem.encapsulate(job.publicKey), (made) =>
          this.#sealWith(made, context, EMPTY_BYTES, job.plaintext, undefined),
        ),
      ),
    );
  }

  open(
    privateKey: Uint8Array,
    sealed: SealedMessage,
    info: Uint8Array,
    aad: Uint8Array,
    psk: HpkePsk | undefined,
  ): MaybePromise<Uint8Array> {
    const context = this.#context(info, psk);
    return andThen(this.#kem.decapsulate(privateKey, sealed.kemOutput), (sharedSecret) => {
      const { key, nonce } = this.#keys(sharedSecret, context, psk);
      try {
        return this.#primitives.aeadOpen(key, nonce, aad, sealed.ciphertext);
      } catch {
        throw decryptionFailed();
      } finally {
        key.fill(0);
      }
    });
  }

  sendExport(
    publicKey: Uint8Array,
    info: Uint8Array,
    exporterContext: Uint8Array,
    length: number,
  ): MaybePromise<{ readonly kemOutput: Uint8Array; readonly secret: Uint8Array }> {
    return andThen(this.#kem.encapsulate(publicKey), ({ enc, sharedSecret }) => ({
      kemOutput: enc,
      secret: this.#export(sharedSecret, info, exporterContext, length),
    }));
  }

  receiveExport(
    privateKey: Uint8Array,
    kemOutput: Uint8Array,
    info: Uint8Array,
    exporterContext: Uint8Array,
    length: number,
  ): MaybePromise<Uint8Array> {
    return andThen(this.#kem.decapsulate(privateKey, kemOutput), (sharedSecret) =>
      this.#export(sharedSecret, info, exporterContext, length),
    );
  }

  #sealWith(
    { enc, sharedSecret }: Encapsulated,
    context: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    psk: HpkePsk | undefined,
  ): SealedMessage {
    const { key, nonce } = this.#keys(sharedSecret, context, psk);
    const ciphertext = this.#primitives.aeadSeal(key, nonce, aad, plaintext);
    key.fill(0);
    return { kemOutput: enc, ciphertext };
  }

  #export(
    sharedSecret: Uint8Array,
    info: Uint8Array,
    exporterContext: Uint8Array,
    length: number,
  ): Uint8Array {
    const context = this.#context(info, undefined);
    const secret = this.#secret(sharedSecret, undefined);
    const exporter = this.#kdf.expand(secret, EXP, context, this.#suite.kdf.size);
    secret.fill(0);
    const exported = this.#kdf.expand(exporter, SEC, exporterContext, length);
    exporter.fill(0);
    return exported;
  }

  /** key_schedule_context = mode || psk_id_hash || info_hash. */
  #context(info: Uint8Array, psk: HpkePsk | undefined): Uint8Array {
    const infoHash = this.#kdf.extract(EMPTY_BYTES, INFO_HASH, info);
    if (psk === undefined) {
      this.#emptyPskIdHash ??= this.#kdf.extract(EMPTY_BYTES, PSK_ID_HASH, EMPTY_BYTES);
      return join(new Uint8Array([MODE_BASE]), this.#emptyPskIdHash, infoHash);
    }
    // VerifyPSKInputs, RFC 9180 §5.1.
    if (psk.psk.length === 0 || psk.pskId.length === 0) {
      throw new UsageError("EMPTY_INPUT", "HPKE with a PSK needs both the PSK and its id");
    }
    const pskIdHash = this.#kdf.extract(EMPTY_BYTES, PSK_ID_HASH, psk.pskId);
    return join(new Uint8Array([MODE_PSK]), pskIdHash, infoHash);
  }

  #secret(sharedSecret: Uint8Array, psk: HpkePsk | undefined): Uint8Array {
    const secret = this.#kdf.extract(sharedSecret, SECRET, psk?.psk ?? EMPTY_BYTES);
    sharedSecret.fill(0);
    return secret;
  }

  /** A single shot uses sequence number 0, whose nonce is base_nonce itself. */
  #keys(
    sharedSecret: Uint8Array,
    context: Uint8Array,
    psk: HpkePsk | undefined,
  ): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
    const secret = this.#secret(sharedSecret, psk);
    const key = this.#kdf.expand(secret, KEY, context, this.#suite.aead.keySize);
    const nonce = this.#kdf.expand(secret, BASE_NONCE, context, this.#suite.aead.nonceSize);
    secret.fill(0);
    return { key, nonce };
  }
}

const PSK_ID_HASH: Uint8Array = /* @__PURE__ */ utf8("psk_id_hash");
const INFO_HASH: Uint8Array = /* @__PURE__ */ utf8("info_hash");
const SECRET: Uint8Array = /* @__PURE__ */ utf8("secret");
const KEY: Uint8Array = /* @__PURE__ */ utf8("key");
const BASE_NONCE: Uint8Array = /* @__PURE__ */ utf8("base_nonce");
const EXP: Uint8Array = /* @__PURE__ */ utf8("exp");
const SEC: Uint8Array = /* @__PURE__ */ utf8("sec");
