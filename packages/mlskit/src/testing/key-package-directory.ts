/** A key-package directory in memory. RFC 9420 §16.8; rule P-KP-06. */
import { bytesKey, utf8 } from "../codec/index.ts";
import { type Clock, systemClock } from "../client/state/clock.ts";
import type { KeyPackageDirectory } from "../production/key-package-directory.ts";
import type { PublishedKeyPackage } from "../client/identity/key-packages.ts";
import { identityOfCredential } from "../client/state/members.ts";
import { decodeKeyPackage } from "../client/state/messages.ts";
import { DEFAULT_LIMITS } from "../group/environment.ts";
import type { CryptoProvider } from "../crypto/index.ts";
import { isLastResort, keyPackageRef } from "../key-packages/key-package.ts";
import { validateKeyPackages } from "../key-packages/key-package-validation.ts";
import { defaultProvider } from "../providers/default.ts";

export interface DirectoryOptions {
  readonly provider?: CryptoProvider | undefined;
  /** Seconds since 1970. Default: the system's time. */
  readonly clock?: Clock | undefined;
  /** Packages of one owner that one taker gets. Default: any number. */
  readonly perTaker?: number | undefined;
  readonly supportsLastResort?: boolean | undefined;
  /** Whether the owner learns what was handed out. Default: yes. */
  readonly reportsClaims?: boolean | undefined;
}

interface Entry {
  readonly reference: string;
  readonly bytes: Uint8Array;
  readonly owner: string;
  readonly cipherSuite: number;
  readonly expiresAt: bigint;
  readonly isLastResort: boolean;
}

/** Hands out by identity and cipher suite, the oldest first. */
export class VirtualKeyPackageDirectory implements KeyPackageDirectory {
  readonly supportsLastResort: boolean;
  readonly claimed?: (references: readonly Uint8Array[]) => Uint8Array[];
  readonly #provider: CryptoProvider;
  readonly #clock: Clock;
  readonly #perTaker: number;
  readonly #entries = new Map<string, Entry>();
  /** Everything that was ever here, so that nothing comes back. */
  readonly #known = new Set<string>();
  readonly #claimed = new Set<string>();
  readonly #taken = new Map<string, number>();

  constructor(options: DirectoryOptions = {}) {
    this.#provider = options.provider ?? defaultProvider();
    this.#clock = options.clock ?? systemClock;
    this.#perTaker = options.perTaker ?? Infinity;
    this.supportsLastResort = options.supportsLastResort ?? true;
    if (options.reportsClaims !== false) {
      this.claimed = (references) => references.filter((one) => this.#claimed.has(bytesKey(one)));
    }
  }

  /** @throws MlsError if one of them is not valid; none is taken then */
  async publish(packages: readonly PublishedKeyPackage[]): Promise<void> {
    const entries: Entry[] = [];
    for (const { bytes } of packages) entries.push(await this.#check(bytes));
    for (const entry of entries) {
      if (this.#known.has(entry.reference)) continue;
      this.#known.add(entry.reference);
      this.#entries.set(entry.reference, entry);
    }
  }

  withdraw(references: readonly Uint8Array[]): void {
    for (const reference of references) this.#entries.delete(bytesKey(reference));
  }

  /** One package, which nobody else gets unless it is the last resort; undefined if there is none. */
  take(
    identity: Uint8Array | string,
    { cipherSuite = 1, taker = "" }: { cipherSuite?: number; taker?: string } = {},
  ): Uint8Array | undefined {
    const owner = bytesKey(typeof identity === "string" ? utf8(identity) : identity);
    const account = `${owner} ${taker}`;
    const taken = this.#taken.get(account) ?? 0;
    if (taken >= this.#perTaker) return undefined;
    const now = this.#clock();
    const fitting = [...this.#entries.values()].filter((entry) => {
      if (entry.owner !== owner || entry.cipherSuite !== cipherSuite) return false;
      return entry.expiresAt >= now;
    });
    const entry = fitting.find(({ isLastResort: last }) => !last) ?? fitting[0];
    if (entry === undefined) return undefined;
    this.#taken.set(account, taken + 1);
    if (!entry.isLastResort) {
      this.#entries.delete(entry.reference);
      this.#claimed.add(entry.reference);
    }
    return entry.bytes;
  }

  /** How many it could hand out, without the last resort. */
  count(identity: Uint8Array | string): number {
    const owner = bytesKey(typeof identity === "string" ? utf8(identity) : identity);
    const entries = [...this.#entries.values()];
    return entries.filter((entry) => entry.owner === owner && !entry.isLastResort).length;
  }

  async #check(bytes: Uint8Array): Promise<Entry> {
    const types = { proposals: new Map(), credentials: new Map(), extensions: new Set<number>() };
    const keyPackage = decodeKeyPackage(bytes, { types, limits: DEFAULT_LIMITS });
    const { cipherSuite, leafNode } = keyPackage;
    const crypto = this.#provider.suite(cipherSuite);
    const lifetime = { now: this.#clock(), mode: "strict", maximum: undefined } as const;
    await validateKeyPackages([keyPackage], { crypto, lifetime });
    const { credential, signatureKey, origin } = leafNode;
    return {
      reference: bytesKey(keyPackageRef(crypto, keyPackage)),
      bytes,
      owner: bytesKey(identityOfCredential(credential) ?? signatureKey),
      cipherSuite,
      expiresAt: origin.source === "keyPackage" ? origin.lifetime.notAfter : 0n,
      isLastResort: isLastResort(keyPackage),
    };
  }
}
