/** One operation over the number of members, both axes logarithmic, as SVG. */
import { formatTime } from "./format.ts";
import { isLimit } from "./results.ts";
import { type Table, titleOf } from "./tables.ts";

const WIDTH = 720;
const HEIGHT = 400;
const FRAME = { left: 76, right: 190, top: 40, bottom: 44 };
/** One for each library and limit; a test counts them. */
export const COLOURS: readonly string[] = [
  "#8a8a8a",
  "#1257b5",
  "#c2410c",
  "#15803d",
  "#7e22ce",
  "#b45309",
  "#0e7490",
  "#be185d",
  "#4d7c0f",
  "#78350f",
  "#0f172a",
  "#0891b2",
  "#a16207",
  "#6b21a8",
];

interface Point {
  readonly size: number;
  readonly time: number;
}

export function plotOf(table: Table): string {
  const lines = table.libraries.map((name) => ({ name, points: pointsOf(table, name) }));
  const times = lines.flatMap(({ points }) => points.map(({ time }) => time));
  const x = scale(table.sizes, FRAME.left, WIDTH - FRAME.right);
  const y = scale(times, HEIGHT - FRAME.bottom, FRAME.top);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${FRAME.left}" y="22" font-size="14">${escaped(titleOf(table))}</text>`,
  ];
  for (const time of decades(times)) {
    const at = y(time).toFixed(1);
    parts.push(
      `<line x1="${FRAME.left}" x2="${WIDTH - FRAME.right}" y1="${at}" y2="${at}" stroke="#ddd"/>`,
      `<text x="${FRAME.left - 8}" y="${at}" dy="4" text-anchor="end">${formatTime(time).replace(/\.0+ /, " ")}</text>`,
    );
  }
  for (const size of table.sizes) {
    const at = x(size).toFixed(1);
    parts.push(
      `<text x="${at}" y="${HEIGHT - FRAME.bottom + 20}" text-anchor="middle">${size}</text>`,
    );
  }
  parts.push(
    `<text x="${(FRAME.left + WIDTH - FRAME.right) / 2}" y="${HEIGHT - 8}" text-anchor="middle">members</text>`,
  );
  const labels = spread(lines.map(({ points }) => y(points.at(-1)?.time ?? 1)));
  for (const [i, { name, points }] of lines.entries()) {
    const colour = COLOURS[i % COLOURS.length] ?? "#000";
    const path = points.map(({ size, time }) => `${x(size).toFixed(1)},${y(time).toFixed(1)}`);
    const dash = isLimit(name) ? ' stroke-dasharray="5 4"' : "";
    const width = name === "mlskit" ? 2.5 : 1.5;
    parts.push(
      `<polyline points="${path.join(" ")}" fill="none" stroke="${colour}" stroke-width="${width}"${dash}/>`,
      ...path.map((point) => {
        const [cx, cy] = point.split(",");
        return `<circle cx="${cx ?? 0}" cy="${cy ?? 0}" r="2.5" fill="${colour}"/>`;
      }),
      `<text x="${WIDTH - FRAME.right + 10}" y="${(labels[i] ?? 0).toFixed(1)}" dy="4" fill="${colour}">${escaped(name)}</text>`,
    );
  }
  return `${parts.join("\n")}\n</svg>\n`;
}

function pointsOf(table: Table, library: string): Point[] {
  const points: Point[] = [];
  for (const size of table.sizes) {
    const row = table.row(library, size);
    if (row !== undefined && row.median > 0) points.push({ size, time: row.median });
  }
  return points;
}

/** Logarithmic; a single value lies in the middle. */
function scale(values: readonly number[], from: number, to: number): (value: number) => number {
  const low = Math.log(Math.min(...values));
  const high = Math.log(Math.max(...values));
  if (high === low) return () => (from + to) / 2;
  return (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from);
}

/** 1, 10, 100, … inside the range; with a narrow one also 2 and 5 times these. */
function decades(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const steps = high / low < 30 ? [1, 2, 5] : [1];
  const found: number[] = [];
  for (let power = 0.1; power <= high; power *= 10) {
    for (const step of steps) {
      if (power * step >= low && power * step <= high) found.push(power * step);
    }
  }
  return found;
}

/** Moves labels apart that would lie on one another. */
function spread(positions: readonly number[]): number[] {
  const order = positions
    .map((_, i) => i)
    .sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0));
  const moved = [...positions];
  let last = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    last = Math.max(moved[i] ?? 0, last + 16);
    moved[i] = last;
  }
  return moved;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
