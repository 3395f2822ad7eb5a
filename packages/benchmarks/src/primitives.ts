/** Carries out the calls of a limit by a provider, with nothing around them. */
import type { SealJob, SuiteCrypto, VerifyJob } from "./internals.ts";
import type { Step } from "./limits.ts";

type Work = () => unknown;

/** All calls of a limit. */
export interface PreparedLimit {
  /** Outside of all timers, before each run: what is never the same twice. */
  renew(): Promise<void>;
  run(crypto: SuiteCrypto): Promise<void>;
}

interface PreparedStep {
  readonly renew?: () => Promise<void>;
  readonly run: (crypto: SuiteCrypto) => unknown;
}

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
  async prepare(steps: readonly Step[]): Promise<PreparedLimit> {
    const prepared: PreparedStep[] = [];
    for (const step of steps) if (step.count > 0) prepared.push(await this.#prepareOne(step));
    return {
      async renew() {
        for (const step of prepared) await step.renew?.();
      },
      async run(crypto) {
        for (const step of prepared) {
          const result = step.run(crypto);
          if (result instanceof Promise) await result;
        }
      },
    };
  }

  async #prepareOne(step: Step): Promise<PreparedStep> {
    switch (step.call) {
      case "verify":
        return this.#prepareVerify(step);
      case "seal":
        return this.#prepareSeal(step);
      case "open":
        return this.#prepareOpen(step);
      default:
        return { run: await this.#prepareRepeated(step) };
    }
  }

  async #prepareRepeated({ call, count, size }: Step): Promise<PreparedStep["run"]> {
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
      case "sendExport": {
        const { publicKey } = await this.#recipient(0);
        return (crypto) => crypto.sendExport(publicKey, data, EMPTY, kdf.size);
      }
      default:
        throw new Error(`${call} is not just repeated`);
    }
  }

  async #prepareVerify(step: Step): Promise<PreparedStep> {
    const message = this.#crypto.randomBytes(step.size);
    let jobs = await this.#verifyJobs(step, message, this.#signers);
    const run = (crypto: SuiteCrypto): unknown => {
      const [only] = jobs;
      if (jobs.length > 1 || only === undefined) return crypto.verifyMany(jobs);
      return crypto.verify(only.publicKey, only.message, only.signature);
    };
    if (step.newKeys !== true) return { run };
    const renew = async (): Promise<void> => {
      jobs = await this.#verifyJobs(step, message, []);
    };
    return { run, renew };
  }

  async #prepareSeal(step: Step): Promise<PreparedStep> {
    const info = this.#crypto.randomBytes(step.size);
    let jobs = await this.#sealJobs(step, this.#recipients);
    const run = (crypto: SuiteCrypto): unknown => crypto.sealMany(info, jobs);
    if (step.newKeys !== true) return { run };
    const renew = async (): Promise<void> => {
      jobs = await this.#sealJobs(step, []);
    };
    return { run, renew };
  }

  /** Each message is encrypted under a key of its own, which the receiver has never seen. */
  async #prepareOpen({ count, size }: Step): Promise<PreparedStep> {
    const info = this.#crypto.randomBytes(size);
    const secret = this.#crypto.randomBytes(this.#crypto.suite.kdf.size);
    const { publicKey, privateKey } = await this.#recipient(0);
    const seal = async () => this.#crypto.seal(publicKey, info, EMPTY, secret);
    let sealed = await seal();
    return {
      run: (crypto) => repeat(count, () => crypto.open(privateKey, sealed, info, EMPTY)),
      async renew() {
        sealed = await seal();
      },
    };
  }

  async #sealJobs({ count }: Step, recipients: KeyPair[]): Promise<SealJob[]> {
    const plaintext = this.#crypto.randomBytes(this.#crypto.suite.kdf.size);
    const jobs: SealJob[] = [];
    for (let i = 0; i < count; i++) {
      const { publicKey } = (recipients[i] ??= await this.#crypto.generateKeyPair());
      jobs.push({ publicKey, plaintext });
    }
    return jobs;
  }

  async #verifyJobs(
    { count, perKey = 1 }: Step,
    message: Uint8Array,
    signers: KeyPair[],
  ): Promise<VerifyJob[]> {
    const jobs: VerifyJob[] = [];
    for (let i = 0; i < count; i++) {
      const at = Math.floor(i / perKey);
      const { publicKey, privateKey } = (signers[at] ??=
        await this.#crypto.generateSignatureKeyPair());
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
