/** The scenarios on the suites that are compared. */
import { providers } from "./internals.ts";
import { LowLevelLibrary } from "./low-level.ts";
import type { Results } from "./results.ts";
import { runScenarios } from "./scenarios.ts";

const SUITES = [1, 2] as const;

export async function measureScenarios(size: number): Promise<Results["scenarios"]> {
  const found: Results["scenarios"][number][] = [];
  for (const suite of SUITES) {
    const library = (): LowLevelLibrary => new LowLevelLibrary(providers.nodeProvider, suite);
    for (const result of await runScenarios(library, size)) found.push({ ...result, suite });
  }
  return found;
}
