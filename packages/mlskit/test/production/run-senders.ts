/**
 * The long form of senders.test.ts: `node build/test/production/run-senders.js --processes 2
 * --seconds 60`, with `--threads` for threads of one process, and `--store "encrypted file"`, `SQLite` or
 * `"encrypted SQLite"` for another store.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { runSenders } from "./concurrent-senders.ts";
import { SENDER_STORES } from "./sender-store.ts";

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "2" },
    seconds: { type: "string", default: "60" },
    threads: { type: "boolean", default: false },
    store: { type: "string", default: "file" },
  },
});

const store = SENDER_STORES.find((name) => name === values.store);
if (store === undefined) throw new Error(`--store takes ${SENDER_STORES.join(", ")}`);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mlskit-senders-"));
try {
  const kind = values.threads ? "thread" : "process";
  const report = await runSenders(
    folder,
    Number(values.processes),
    Number(values.seconds),
    kind,
    store,
  );
  const { sent, generations, reused, lost, gaps } = report;
  console.log(
    `${values.processes} ${values.threads ? "threads" : "processes"} on ${store}, ${values.seconds} s, messages ${sent.join(" + ")}: ` +
      `${generations} generations, ${reused} reused, ${lost} messages lost, ${gaps} gaps`,
  );
  if (reused > 0 || lost > 0 || gaps > 0) process.exitCode = 1;
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
