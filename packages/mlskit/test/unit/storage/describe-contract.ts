/** Runs the exported contract as vitest tests. */
import { describe, test } from "vitest";
import {
  type StorageCheck,
  storageContract,
  type StorageHarness,
} from "../../../src/storage/contract.ts";

type Part = StorageCheck["needs"][number];

/** Why a part of the harness has no meaning for this store; what is neither there nor here fails. */
export type Exemptions = Partial<Record<Part, string>>;

export function describeContract(
  title: string,
  harness: StorageHarness,
  exemptions: Exemptions = {},
): void {
  describe(title, () => {
    for (const { name, needs, run } of storageContract) {
      const missing = needs.filter((part) => harness[part] === undefined);
      const reasons = missing.map((part) => exemptions[part]);
      const isExempt = reasons.some((reason) => reason !== undefined);
      const told = isExempt ? `${name} (does not apply: ${reasons.join()})` : name;
      test.skipIf(isExempt)(
        told,
        async () => {
          if (missing.length > 0) throw new Error(`the harness has no ${missing.join()}`);
          await run(harness);
        },
        120_000,
      );
    }
  });
}
