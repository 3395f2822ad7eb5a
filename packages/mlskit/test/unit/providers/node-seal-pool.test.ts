import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SealJob, SuiteCrypto } from "../../../src/crypto/crypto-provider.ts";
import { SealPool } from "../../../src/providers/node-seal-pool.ts";
import { nodeProvider } from "../../../src/providers/node.ts";

const crypto: SuiteCrypto = nodeProvider({ sealingThreads: false }).suite(1);
const INFO = new Uint8Array(170).fill(7);
const folder = mkdtempSync(join(tmpdir(), "mlskit-seal-"));
const workerFile = join(folder, "worker.mjs");

beforeAll(async () => {
  const source = "../../../src/providers/node-seal-worker.ts";
  await build({
    entryPoints: [fileURLToPath(new URL(source, import.meta.url))],
    outfile: workerFile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Recipient {
  readonly privateKey: Uint8Array;
  readonly job: SealJob;
}

async function recipients(count: number): Promise<Recipient[]> {
  const made: Recipient[] = [];
  for (let i = 0; i < count; i++) {
    const { publicKey, privateKey } = await crypto.generateKeyPair();
    made.push({ privateKey, job: { publicKey, plaintext: crypto.randomBytes(32) } });
  }
  return made;
}

function jobsOf(made: readonly Recipient[]): SealJob[] {
  return made.map(({ job }) => job);
}

/** Starts the threads by a batch and waits until they are there. */
async function started(pool: SealPool): Promise<SealPool> {
  const first = pool.seal(crypto, INFO, jobsOf(await recipients(40)));
  expect(first).toBeUndefined();
  await expect.poll(() => pool.size, { timeout: 20_000 }).toBeGreaterThan(0);
  return pool;
}

describe("large batches of encryptions", () => {
  test("are shared with threads, and every recipient can open its own", async () => {
    const pool = await started(new SealPool(pathToFileURL(workerFile)));
    const made = await recipients(61);
    const sealed = await pool.seal(crypto, INFO, jobsOf(made));
    expect(sealed).toHaveLength(made.length);
    for (const [i, { privateKey, job }] of made.entries()) {
      const opened = await crypto.open(privateKey, sealed![i]!, INFO, new Uint8Array());
      expect(opened).toEqual(job.plaintext);
    }
    expect(pool.seal(crypto, INFO, jobsOf(made).slice(0, 5))).toBeUndefined();
    await pool.end();
    expect(pool.size).toBe(0);
  });

  test("fail as they do on one thread", async () => {
    const pool = await started(new SealPool(pathToFileURL(workerFile)));
    const jobs = jobsOf(await recipients(40));
    for (const at of [0, 20, 39]) {
      const spoilt = jobs.map((job, i) =>
        i === at ? { ...job, publicKey: new Uint8Array(32) } : job,
      );
      await expect(pool.seal(crypto, INFO, spoilt)).rejects.toMatchObject({
        code: "INVALID_PUBLIC_KEY",
      });
    }
    await pool.end();
  });

  test("are done here if threads end in the middle", async () => {
    const pool = await started(new SealPool(pathToFileURL(workerFile)));
    const made = await recipients(120);
    const sealing = pool.seal(crypto, INFO, jobsOf(made));
    await pool.end();
    const sealed = await sealing;
    expect(sealed).toHaveLength(made.length);
    for (const [i, { privateKey, job }] of made.entries()) {
      const opened = await crypto.open(privateKey, sealed![i]!, INFO, new Uint8Array());
      expect(opened).toEqual(job.plaintext);
    }
  });

  test.each([
    ["their file is missing", pathToFileURL(join(folder, "missing.mjs"))],
    ["their address is none", new URL("http://localhost/worker.js")],
  ])("are done here if threads cannot be started because %s", async (_, file) => {
    const pool = new SealPool(file);
    const jobs = jobsOf(await recipients(40));
    expect(pool.seal(crypto, INFO, jobs)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(pool.seal(crypto, INFO, jobs)).toBeUndefined();
    expect(pool.size).toBe(0);
  });
});
