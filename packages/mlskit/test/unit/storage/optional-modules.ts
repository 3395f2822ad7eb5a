/** Modules that tests use where they are installed. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** The module's exports, or undefined where it is missing or does not run. */
export function optionalModule(name: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = require(name);
    if (typeof found === "function") return { default: found };
    return found as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
