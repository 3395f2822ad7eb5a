/** Which runs are planned, without running them. */
import { expect, test } from "vitest";
import { expectedRuns, plan, type PlanOptions } from "../src/driver/plan.ts";

const script = (name: string, actors: number) => ({
  name,
  steps: [],
  actors: Array.from({ length: actors }, (_, i) => `actor ${i}`),
});

const options: PlanOptions = {
  configs: [{ name: "config", scripts: [script("small", 2), script("large", 5)] }],
  suites: [1, 2, 3, 5],
  forms: [false, true],
  servers: 2,
  casts: "all",
  rotates: false,
  seed: "seed",
};

test("every cast is played in every suite and form", () => {
  const [small, large] = plan(options);
  expect(small?.runs).toHaveLength(4 * 8);
  expect(large?.runs).toHaveLength(32 * 8);
  for (const { runs } of [small, large].filter((planned) => planned !== undefined)) {
    const distinct = new Set(
      runs.map(({ suite, encrypt, cast }) => `${suite} ${encrypt} ${cast.join()}`),
    );
    expect(distinct.size).toBe(runs.length);
  }
  expect(expectedRuns(options)).toBe(36 * 8);
});

test("spread plays every cast, and every suite and form, and pairs them anew each round", () => {
  const spread = { ...options, casts: "spread" } as const;
  const [small, large] = plan(spread);
  expect(small?.runs).toHaveLength(8);
  expect(large?.runs).toHaveLength(32);
  for (const {
    script: { actors },
    runs,
  } of plan(spread)) {
    expect(new Set(runs.map(({ cast }) => cast.join())).size).toBe(2 ** actors.length);
    expect(new Set(runs.map(({ suite, encrypt }) => `${suite} ${encrypt}`)).size).toBe(8);
  }
  // The same cast meets both forms.
  const first = small?.runs.filter(({ cast }) => cast.join() === "0,0") ?? [];
  expect(new Set(first.map(({ encrypt }) => encrypt)).size).toBe(2);
  expect(expectedRuns(spread)).toBe(40);
});
