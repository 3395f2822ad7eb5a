/** The command as a whole: what it exits with. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { BadUsage, parseOptions } from "../src/driver/options.ts";

const program = fileURLToPath(new URL("../build/main.js", import.meta.url));
const PATIENCE = 300_000;

function interop(...args: readonly string[]) {
  const { status, stdout } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  return { status, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

// Built by the same command that builds the library, without which no test of this package runs.
describe.runIf(existsSync(program))("npm run interop", () => {
  const script = ["--script", "two_epochs_late", "--suite", "1", "--form", "public"];

  test(
    "M-INT-02 exits with 0 if everything passed, and says how many runs that were",
    () => {
      const { status, lastLine } = interop("--self", "--jobs", "2", ...script);
      expect(lastLine).toBe("1 runs: 1 passed, 0 limited, 0 failed");
      expect(status).toBe(0);
    },
    PATIENCE,
  );

  test(
    "M-INT-02 exits with 1 if something failed, or if nothing was run",
    () => {
      const { status, lastLine } = interop("--broken", "exporter", ...script);
      expect(lastLine).toBe("1 runs: 0 passed, 0 limited, 1 failed");
      expect(status).toBe(1);
      expect(interop("--self", "--script", "no such script").status).toBe(1);
    },
    PATIENCE,
  );
});

test("peers are named by address or command, with a version that they do not tell themselves", () => {
  const options = parseOptions(["--client", "127.0.0.1:5000", "--run", "peer --at {port}=v1"]);
  expect(options.clients).toEqual([{ at: "127.0.0.1:5000", version: undefined }]);
  expect(options.commands).toEqual([{ at: "peer --at {port}", version: "v1" }]);
  for (const wrong of [["--client"], ["--jobs", "0"], ["--suite", "x"], ["--what"]]) {
    expect(() => parseOptions(wrong)).toThrow(BadUsage);
  }
});
