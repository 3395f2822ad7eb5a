/**
 * The protocol of ../README.md for libraries in JavaScript. A library gives `hello`, the operations
 * named there, and gets every request's samples timed and put in order.
 */
import { createInterface } from "node:readline";

/**
 * @param {object} hello Library, version, runtime and suites.
 * @param {object} library
 *   `cold(suite, size)`, and `guests(suite, size)` with `warm(welcome, tree)` prepare a group;
 *   `runs` holds one function per group of operations, which gets `time` and `bytes`.
 */
export async function serve(hello, library) {
  const answer = async (request) => {
    switch (request.do) {
      case "hello":
        return { ...hello, groups: Object.keys(library.runs) };
      case "cold":
        await library.cold(request.suite, request.size);
        return { ok: true };
      case "guests": {
        const keyPackages = await library.guests(request.suite, request.size);
        return { keyPackages: keyPackages.map((bytes) => Buffer.from(bytes).toString("base64")) };
      }
      case "warm":
        await library.warm(
          new Uint8Array(Buffer.from(request.welcome, "base64")),
          new Uint8Array(Buffer.from(request.tree, "base64")),
        );
        return { ok: true };
      case "run":
        return run(library.runs[request.group], request.count);
      default:
        throw new Error(`unknown request ${request.do}`);
    }
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await answer(JSON.parse(line)).catch((error) => ({
      error: String(error.stack),
    }));
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

async function run(perform, count) {
  const samples = {};
  const bytes = {};
  const time = async (operation, work) => {
    const start = process.hrtime.bigint();
    const result = await work();
    const end = process.hrtime.bigint();
    samples[operation] ??= [];
    samples[operation].push(Number(end - start) / 1000);
    return result;
  };
  for (let i = 0; i < count; i++) {
    await perform(time, (operation, length) => {
      bytes[operation] = length;
    });
  }
  return { samples, bytes };
}

export const PAYLOAD = Uint8Array.from({ length: 1024 }, (_, i) => (i * 7) & 0xff);

export function check(condition, message) {
  if (condition !== true) throw new Error(message);
}
