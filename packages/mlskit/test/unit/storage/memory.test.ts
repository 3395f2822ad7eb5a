import { memoryStorage } from "../../../src/storage/memory.ts";
import { describeContract } from "./describe-contract.ts";

describeContract(
  "M-STO-02: memory store, sto-8 contract",
  { open: memoryStorage },
  {
    reopen: "it lives in one object",
    torn: "it dies with its process, and a batch is applied without a pause",
    limited: "its medium is the heap of the process, whose end nothing survives",
  },
);
