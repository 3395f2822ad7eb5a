/** deserialization: the length headers of vectors. RFC 9420 §2.1.2. */
import { Reader, Writer } from "../../../src/codec/index.ts";
import { expected, type Format } from "../format.ts";

const KEYS = ["vlbytes_header", "length"] as const;

export const deserialization: Format = {
  type: "deserialization",
  keys: KEYS,
  hasSuite: false,
  verify(value, { checks }) {
    const fields = value.object(...KEYS);
    const header = fields.vlbytes_header.hex();
    const length = fields.length.integer();
    // Only the header is here: nothing may be read, or allocated, for a body.
    const reader = new Reader(header);
    checks.same("decoded headers", reader.vectorLength(), length);
    reader.finish("header");
    const writer = new Writer(4);
    writer.vectorLength(length);
    checks.bytes("encoded headers", writer.finish(), header);
  },
  controls: [...expected("length"), { kind: "header", path: "vlbytes_header" }],
};
