/** Just enough of an X.509 certificate to hold a key. Nobody signed it. RFC 5280 §4.1. */
import { concat, fromHex } from "../../src/codec/index.ts";

/** A DER certificate whose subject's public key is this one. */
export function certificateFor(publicKey: Uint8Array): Uint8Array {
  const algorithm = der(0x30, fromHex("06032b6570"));
  const name = der(0x30);
  const time = (text: string): Uint8Array => der(0x17, new TextEncoder().encode(text));
  const bits = (content: Uint8Array): Uint8Array => der(0x03, fromHex("00"), content);
  const body = der(
    0x30,
    der(0xa0, der(0x02, fromHex("02"))),
    der(0x02, fromHex("01")),
    algorithm,
    name,
    der(0x30, time("260101000000Z"), time("360101000000Z")),
    name,
    der(0x30, algorithm, bits(publicKey)),
  );
  return der(0x30, body, algorithm, bits(new Uint8Array(64)));
}

/** One element; lengths as DER has them. */
function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concat(...contents);
  const { length } = content;
  const header = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  const short = length >= 0x80 && length < 0x100 ? [tag, 0x81, length] : header;
  return concat(Uint8Array.from(short), content);
}
