/** The cipher suites in which servers can play together. */
import type { ServerDescription } from "./connection.ts";

export interface SuiteChoice {
  readonly suites: readonly number[];
  /** What else was asked for, and who does not carry it. */
  readonly skipped: readonly string[];
}

/** Of the suites that were asked for, or of those of the first server, which is ours. */
export function chooseSuites(
  servers: readonly ServerDescription[],
  asked: readonly number[] | undefined,
): SuiteChoice {
  const [first] = servers;
  if (first === undefined) throw new Error("there is no server");
  const wanted = [...new Set(asked ?? first.suites)].sort((a, b) => a - b);
  const skipped = new Set<string>();
  for (const { family, suites } of servers) {
    const lacking = wanted.filter((suite) => !suites.includes(suite));
    if (lacking.length > 0) skipped.add(`suites ${lacking.join(", ")}: ${family} lacks them`);
  }
  const suites = wanted.filter((suite) => servers.every((server) => server.suites.includes(suite)));
  return { suites, skipped: [...skipped] };
}
