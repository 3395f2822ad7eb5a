/** Tables in Markdown. */

/** Numbers to the right; the first `words` columns to the left. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  words = 0,
): string {
  const rule = head.map((_, i) => (i < words ? "---" : "--:"));
  return [
    `| ${head.join(" | ")} |`,
    `|${rule.join("|")}|`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}
