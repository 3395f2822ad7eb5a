import { memoryStorage } from "../../../src/storage/memory.ts";
import { describeContract } from "./describe-contract.ts";

describeContract("M-STO-02: memory store, sto-8 contract", { open: memoryStorage });
