export * from "./bytes.ts";
export * from "./codec.ts";
export { type BodyCodec, Reader, RFC_TYPES, type WireTypes } from "./reader.ts";
export { Writer } from "./writer.ts";
