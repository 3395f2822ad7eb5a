import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { runSenders } from "./concurrent-senders.ts";

vi.setConfig({ testTimeout: 120_000 });
const newDirectory = temporaryDirectories();

test.each(["process", "thread"] as const)(
  "P-MP-02 sto-4 M-STO-17 senders at the same time, each a %s, reuse no generation and lose no message",
  async (kind) => {
    const folder = newDirectory();
    fs.mkdirSync(folder);
    const { sent, generations, reused, lost, gaps } = await runSenders(folder, 2, 4, kind);
    for (const count of sent) expect(count).toBeGreaterThan(2);
    expect({ reused, lost, gaps }).toEqual({ reused: 0, lost: 0, gaps: 0 });
    expect(generations).toBe(sent.reduce((a, b) => a + b));
  },
);
