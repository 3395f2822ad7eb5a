/** Runs the exported contract as vitest tests. */
import { describe, test } from "vitest";
import { storageContract, type StorageHarness } from "../../../src/storage/contract.ts";

export function describeContract(title: string, harness: StorageHarness): void {
  describe(title, () => {
    for (const { name, needsReopen, run } of storageContract) {
      test.skipIf(needsReopen && harness.reopen === undefined)(name, () => run(harness));
    }
  });
}
