/** A provider as a list of suites. RFC 9420 §17.1: 0xF000–0xFFFF are for private use. */
import { UsageError } from "../errors.ts";
import { type CipherSuite, unsupportedSuite } from "./cipher-suite.ts";
import type { CryptoProvider, SuiteCrypto } from "./crypto-provider.ts";

/** Makes the primitives of one suite when they are first asked for. */
export interface SuiteFactory {
  readonly suite: CipherSuite;
  create(): SuiteCrypto;
}

/**
 * Composes a provider, most preferred suite first. A suite of one's own needs a code point in the
 * private range and its primitives, for instance from {@link createSuiteCrypto}.
 *
 * @throws UsageError `INVALID_SUITE` if a code point occurs twice
 */
export function createProvider(
  name: string,
  suites: readonly (SuiteFactory | SuiteCrypto)[],
): CryptoProvider {
  const factories = new Map<number, SuiteFactory | SuiteCrypto>();
  for (const entry of suites) {
    if (factories.has(entry.suite.id)) {
      throw new UsageError("INVALID_SUITE", `cipher suite ${entry.suite.id} is given twice`);
    }
    factories.set(entry.suite.id, entry);
  }
  const made = new Map<number, SuiteCrypto>();
  return {
    name,
    suites: [...factories.keys()],
    suite(id) {
      const known = made.get(id);
      if (known !== undefined) return known;
      const entry = factories.get(id);
      if (entry === undefined) throw unsupportedSuite(id);
      const crypto = "create" in entry ? entry.create() : entry;
      made.set(id, crypto);
      return crypto;
    },
  };
}

/** Whether a code point is reserved for private use. */
export function isPrivateSuite(id: number): boolean {
  return id >= 0xf000 && id <= 0xffff;
}
