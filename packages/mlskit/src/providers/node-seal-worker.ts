/** A thread that seals for {@link sealOnThreads}. Started by node-seal-pool.ts, never imported. */
import { parentPort } from "node:worker_threads";
import { decodeInPlace, encode } from "../codec/index.ts";
import {
  READY,
  SealedMessages,
  SealJobs,
  type SealAnswer,
  type SealRequest,
} from "./node-seal-messages.ts";
import { nodeProvider } from "./node.ts";

const provider = nodeProvider({ sealingThreads: false });

parentPort?.on("message", (request: SealRequest) => {
  void answer(request).then((message) => {
    const { sealed } = message;
    parentPort?.postMessage(message, sealed === undefined ? [] : [sealed.buffer as ArrayBuffer]);
  });
});
parentPort?.postMessage(READY);

async function answer({ id, suite, info, jobs }: SealRequest): Promise<SealAnswer> {
  try {
    const sealed = await provider.suite(suite).sealMany(info, decodeInPlace(SealJobs, jobs));
    return { id, sealed: encode(SealedMessages, sealed) };
  } catch {
    // The calling thread seals them itself, and meets the error where it belongs.
    return { id, sealed: undefined };
  } finally {
    jobs.fill(0);
  }
}
