/** Carries out the calls of a limit by a provider, with nothing around them. */
import type { SealJob, SuiteCrypto, VerifyJob } from "./internals.ts";
import type { Step } from "./limits.ts";

type Work = () => unknown;

interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** Inputs that calls of all limits of one suite share; made once, outside of all timers. */
export class Primitives {
  readonly #crypto: SuiteCrypto;
  readonly #signers: KeyPair[] = [];
  readonly #recipients: KeyPair[] = [];

  constructor(crypto: SuiteCrypto) {
    this.#crypto = crypto;
  }

  /** All steps, ready to be run on any provider of the suite as often as wanted. */
  async prepare(steps: readonly Step[]): Promise<(crypto: SuiteCrypto) => Promise<void>> {
    const prepared: ((crypto: SuiteCrypto) => unknown)[] = [];
    for (const step of steps) if (step.count > 0) prepared.push(await this.#prepareOne(step));
    return async (crypto) => {
      for (const run of prepared) {
        const result = run(crypto);
        if (result instanceof Promise) await result;
      }
    };
  }

  async #prepareOne(step: Step): Promise<(crypto: SuiteCrypto) => unknown> {
    const { call, count, size } = step;
    const { kdf, aead } = this.#crypto.suite;
    const data = this.#crypto.randomBytes(size);
    const secret = this.#crypto.randomBytes(kdf.size);
    const key = this.#crypto.randomBytes(aead.keySize);
    const nonce = this.#crypto.randomBytes(aead.nonceSize);
    switch (call) {
      case "hash":
        return (crypto) => repeat(count, () => crypto.hash(data));
      case "hmac":
        return (crypto) => repeat(count, () => crypto.hmac(secret, data));
      case "generateKeyPair":
        return (crypto) => repeat(count, () => crypto.generateKeyPair());
      case "deriveKeyPair":
        return (crypto) => repeat(count, () => crypto.deriveKeyPair(secret));
      case "aeadSeal":
        return (crypto) => repeat(count, () => crypto.aeadSeal(key, nonce, AAD, data));
      case "aeadOpen": {
        const sealed = this.#crypto.aeadSeal(key, nonce, AAD, data);
        return (crypto) => repeat(count, () => crypto.aeadOpen(key, nonce, AAD, sealed));
      }
      case "sign": {
        const { privateKey } = await this.#signer(0);
        return (crypto) => repeat(count, () => crypto.sign(privateKey, data));
      }
      case "verify": {
        const jobs = await this.#verifyJobs(step, data);
        const [only] = jobs;
        if (jobs.length > 1 || only === undefined) return (crypto) => crypto.verifyMany(jobs);
        const { publicKey, message, signature } = only;
        return (crypto) => crypto.verify(publicKey, message, signature);
      }
      case "seal": {
        const jobs: SealJob[] = [];
        for (let i = 0; i < count; i++) {
          jobs.push({ publicKey: (await this.#recipient(i)).publicKey, plaintext: secret });
        }
        return (crypto) => crypto.sealMany(data, jobs);
      }
      case "open": {
        const { publicKey, privateKey } = await this.#recipient(0);
        const sealed = await this.#crypto.seal(publicKey, data, EMPTY, secret);
        return (crypto) => repeat(count, () => crypto.open(privateKey, sealed, data, EMPTY));
      }
      case "sendExport": {
        const { publicKey } = await this.#recipient(0);
        return (crypto) => crypto.sendExport(publicKey, data, EMPTY, kdf.size);
      }
    }
  }

  async #verifyJobs({ count, perKey = 1 }: Step, message: Uint8Array): Promise<VerifyJob[]> {
    const jobs: VerifyJob[] = [];
    for (let i = 0; i < count; i++) {
      const { publicKey, privateKey } = await this.#signer(Math.floor(i / perKey));
      const signature = await this.#crypto.sign(privateKey, message);
      jobs.push({ publicKey, message, signature });
    }
    return jobs;
  }

  async #signer(index: number): Promise<KeyPair> {
    return (this.#signers[index] ??= await this.#crypto.generateSignatureKeyPair());
  }

  async #recipient(index: number): Promise<KeyPair> {
    return (this.#recipients[index] ??= await this.#crypto.generateKeyPair());
  }
}

/** One after the other, as an operation would. */
function repeat(count: number, work: Work): Promise<void> | undefined {
  for (let i = 0; i < count; i++) {
    const result = work();
    if (result instanceof Promise) return repeatLater(result, count - i - 1, work);
  }
  return undefined;
}

async function repeatLater(first: Promise<unknown>, left: number, work: Work): Promise<void> {
  await first;
  for (let i = 0; i < left; i++) await work();
}

const EMPTY: Uint8Array = new Uint8Array();
const AAD: Uint8Array = new Uint8Array(60);
