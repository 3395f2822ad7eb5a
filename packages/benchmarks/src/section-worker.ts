/**
 * Parts of a run that are about mlskit alone, in a process of the Node that is measured:
 * `node --expose-gc section-worker.js storage|scenarios SIZES SUITES`. Prints JSON.
 */
import { measureStorage, type StorageSizes } from "mlskit/testing";
import { providers } from "./internals.ts";
import { LowLevelLibrary } from "./low-level.ts";
import type { Results } from "./results.ts";
import { runScenarios } from "./scenarios.ts";

/** Live bytes; `node --expose-gc`. */
async function memory(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resume) => setTimeout(resume, 20));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const [section = "", ...lists] = process.argv.slice(2);
const [sizes = [], suites = []] = lists.map((list) => list.split(",").map(Number));

async function perform(): Promise<Partial<Results>> {
  switch (section) {
    case "storage": {
      const storage: StorageSizes[] = [];
      for (const members of sizes) storage.push(await measureStorage({ members, memory }));
      return { storage };
    }
    case "scenarios": {
      const scenarios: Results["scenarios"][number][] = [];
      for (const suite of suites) {
        const library = (): LowLevelLibrary => new LowLevelLibrary(providers.nodeProvider, suite);
        // As in an application that has run for a while, engines have compiled the code.
        await runScenarios(library, Math.min(...sizes));
        for (const size of sizes) {
          for (const result of await runScenarios(library, size)) {
            scenarios.push({ ...result, suite });
          }
        }
      }
      return { scenarios };
    }
    default:
      throw new Error(`unknown section ${section}`);
  }
}

console.log(JSON.stringify(await perform()));
