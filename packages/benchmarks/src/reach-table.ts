/** What is reached, as a table: never more than was measured. */
import { digits } from "./format.ts";
import { table } from "./markdown.ts";
import type { Reached } from "./reach.ts";
import { ENOUGH } from "./statistics.ts";

export function reachTable(reached: readonly Reached[]): string {
  const head = ["against", "what", "target", "worst", "allowed there", "samples", "at", "met"];
  return table(head, reached.map(lineOf), 3);
}

function lineOf(line: Reached): string[] {
  const { against, what, target, measured } = line;
  const [worst] = [...measured].sort((a, b) => b.value / b.target - a.value / a.target);
  if (worst === undefined) return [against, what, target, "–", "–", "–", "–", "not measured"];
  const { value, target: allowed, samples, where } = worst;
  const count = samples === undefined ? "–" : `${samples}`;
  return [against, what, target, digits(value), digits(allowed), count, where, verdictOf(line)];
}

function verdictOf({ measured, missing }: Reached): string {
  const met = measured.filter(({ value, target }) => value <= target).length;
  const beyond = measured.filter(({ value, least = 0, target }) => Math.min(value, least) > target);
  const few = measured.filter(({ samples = ENOUGH }) => samples < ENOUGH).length;
  const parts = [`${met} of ${measured.length + missing.length}`];
  if (beyond.length > 0) parts.push(`${beyond.length} missed by the limit alone`);
  if (missing.length > 0) parts.push(`${missing.length} not measured`);
  if (few > 0) parts.push(`${few} by fewer than ${ENOUGH} samples`);
  return parts.join("; ");
}

/** Line by line what was not measured; undefined if everything was. */
export function missingList(reached: readonly Reached[]): string | undefined {
  const lines = reached
    .filter(({ missing }) => missing.length > 0)
    .map(({ against, what, measured, missing }) => {
      const all = measured.length === 0 ? "everything" : shortened(missing);
      return `- ${against}, ${what}: ${all}`;
    });
  return lines.length === 0 ? undefined : lines.join("\n");
}

/** Operations that share a place are named together, or counted. */
function shortened(missing: readonly string[]): string {
  const byPlace = new Map<string, string[]>();
  for (const where of missing) {
    const [operation = "", ...place] = where.split(", ");
    const key = place.join(", ");
    byPlace.set(key, [...(byPlace.get(key) ?? []), operation]);
  }
  const parts = [...byPlace].map(([place, names]) => {
    const which = names.length > 4 ? `${names.length} operations` : names.join(", ");
    return place === "" ? which : `${which}, ${place}`;
  });
  return parts.join("; ");
}
