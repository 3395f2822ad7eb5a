/** Which runs are planned, without running them. */
import { expect, test } from "vitest";
import { expectedRuns, plan, type PlanOptions } from "../src/driver/plan.ts";
import { chooseSuites } from "../src/driver/suites.ts";

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

test("spread plays every cast, and in every suite and form one that mixes ours with others", () => {
  const spread = { ...options, casts: "spread" } as const;
  const [small, large] = plan(spread);
  // Eight places for two mixed casts, or thirty mixed casts; then each server alone.
  expect(small?.runs).toHaveLength(8 + 2);
  expect(large?.runs).toHaveLength(30 + 2);
  for (const {
    script: { actors },
    runs,
  } of plan(spread)) {
    expect(new Set(runs.map(({ cast }) => cast.join())).size).toBe(2 ** actors.length);
    const mixed = runs.filter(({ cast }) => new Set(cast).size === 2);
    expect(new Set(mixed.map(({ suite, encrypt }) => `${suite} ${encrypt}`)).size).toBe(8);
    expect(new Set(runs.map(({ seed }) => seed)).size).toBe(runs.length);
  }
  // The same cast meets both forms.
  const first = small?.runs.filter(({ cast }) => cast.join() === "0,1") ?? [];
  expect(new Set(first.map(({ encrypt }) => encrypt)).size).toBe(2);
  expect(expectedRuns(spread)).toBe(42);
});

test("spread over several peers: casts without ours are none that mix", () => {
  const spread = { ...options, casts: "spread", servers: 3 } as const;
  const [small] = plan(spread);
  const places = small?.runs.filter(({ cast }) => cast.includes(0) && cast.join() !== "0,0");
  // 0,1 and 0,2 and both the other way round, in eight places; of the nine casts five are left.
  expect(places).toHaveLength(8);
  expect(small?.runs).toHaveLength(8 + 5);
  expect(plan(spread).flatMap(({ runs }) => runs)).toHaveLength(expectedRuns(spread));
});

test("where no cast can mix, spread plays all of them, and every suite and form", () => {
  for (const [servers, actors, runs] of [
    [1, 2, 8],
    [2, 1, 8],
    [1, 9, 16],
  ] as const) {
    const configs = [{ name: "config", scripts: [script("only", actors)] }];
    const spread = { ...options, configs, casts: "spread", servers } as const;
    expect(plan(spread)[0]?.runs).toHaveLength(runs);
    expect(expectedRuns(spread)).toBe(runs);
  }
});

test("casts of large scripts are drawn, and all of them mix", () => {
  const configs = [{ name: "config", scripts: [script("large", 9)] }];
  const drawn = Array.from({ length: 100 }, (_, i) => {
    return plan({ ...options, configs, casts: "spread", seed: `${i}` })[0]?.runs ?? [];
  });
  for (const runs of drawn) {
    expect(runs).toHaveLength(16);
    for (const { cast } of runs) expect(new Set(cast).size).toBe(2);
  }
});

test("M-INT-02 suites are those that all carry, and what somebody lacks is told", () => {
  const carrying = (family: string, suites: readonly number[]) => {
    return { name: `${family} :1`, family, suites, isOurs: family === "mlskit" };
  };
  const ours = carrying("mlskit", [1, 2, 3, 4]);
  const servers = [ours, carrying("Peer", [1, 3, 77]), ours, carrying("Other", [1, 2, 3])];
  const skipped = ["suites 2, 4: Peer lacks them", "suites 4: Other lacks them"];
  expect(chooseSuites(servers, undefined)).toEqual({ suites: [1, 3], skipped });
  expect(chooseSuites(servers, [3, 1, 3])).toEqual({ suites: [1, 3], skipped: [] });
  const onlyPeer = ["suites 2: Peer lacks them"];
  expect(chooseSuites(servers, [2, 1])).toEqual({ suites: [1], skipped: onlyPeer });
  expect(chooseSuites([ours], [2])).toEqual({ suites: [2], skipped: [] });
});
