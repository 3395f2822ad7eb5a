/** Runs the exported contract as vitest tests. */
import { describe, test } from "vitest";
import { storageContract, type StorageHarness } from "../../../src/storage/contract.ts";

export function describeContract(title: string, harness: StorageHarness): void {
  describe(title, () => {
    for (const { name, needs, run } of storageContract) {
      const isMissing = needs.some((part) => harness[part] === undefined);
      test.skipIf(isMissing)(name, () => run(harness), 120_000);
    }
  });
}
