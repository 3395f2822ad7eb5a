/** How samples come about: no library is measured in a state that another is not. */
import { describe, expect, test } from "vitest";
import type { Limited, Measured, Request } from "../src/protocol.ts";
import { inTurns, type Runner, runRounds, type Sampled } from "../src/rounds.ts";
import { ENOUGH } from "../src/statistics.ts";

/** A library whose runs take so many milliseconds, by its own account too, but for the first of each turn. */
class Stub implements Runner {
  readonly hello: Runner["hello"];
  readonly requests: string[] = [];

  constructor(
    readonly name: string,
    readonly milliseconds: number,
    primitives = false,
  ) {
    this.hello = { primitives };
  }

  async measure(request: Request): Promise<Measured> {
    this.requests.push(request.do);
    return this.#answer("count" in request ? request.count : 0);
  }

  async limit(_group: string, count: number): Promise<Limited> {
    this.requests.push("limit");
    const steps = { send: [{ call: "sign" as const, count: 1, size: 10, why: "" }] };
    return { ...(await this.#answer(count)), steps };
  }

  async #answer(count: number): Promise<Measured> {
    await new Promise((resolve) => setTimeout(resolve, this.milliseconds * count));
    const usual = this.milliseconds * 1000;
    const send = Array.from({ length: count }, (_, i) => (i === 0 ? 100 * usual : usual));
    return { samples: { send }, bytes: { send: 7 } };
  }
}

const run = (
  libraries: readonly Runner[],
  changes: Partial<Parameters<typeof runRounds>[1]> = {},
): Promise<Sampled[]> =>
  runRounds(libraries, {
    group: "message",
    suite: 1,
    milliseconds: 0,
    patience: 1,
    quick: false,
    once: false,
    isNew: () => false,
    attempt: (_library, work) => work(),
    ...changes,
  });

describe("with no time left", () => {
  test("there are enough samples all the same, and the first runs of a turn are none of them", async () => {
    const found = await run([new Stub("mlskit", 2), new Stub("mls-go", 2, true)]);
    const names = found.map(({ library }) => library).sort();
    expect(names).toEqual(["limit", "mls-go", "mls-go limit", "mlskit"]);
    for (const { runs, rounds, p95 } of found) {
      expect(runs).toBeGreaterThanOrEqual(ENOUGH);
      expect(rounds.length).toBeGreaterThanOrEqual(ENOUGH);
      expect(p95).toBe(2000);
    }
  });

  test("mlskit and its limit take turns in who comes first", async () => {
    const stub = new Stub("mlskit", 1);
    await run([stub]);
    const firsts = stub.requests.slice(-18).filter((_, i) => i % 2 === 0);
    expect(firsts.filter((each) => each === "limit")).toHaveLength(4);
    expect(firsts.filter((each) => each === "run")).toHaveLength(5);
  });
});

test("each library follows each other one as often", () => {
  for (const length of [6, 5]) {
    const names = Array.from({ length }, (_, i) => `${i}`);
    const rounds = length % 2 === 0 ? length : 2 * length;
    const followed = new Map<string, number>();
    for (let round = 0; round < rounds; round++) {
      const order = inTurns(names, round);
      expect([...order].sort()).toEqual(names);
      for (const [i, name] of order.entries()) {
        const pair = `${order[i - 1] ?? ""}${name}`;
        followed.set(pair, (followed.get(pair) ?? 0) + 1);
      }
    }
    // Every pair, and everybody as the first of a round.
    expect(followed.size).toBe(length ** 2);
    expect(new Set(followed.values())).toEqual(new Set([rounds / length]));
  }
});

test("each operation a single time, if that is wanted", async () => {
  const found = await run([new Stub("mlskit", 1)], { once: true });
  expect(found.map(({ library, runs }) => [library, runs])).toEqual([
    ["mlskit", 1],
    ["limit", 1],
  ]);
});

test("who fails once is not asked again, and keeps no one else from going on", async () => {
  class Failing extends Stub {
    override async measure(): Promise<Measured> {
      this.requests.push("run");
      throw new Error("no");
    }
  }
  const failing = new Failing("other", 1);
  const found = await run([failing, new Stub("mlskit", 1)], {
    attempt: (_library, work) => work().catch(() => undefined),
  });
  expect(failing.requests).toHaveLength(1);
  expect(found.map(({ library }) => library).sort()).toEqual(["limit", "mlskit"]);
});
