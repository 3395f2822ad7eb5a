/** A thread of the runner. */
import { parentPort, workerData } from "node:worker_threads";
import type { Reply } from "./executor.ts";
import { type Job, runJob } from "./job.ts";
import { providerNamed } from "./options.ts";

const provider = providerNamed(String(workerData));

parentPort?.on("message", (job: Job) => {
  void work(job).then((reply) => parentPort?.postMessage(reply));
});

async function work(job: Job): Promise<Reply> {
  try {
    return { result: await runJob(job, await provider) };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
