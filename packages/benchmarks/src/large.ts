/** Groups of tens of thousands, as an application meets them: by the client, with files as store. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runApart } from "./apart.ts";
import { largeWorkerFile } from "./folders.ts";
import { forgeGroup } from "./forged-group.ts";
import { providers } from "./internals.ts";
import type { Results, Skipped } from "./results.ts";

/** Milliseconds and megabytes. */
export interface LargeGroup {
  readonly size: number;
  readonly suite: number;
  readonly welcomeBytes: number;
  readonly join: Weighed;
  /** Opening after a restart, and sending the first message. */
  readonly open: Weighed;
  readonly commit: number;
  readonly process: number;
  readonly send: number;
  readonly receive: number;
}

/** What the group adds to a process with an idle client. */
export interface Weighed extends Memory {
  readonly milliseconds: number;
  /** What that client, with the library, adds to an empty process; of `join`. */
  readonly client?: Memory;
}

export interface Memory {
  /** Heap and what hangs on it, after collecting garbage. */
  readonly live: number;
  /** Resident set. */
  readonly resident: number;
}

const SUITE = 1;

/**
 * A forged group in which all members have committed is joined, opened again and used. Memory is
 * measured when the process has been `idle` for so many seconds, before and after.
 */
export async function measureLarge(
  node: string,
  size: number,
  idle: number,
): Promise<Partial<Results>> {
  const folder = mkdtempSync(join(tmpdir(), "mlskit-large-"));
  const phase = (name: string): unknown =>
    runApart(node, ["--expose-gc", largeWorkerFile, name, folder, `${idle}`]);
  try {
    phase("prepare");
    const guests = ["first", "second"].map((name) => readFileSync(join(folder, `${name}.kp`)));
    const group = await forgeGroup(providers.nodeProvider(), SUITE, size - guests.length);
    const { welcome } = await group.invite(guests.map((bytes) => new Uint8Array(bytes)));
    writeFileSync(join(folder, "welcome"), welcome);
    const joined = phase("join") as Weighed;
    const opened = phase("open") as Weighed;
    const used = phase("use") as Pick<LargeGroup, "commit" | "process" | "send" | "receive">;
    const found = { size, suite: SUITE, welcomeBytes: welcome.length, join: joined, open: opened };
    return { large: [{ ...found, ...used }] };
  } catch (error) {
    const what = `large, N = ${size}`;
    const skipped: Skipped = { what, why: String(error), isFault: true };
    return { skipped: [skipped] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
