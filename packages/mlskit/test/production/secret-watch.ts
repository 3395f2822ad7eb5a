/** Sees every secret that a client derives, and knows from which other it came. RFC 9420 §9.2. */
import { Reader, toHex } from "../../src/codec/index.ts";
import type { CryptoProvider, SuiteCrypto } from "../../src/crypto/index.ts";

export interface SeenSecret {
  readonly value: Uint8Array;
  /** Of ExpandWithLabel; "extract", "private key" and "signature key" for the rest. */
  readonly label: string;
  readonly context: Uint8Array;
  /** In hex. */
  readonly parents: readonly string[];
}

export class SecretWatch {
  readonly provider: CryptoProvider;
  /** By value, in hex, in the order of derivation. */
  readonly seen = new Map<string, SeenSecret>();
  readonly #used = new Set<string>();

  constructor(provider: CryptoProvider) {
    const suites = new Map<number, SuiteCrypto>();
    this.provider = {
      name: provider.name,
      suites: provider.suites,
      suite: (id) => {
        const known = suites.get(id) ?? this.#watch(provider.suite(id));
        suites.set(id, known);
        return known;
      },
    };
  }

  withLabel(...labels: readonly string[]): SeenSecret[] {
    return [...this.seen.values()].filter(({ label }) => labels.includes(label));
  }

  /** Keys, nonces and secrets of secret trees that are consumed, as §9.2 defines it. */
  consumed(): SeenSecret[] {
    const consumed = new Set<string>();
    const consume = (hex: string): void => {
      const secret = this.seen.get(hex);
      if (secret === undefined || consumed.has(hex) || !TREE_LABELS.includes(secret.label)) return;
      consumed.add(hex);
      secret.parents.forEach(consume);
    };
    for (const hex of this.#used) {
      const key = this.seen.get(hex);
      // Keys of sender data have a ciphertext sample where message keys have a generation.
      if (key?.label === "key" && key.context.length === GENERATION_SIZE) consume(hex);
    }
    return [...consumed].map((hex) => this.seen.get(hex) as SeenSecret);
  }

  /** Of exporter trees what others were derived from, which is used up then. */
  exported(): SeenSecret[] {
    const parents = new Set([...this.seen.values()].flatMap((secret) => secret.parents));
    const isOfTree = ({ label, parents: from }: SeenSecret): boolean => {
      if (label !== "tree") return label === "application_export";
      return from.some((hex) => {
        const parent = this.seen.get(hex);
        return parent !== undefined && isOfTree(parent);
      });
    };
    const used = [...this.seen].filter(([hex, secret]) => parents.has(hex) && isOfTree(secret));
    return used.map(([, secret]) => secret);
  }

  /**
   * What no store may hold: what is used up where it is made, what is consumed, and what belongs to an
   * epoch that is over. `live` has the authenticators, in hex, of those that are not; the last
   * `joining` epochs are of groups that are still to be entered.
   */
  over(live: ReadonlySet<string>, joining = 0): SeenSecret[] {
    const epochs = this.epochs();
    const ended = epochs.slice(0, epochs.length - joining).filter((epoch) => {
      const authenticator = epoch.get("authentication");
      return authenticator === undefined || !live.has(toHex(authenticator.value));
    });
    return [
      ...this.withLabel(...PASSING_LABELS),
      ...this.consumed(),
      ...this.exported(),
      ...ended.flatMap((epoch) => ENDING_LABELS.flatMap((label) => epoch.get(label) ?? [])),
    ];
  }

  /** Secrets of an epoch by label, for each epoch that was computed, in order. */
  epochs(): ReadonlyMap<string, SeenSecret>[] {
    const epochs = new Map<string, Map<string, SeenSecret>>();
    for (const secret of this.seen.values()) {
      const [parent = ""] = secret.parents;
      if (!EPOCH_LABELS.includes(secret.label)) continue;
      if (this.seen.get(parent)?.label !== "epoch") continue;
      const epoch = epochs.get(parent) ?? new Map<string, SeenSecret>();
      epochs.set(parent, epoch.set(secret.label, secret));
    }
    return [...epochs.values()];
  }

