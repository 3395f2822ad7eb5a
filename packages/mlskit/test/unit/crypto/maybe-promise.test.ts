/** Values that may be promises. */
import { expect, test } from "vitest";
import { all, andThen, attempt } from "../../../src/crypto/index.ts";

test("values that are there stay synchronous", () => {
  expect(andThen(1, (n) => n + 1)).toBe(2);
  expect(all([1, 2])).toEqual([1, 2]);
  expect(
    attempt(
      () => 1,
      () => 2,
    ),
  ).toBe(1);
});

test("promises are awaited, in order", async () => {
  const slow = new Promise<number>((resolve) => setTimeout(() => resolve(1), 5));
  await expect(andThen(slow, (n) => n + 1)).resolves.toBe(2);
  await expect(all([slow, 2, Promise.resolve(3)])).resolves.toEqual([1, 2, 3]);
});

test("attempt recovers from throwing and from rejection", async () => {
  const fail = (): number => {
    throw new Error("no");
  };
  expect(attempt(fail, () => 2)).toBe(2);
  await expect(
    attempt(
      () => Promise.reject(new Error("no")),
      () => 2,
    ),
  ).resolves.toBe(2);
  const rethrow = (error: unknown): never => {
    throw new Error("mapped", { cause: error });
  };
  expect(() => attempt(fail, rethrow)).toThrow("mapped");
  await expect(attempt(() => Promise.reject(new Error("no")), rethrow)).rejects.toThrow("mapped");
});
