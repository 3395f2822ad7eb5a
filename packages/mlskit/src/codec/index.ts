export * from "./bytes.ts";
export * from "./codec.ts";
export { Reader, RFC_TYPES, type SkipBody, skipOpaque, type WireTypes } from "./reader.ts";
export { encode, lendEncoding } from "./scratch.ts";
export { vectorHeaderSize, Writer } from "./writer.ts";
export * from "./protocol-version.ts";
