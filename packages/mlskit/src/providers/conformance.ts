/**
 * Checks with which any provider can prove itself: known answers, round trips, and every input that
 * must be refused. No test framework is involved; each check is a named asynchronous function.
 */
import type { CryptoProvider, SuiteCrypto } from "../crypto/crypto-provider.ts";
import { MlsError } from "../errors.ts";
import { hpkeChecks } from "./conformance-hpke.ts";
import { signatureChecks } from "./conformance-signature.ts";
import { symmetricChecks } from "./conformance-symmetric.ts";
import { type Check, expect, expectError } from "./conformance-support.ts";

export interface ConformanceCheck {
  /** For instance "suite 1: aeadOpen refuses a changed tag". */
  readonly name: string;
  /** Rejects if the provider does not conform. */
  run(): Promise<void>;
}

export interface ConformanceResult {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: unknown;
}

/** All checks for all suites of a provider, to be registered with a test framework. */
export function conformanceChecks(provider: CryptoProvider): readonly ConformanceCheck[] {
  return [
    ...providerChecks(provider).map((check) => ({
      name: `provider: ${check.name}`,
      run: check.run,
    })),
    ...provider.suites.flatMap((id) => {
      const crypto = provider.suite(id);
      return suiteChecks(crypto).map(({ name, run }) => ({ name: `suite ${id}: ${name}`, run }));
    }),
  ];
}

/** Runs all checks one after the other. */
export async function* runConformance(provider: CryptoProvider): AsyncGenerator<ConformanceResult> {
  for (const { name, run } of conformanceChecks(provider)) {
    try {
      await run();
      yield { name, ok: true };
    } catch (error) {
      yield { name, ok: false, error };
    }
  }
}

function suiteChecks(crypto: SuiteCrypto): readonly Check[] {
  return [...symmetricChecks(crypto), ...hpkeChecks(crypto), ...signatureChecks(crypto)];
}

function providerChecks(provider: CryptoProvider): readonly Check[] {
  return [
    {
      name: "suite() returns the same object for the same suite",
      async run() {
        for (const id of provider.suites) {
          expect(provider.suite(id) === provider.suite(id), `suite ${id}`);
          expect(provider.suite(id).suite.id === id, `suite ${id} has its id`);
        }
      },
    },
    {
      name: "suite() refuses a suite that it does not carry",
      run: () => expectError("UNSUPPORTED_CIPHER_SUITE", async () => provider.suite(0)),
    },
    {
      name: "the error for an unknown suite is an mlskit error",
      async run() {
        try {
          provider.suite(0);
        } catch (error) {
          expect(MlsError.is(error, "UNSUPPORTED_CIPHER_SUITE"), "MlsError");
        }
      },
    },
  ];
}
