import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { runSenders } from "./concurrent-senders.ts";

vi.setConfig({ testTimeout: 120_000 });
const newDirectory = temporaryDirectories();

test("P-MP-02 sto-4 M-STO-17 processes that send at the same time reuse no generation and lose no message", async () => {
  const folder = newDirectory();
  fs.mkdirSync(folder);
  const { sent, generations, reused, lost, gaps } = await runSenders(folder, 2, 5);
  for (const count of sent) expect(count).toBeGreaterThan(2);
  expect({ reused, lost, gaps }).toEqual({ reused: 0, lost: 0, gaps: 0 });
  expect(generations).toBe(sent.reduce((a, b) => a + b));
});
