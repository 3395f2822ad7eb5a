/** `npm run fuzz -- --time SECONDS --seed N`: damaged bytes against a group that lives on. */
import { Fuzzer } from "./fuzzer.ts";

const options = readOptions(process.argv.slice(2));
const end = Date.now() + options.time * 1000;
console.log(`fuzz: seed ${options.seed}, ${options.time} s`);
const fuzzer = await Fuzzer.start(options.seed);
let nextLine = Date.now() + 30_000;
const report = await fuzzer.run(() => {
  if (Date.now() > nextLine) {
    nextLine += 30_000;
    console.log(`  ${fuzzer.total} executions, ${fuzzer.report.epochs} epochs`);
  }
  return Date.now() > end || fuzzer.report.findings.length >= 20;
});
const counts = [...report.rejections].sort(([, a], [, b]) => b - a);
for (const [code, count] of counts) console.log(`  ${String(count).padStart(9)}  ${code}`);
const [first, last] = report.heap;
console.log(`  heap: ${first.toFixed(0)} MiB at first, ${last.toFixed(0)} MiB at last`);
if (last > first * 2 + 32) report.findings.push("the heap grew");
for (const finding of report.findings) console.log(`FINDING ${finding}`);
const { decoder, damaged, joins, forged } = report.executions;
console.log(`  ${decoder} to decoders, ${damaged} damaged, ${forged} forged, ${joins} to join`);
console.log(
  `fuzz: ${fuzzer.total} executions, ${report.honest} honest messages, ${report.epochs} epochs, ${report.findings.length} findings`,
);
process.exitCode = report.findings.length === 0 ? 0 : 1;

function readOptions(args: readonly string[]): { time: number; seed: number } {
  const value = (name: string, fallback: number): number => {
    const at = args.indexOf(name);
    const given = at === -1 ? fallback : Number(args[at + 1]);
    if (Number.isFinite(given) && given >= 0) return given;
    console.error(`fuzz: ${name} needs a number`);
    process.exit(2);
  };
  return { time: value("--time", 60), seed: value("--seed", Date.now() % 1_000_000) };
}
