/**
 * The limit of an operation: the calls it makes to the provider, made again without the rest. What is
 * recorded is copied, because mlskit erases its secrets and reuses its buffers, and one array stays one
 * array, because providers recognise keys by it.
 */
import type { CryptoProvider, SuiteCrypto } from "./internals.ts";

type Method = (...parameters: readonly unknown[]) => unknown;

/** One call, to be made again on any provider of the suite. */
interface Call {
  readonly name: string;
  readonly parameters: readonly unknown[];
}

export interface Recording {
  /** How often each primitive was called; `sealMany` and `verifyMany` count their jobs. */
  readonly counts: Readonly<Record<string, number>>;
  readonly replay: (crypto: SuiteCrypto) => Promise<void>;
}

/** Passes everything on to a provider, and takes notes when told to. */
export class Recorder {
  #calls: Call[] | undefined;
  #copies = new WeakMap<Uint8Array, Uint8Array>();

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

  start(): void {
    this.#calls = [];
    this.#copies = new WeakMap();
  }

  stop(): Recording {
    const calls = this.#calls ?? [];
    this.#calls = undefined;
    return { counts: count(calls), replay: (crypto) => replay(calls, crypto) };
  }

  #wrapSuite(crypto: SuiteCrypto): SuiteCrypto {
    const methods: Record<string, Method> = {};
    const target = crypto as unknown as Readonly<Record<string, Method>>;
    for (const name of PRIMITIVES) {
      methods[name] = (...parameters) => {
        this.#calls?.push({ name, parameters: parameters.map((value) => this.#copy(value)) });
        return target[name]?.call(crypto, ...parameters);
      };
    }
    const own = { suite: crypto.suite, providerName: crypto.providerName };
    return { ...own, ...methods } as unknown as SuiteCrypto;
  }

  #copy(value: unknown): unknown {
    if (value instanceof Uint8Array) return this.#copyBytes(value);
    if (Array.isArray(value)) return value.map((entry) => this.#copy(entry));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, entry]) => [key, this.#copy(entry)]);
    return Object.fromEntries(entries) as unknown;
  }

  #copyBytes(bytes: Uint8Array): Uint8Array {
    const known = this.#copies.get(bytes);
    if (known !== undefined && Buffer.compare(known, bytes) === 0) return known;
    const copy = bytes.slice();
    this.#copies.set(bytes, copy);
    return copy;
  }
}

async function replay(calls: readonly Call[], crypto: SuiteCrypto): Promise<void> {
  const target = crypto as unknown as Readonly<Record<string, Method>>;
  for (const { name, parameters } of calls) {
    const result = target[name]?.call(crypto, ...parameters);
    if (result instanceof Promise) await result;
  }
}

function count(calls: readonly Call[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name, parameters } of calls) {
    const single = SINGLE_FORMS[name];
    const jobs = parameters.at(-1);
    const many = single !== undefined && Array.isArray(jobs) ? jobs.length : 1;
    const key = single ?? name;
    counts[key] = (counts[key] ?? 0) + many;
  }
  return counts;
}

const SINGLE_FORMS: Readonly<Record<string, string>> = { sealMany: "seal", verifyMany: "verify" };

const PRIMITIVES = [
  "randomBytes",
  "hash",
  "hmac",
  "extract",
  "expand",
  "aeadSeal",
  "aeadOpen",
  "generateKeyPair",
  "deriveKeyPair",
  "publicKeyOf",
  "isValidPublicKey",
  "seal",
  "sealMany",
  "open",
  "sendExport",
  "receiveExport",
  "generateSignatureKeyPair",
  "signaturePublicKeyOf",
  "isValidSignatureKey",
  "sign",
  "verify",
  "verifyMany",
] as const;