  #add(
    value: Uint8Array,
    label: string,
    context: Uint8Array,
    parents: readonly Uint8Array[],
  ): void {
    const hex = toHex(value);
    if (value.length < MINIMUM || this.seen.has(hex)) return;
    const from = parents.map((parent) => toHex(parent));
    this.seen.set(hex, { value: value.slice(), label, context: context.slice(), parents: from });
  }

  #watch(crypto: SuiteCrypto): SuiteCrypto {
    const none = new Uint8Array();
    const watched: Partial<SuiteCrypto> = {
      extract: (salt, ikm) => {
        const value = crypto.extract(salt, ikm);
        this.#add(value, "extract", none, [salt, ikm]);
        return value;
      },
      expand: (prk, info, length) => {
        const value = crypto.expand(prk, info, length);
        const read = readLabel(info);
        if (read !== undefined) this.#add(value, read.label, read.context, [prk]);
        return value;
      },
      // Expand of one block, if the data ends with its number.
      hmac: (key, data) => {
        const value = crypto.hmac(key, data);
        const read = data.at(-1) === 1 ? readLabel(data.subarray(0, -1)) : undefined;
        if (read === undefined) return value;
        this.#add(value.slice(0, read.length), read.label, read.context, [key]);
        return value;
      },
      aeadSeal: (key, nonce, aad, plaintext) => {
        this.#used.add(toHex(key));
        return crypto.aeadSeal(key, nonce, aad, plaintext);
      },
      aeadOpen: (key, nonce, aad, ciphertext) => {
        const plaintext = crypto.aeadOpen(key, nonce, aad, ciphertext);
        this.#used.add(toHex(key));
        return plaintext;
      },
      generateKeyPair: async () => {
        const pair = await crypto.generateKeyPair();
        this.#add(pair.privateKey, "private key", none, []);
        return pair;
      },
      generateSignatureKeyPair: async () => {
        const pair = await crypto.generateSignatureKeyPair();
        this.#add(pair.privateKey, "signature key", none, []);
        return pair;
      },
      deriveKeyPair: async (ikm) => {
        const pair = await crypto.deriveKeyPair(ikm);
        this.#add(pair.privateKey, "private key", none, [ikm]);
        return pair;
      },
    };
    return new Proxy(crypto, {
      get(target, name) {
        const own: unknown = Reflect.get(watched, name);
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

interface KdfLabel {
  readonly length: number;
  readonly label: string;
  readonly context: Uint8Array;
}

/** KDFLabel, RFC 9420 §8; undefined for anything else. */
function readLabel(info: Uint8Array): KdfLabel | undefined {
  try {
    const reader = new Reader(info);
    const length = reader.uint16();
    const label = String.fromCharCode(...reader.vector().rest());
    const context = reader.vector().rest();
    reader.finish("a label");
    if (!label.startsWith(PREFIX)) return undefined;
    return { length, label: label.slice(PREFIX.length), context };
  } catch {
    return undefined;
  }
}

const PREFIX = "MLS 1.0 ";

export const TREE_LABELS: readonly string[] = [
  "encryption",
  "tree",
  "application",
  "handshake",
  "secret",
  "key",
  "nonce",
];

/** What DeriveSecret makes of an epoch_secret. RFC 9420 §8. */
export const EPOCH_LABELS: readonly string[] = [
  "sender data",
  "encryption",
  "exporter",
  "external",
  "confirm",
  "membership",
  "resumption",
  "authentication",
  "init",
  "application_export",
];

const PASSING_LABELS = ["joiner", "welcome", "epoch", "path", "node", "extract"] as const;

/** Those of an epoch that go when it ends. */
const ENDING_LABELS = [
  "init",
  "exporter",
  "external",
  "confirm",
  "membership",
  "authentication",
  "application_export",
] as const;

const GENERATION_SIZE = 4;
/** Shorter ones would be found by chance. */
const MINIMUM = 12;
