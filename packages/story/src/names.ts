/** Who is who. The first seven have a part in the story, the others come along. */
const NAMES: readonly string[] = (
  "Alice Bob Carol Dave Oscar Erin Frank " +
  "Grace Heidi Ivan Judy Kofi Liam Mira Nils Olga Pia Quinn Rosa Sami"
).split(" ");

export function nameOf(index: number): string {
  return NAMES[index] ?? `Guest-${index + 1}`;
}

/** "Alice, Bob and 18 others". */
export function listNames(names: readonly string[]): string {
  const shown = names.length > 6 ? names.slice(0, 4) : names.slice(0, -1);
  const rest = names.length - shown.length;
  if (names.length < 2) return names.join("");
  return `${shown.join(", ")} and ${rest === 1 ? (names.at(-1) ?? "") : `${rest} others`}`;
}
