/** Every provider passes the conformance checks that third parties run. RFC 9420 §5.1. */
import { describe, expect, test } from "vitest";
import { conformanceChecks, runConformance } from "../../../src/providers/conformance.ts";
import { nobleProvider, nodeProvider, webCryptoProvider } from "../../../src/providers/index.ts";

const providers = [nodeProvider(), nobleProvider(), await webCryptoProvider()];

describe.each(providers)("M-SUITE-08: $name", (provider) => {
  test("carries the suites that this runtime allows", () => {
    expect(provider.suites).toEqual(expect.arrayContaining([1, 2, 3, 5, 7]));
    if (provider.name !== "webcrypto") expect(provider.suites).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test.each(conformanceChecks(provider))("$name", async ({ run }) => {
    await run();
  });
});

test("runConformance reports a provider that does not conform", async () => {
  const honest = nodeProvider();
  const broken = {
    name: "broken",
    suites: [1],
    suite: (id: number) => {
      const crypto = honest.suite(id);
      return new Proxy(crypto, {
        get(target, property) {
          if (property === "verify") return () => true;
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
  };
  const failed: string[] = [];
  for await (const result of runConformance(broken)) if (!result.ok) failed.push(result.name);
  expect(failed).toContain("suite 1: mk-20: malformed signatures do not verify");
  expect(failed).toContain("provider: suite() returns the same object for the same suite");
  expect(failed).not.toContain("suite 1: aeadSeal and aeadOpen");
});
