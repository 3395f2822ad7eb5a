/** Counts the calls that reach a provider. */
import type { CryptoProvider, SuiteCrypto } from "../src/internals.ts";
import type { Primitive } from "../src/limits.ts";

type Method = (...parameters: readonly unknown[]) => unknown;

export type Counts = Partial<Record<Primitive, number>>;

/** Passes everything on to a provider, and counts when told to. */
export class CallCounter {
  #counts: Counts | undefined;

  wrap(provider: CryptoProvider): CryptoProvider {
    const wrapped = new Map<number, SuiteCrypto>();
    return {
      name: provider.name,
      suites: provider.suites,
      suite: (id) => {
        const known = wrapped.get(id) ?? this.#wrapSuite(provider.suite(id));
        wrapped.set(id, known);
        return known;
      },
    };
  }

  async count(work: () => Promise<unknown>): Promise<Counts> {
    const counts: Counts = {};
    this.#counts = counts;
    await work();
    this.#counts = undefined;
    return counts;
  }

  #wrapSuite(crypto: SuiteCrypto): SuiteCrypto {
    const target = crypto as unknown as Readonly<Record<string, Method>>;
    const methods: Record<string, Method> = {};
    for (const [name, primitive] of Object.entries(PRIMITIVES)) {
      methods[name] = (...parameters) => {
        this.#add(primitive, numberOf(name, parameters));
        return target[name]?.call(crypto, ...parameters);
      };
    }
    for (const name of UNCOUNTED) methods[name] = (...all) => target[name]?.call(crypto, ...all);
    const { suite, providerName } = crypto;
    return { suite, providerName, ...methods } as unknown as SuiteCrypto;
  }

  #add(primitive: Primitive, number: number): void {
    if (this.#counts === undefined) return;
    this.#counts[primitive] = (this.#counts[primitive] ?? 0) + number;
  }
}

/** Batch forms count as many calls as they have jobs. */
function numberOf(name: string, parameters: readonly unknown[]): number {
  const jobs = parameters.at(-1);
  return name.endsWith("Many") && Array.isArray(jobs) ? jobs.length : 1;
}

const PRIMITIVES: Readonly<Record<string, Primitive>> = {
  hash: "hash",
  hmac: "hmac",
  extract: "hmac",
  expand: "hmac",
  aeadSeal: "aeadSeal",
  aeadOpen: "aeadOpen",
  generateKeyPair: "generateKeyPair",
  deriveKeyPair: "deriveKeyPair",
  seal: "seal",
  sealMany: "seal",
  open: "open",
  sendExport: "sendExport",
  sign: "sign",
  verify: "verify",
  verifyMany: "verify",
};

const UNCOUNTED = [
  "randomBytes",
  "publicKeyOf",
  "isValidPublicKey",
  "receiveExport",
  "generateSignatureKeyPair",
  "signaturePublicKeyOf",
  "isValidSignatureKey",
] as const;
