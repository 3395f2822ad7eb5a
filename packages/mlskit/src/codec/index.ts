export * from "./bytes.ts";
export * from "./codec.ts";
export { Reader } from "./reader.ts";
export { Writer } from "./writer.ts";
