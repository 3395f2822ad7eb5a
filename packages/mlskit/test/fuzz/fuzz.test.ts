/** A short run of the fuzzer, with a seed that stays the same. */
import { expect, test } from "vitest";
import { Fuzzer } from "./fuzzer.ts";

test("M-SEC-19 err-2 codec-2: damaged and forged messages never crash, hang or change a live group", async () => {
  const fuzzer = await Fuzzer.start(20_260_101);
  let rounds = 0;
  const report = await fuzzer.run(() => rounds++ >= 3);
  expect(report.findings).toEqual([]);
  expect(fuzzer.total).toBeGreaterThan(2000);
  expect(report.rejections.size).toBeGreaterThan(5);
});
