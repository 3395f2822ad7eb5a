/** The protocol version field. RFC 9420 §6. */
import { UnsupportedError } from "../errors.ts";
import { type Codec, uint16 } from "./codec.ts";

/** `mls10`, the only version there is. */
export const MLS10 = 1;

/** A version field that must name a version implemented here. */
export const ProtocolVersion: Codec<number> = {
  write: (writer, version) => uint16.write(writer, version),
  read(reader) {
    const version = reader.uint16();
    if (version !== MLS10) {
      throw new UnsupportedError("UNSUPPORTED_VERSION", `protocol version ${version} is unknown`, {
        rule: "mk-08",
        details: { version },
      });
    }
    return version;
  },
};
