/** Libraries die, too. */
import { describe, expect, test } from "vitest";
import { LibraryProcess } from "../src/library-process.ts";
import { Preparations } from "../src/preparations.ts";

const run = (code: string): LibraryProcess =>
  new LibraryProcess({ name: "stub", command: process.execPath, parameters: ["-e", code] });

const ECHO = `require("node:readline").createInterface({ input: process.stdin }).on("line", () => {
  console.log(JSON.stringify({ ok: true }));
})`;

describe("a library's process", () => {
  test("answers, and is dead once it was stopped", async () => {
    const library = run(ECHO);
    expect(await library.ask({ do: "hello" }, 20)).toEqual({ ok: true });
    expect(library.isAlive).toBe(true);
    library.stop();
    expect(library.isAlive).toBe(false);
    await expect(library.ask({ do: "hello" }, 20)).rejects.toThrow("stub has ended");
  });

  test.each([
    [
      "killed by a signal",
      `process.stdin.once("data", () => process.kill(process.pid, "SIGKILL"))`,
    ],
    ["ended with 3", `process.stdin.once("data", () => process.exit(3))`],
  ])("is dead when it was %s, and everybody is told at once", async (why, code) => {
    const library = run(code);
    await expect(library.ask({ do: "hello" }, 500)).rejects.toThrow(
      why.replace("a signal", "SIGKILL"),
    );
    expect(library.isAlive).toBe(false);
    await expect(library.ask({ do: "hello" }, 500)).rejects.toThrow("stub has ended");
  });

  test("is dead when there is no such program", async () => {
    const library = new LibraryProcess({ name: "stub", command: "/no/such", parameters: [] });
    await expect(library.ask({ do: "hello" }, 500)).rejects.toThrow();
    expect(library.isAlive).toBe(false);
  });

  test("is stopped when it does not answer in time", async () => {
    const library = run("setInterval(() => undefined, 1000)");
    await expect(library.ask({ do: "hello" }, 0.1)).rejects.toThrow(
      'no answer to "hello" in 0.1 s',
    );
    expect(library.isAlive).toBe(false);
  });
});

describe("larger groups", () => {
  test("are not tried where smaller ones say that they would take too long", () => {
    const known = new Preparations();
    known.add("slow", 100, 1000);
    known.add("slow", 1000, 10_000);
    known.add("quadratic", 100, 600);
    known.add("quadratic", 1000, 2000);
    known.add("quadratic", 500, 700);
    known.add("fast", 1000, 100);
    expect(known.whyNot("slow", 10_000, 40_000)).toMatch(/1000 took 10.0 s, .* 100 s/);
    expect(known.whyNot("slow", 1000, 40_000)).toBeUndefined();
    expect(known.whyNot("quadratic", 10_000, 40_000)).toBeDefined();
    expect(known.whyNot("fast", 10_000, 40_000)).toBeUndefined();
    known.fail("fast", 500);
    expect(known.whyNot("fast", 10_000, 40_000)).toBeDefined();
    expect(known.whyNot("fast", 100, 40_000)).toBeUndefined();
  });
});
