import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { runSenders } from "./concurrent-senders.ts";
import { SENDER_STORES } from "./sender-store.ts";

vi.setConfig({ testTimeout: 120_000 });
const newDirectory = temporaryDirectories();

test.each([
  ...SENDER_STORES.map((store) => ["process", store] as const),
  ["thread", "file"] as const,
])(
  "P-MP-02 sto-4 M-STO-17 senders at the same time, each a %s, on %s, reuse no generation and lose no message",
  async (kind, store) => {
    // SQLite polls its lock and lets one connection win many times in a row.
    const seconds = store.endsWith("SQLite") ? 2 : 4;
    const folder = newDirectory();
    fs.mkdirSync(folder);
    const { sent, generations, reused, lost, gaps } = await runSenders(
      folder,
      2,
      seconds,
      kind,
      store,
    );
    console.log(`${kind} on ${store}: ${sent.join(" + ")} messages`);
    for (const count of sent) expect(count).toBeGreaterThan(0);
    expect({ reused, lost, gaps }).toEqual({ reused: 0, lost: 0, gaps: 0 });
    expect(generations).toBe(sent.reduce((a, b) => a + b));
  },
);
