/**
 * `npm run simulate -- --seed S --clients 20 --steps 100000`: clients over a network that loses,
 * repeats and reorders, with crashes and full disks. With `--seeds N` the seeds S, S+1, … run one
 * after the other; `--trace` prints every step.
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    clients: { type: "string", default: "20" },
    steps: { type: "string", default: "100000" },
    quiet: { type: "string", default: "500" },
    trace: { type: "boolean", default: false },
  },
});

const [seeds, clients, steps, quietEvery] = [
  values.seeds,
  values.clients,
  values.steps,
  values.quiet,
].map((text) => {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`not a number: ${text}`);
  return number;
}) as [number, number, number, number];

const isTerminal = process.stdout.isTTY;
let total = 0;
const start = performance.now();

for (let i = 0; i < seeds; i++) {
  const seed = i === 0 ? values.seed : String(Number(values.seed) + i);
  try {
    const begun = performance.now();
    let told = begun;
    const report = await simulate({
      seed,
      clients,
      steps,
      quietEvery,
      onProgress: ({ step }) => {
        const now = performance.now();
        if (now - told < (isTerminal ? 500 : 10_000)) return;
        told = now;
        const line = `seed ${seed}: ${step} of ${steps} steps, ${rate(step, begun)} per second`;
        process.stdout.write(isTerminal ? `\r${line}` : `${line}\n`);
      },
      onTrace: values.trace ? (line) => void process.stdout.write(`${line}\n`) : undefined,
    });
    total += report.steps;
    if (isTerminal) process.stdout.write("\r\u001b[K");
    console.log(
      `seed ${seed}: ${report.steps} steps, ${rate(report.steps, begun)} per second, digest ${report.digest}`,
    );
    const counts = [...report.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [what, count] of counts) console.log(`  ${what.padEnd(36)} ${count}`);
  } catch (error) {
    console.log(String(error));
    console.log(error);
    process.exitCode = 1;
    break;
  }
}
if (process.exitCode === undefined) {
  console.log(`${total} steps over ${seeds} seeds, ${rate(total, start)} per second, 0 failures`);
}

function rate(count: number, since: number): number {
  return Math.round((count * 1000) / Math.max(1, performance.now() - since));
}
