/** What a run takes first, so that a short one says as much as it can. */
import { expect, test } from "vitest";
import { GROUPS } from "../src/groups.ts";
import { groupsAt, nameOf, placesOf } from "../src/plan.ts";

test("growth to 10,000 members is measured early, other large groups late", () => {
  const names = placesOf().map(nameOf);
  const at = (name: string): number => {
    const found = names.indexOf(name);
    expect(found, name).toBeGreaterThanOrEqual(0);
    return found;
  };
  for (const suite of [1, 2]) {
    expect(at(`suite ${suite}, N = 10000, warm`)).toBeLessThan(at(`suite ${suite}, N = 500, cold`));
    expect(at(`suite ${suite}, N = 2, warm`)).toBeLessThan(at("suite 1, N = 1000, cold"));
    expect(at(`suite ${suite}, N = 10000, cold`)).toBeGreaterThan(at("suite 3, N = 1000, warm"));
  }
  expect(at("suite 7, N = 100, cold")).toBeGreaterThan(at("suite 2, N = 2, warm"));
  expect(new Set(names).size).toBe(names.length);
});

test("all suites are measured on all sizes to 1,000, those nobody aims at last", () => {
  for (const suite of [1, 2, 3, 7]) {
    const sizes = placesOf().filter((place) => place.suite === suite && place.size <= 1000);
    expect(new Set(sizes.map(({ size }) => size))).toEqual(new Set([2, 10, 50, 100, 500, 1000]));
  }
  const last = placesOf().slice(-8);
  expect(last.every(({ suite, size }) => suite > 2 && [50, 500].includes(size))).toBe(true);
});

test("a quick run begins with what is fast", () => {
  const sizes = placesOf({ quick: true }).map(({ size }) => size);
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
});

test("every group of operations has a place", () => {
  const found = new Set(placesOf().flatMap((place) => groupsAt(place).map(({ name }) => name)));
  expect([...found].sort()).toEqual(GROUPS.map(({ name }) => name).sort());
});
