/** ECDSA signatures: strict DER and its conversion to fixed-size r || s. RFC 9420 §5.1.2, RFC 3279 §2.2.3. */

/** Where r and s lie in a DER signature, without leading zero bytes. */
interface DerSignature {
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/**
 * Reads `SEQUENCE { r INTEGER, s INTEGER }`. Undefined unless it is DER: shortest lengths, shortest
 * positive integers, nothing after the end (mk-20).
 */
export function parseDerSignature(der: Uint8Array, scalarSize: number): DerSignature | undefined {
  if (der[0] !== 0x30) return undefined;
  let at = 2;
  let length = der[1] ?? 0;
  if (length === 0x81) {
    length = der[2] ?? 0;
    if (length < 0x80) return undefined;
    at = 3;
  } else if (length > 0x7f) return undefined;
  if (der.length !== at + length) return undefined;
  const r = integerAt(der, at, scalarSize);
  if (r === undefined) return undefined;
  const s = integerAt(der, r.end, scalarSize);
  if (s === undefined || s.end !== der.length) return undefined;
  return { r: r.value, s: s.value };
}

interface DerInteger {
  readonly value: Uint8Array;
  readonly end: number;
}

function integerAt(der: Uint8Array, at: number, scalarSize: number): DerInteger | undefined {
  const length = der[at + 1] ?? 0;
  if (der[at] !== 0x02 || length === 0 || length > scalarSize + 1) return undefined;
  const start = at + 2;
  const end = start + length;
  if (end > der.length) return undefined;
  const first = der[start] ?? 0;
  if (first >= 0x80) return undefined;
  if (first !== 0)
    return length > scalarSize ? undefined : { value: der.subarray(start, end), end };
  // A zero byte in front is allowed only where the number would otherwise be negative.
  if (length === 1 || (der[start + 1] ?? 0) < 0x80) return undefined;
  return { value: der.subarray(start + 1, end), end };
}

/** DER to r || s, each `scalarSize` bytes. Undefined unless the input is strict DER. */
export function derToFixed(der: Uint8Array, scalarSize: number): Uint8Array | undefined {
  const parsed = parseDerSignature(der, scalarSize);
  if (parsed === undefined) return undefined;
  const fixed = new Uint8Array(2 * scalarSize);
  fixed.set(parsed.r, scalarSize - parsed.r.length);
  fixed.set(parsed.s, 2 * scalarSize - parsed.s.length);
  return fixed;
}

/** r || s to DER. */
export function fixedToDer(fixed: Uint8Array): Uint8Array {
  const half = fixed.length / 2;
  const r = minimal(fixed.subarray(0, half));
  const s = minimal(fixed.subarray(half));
  const rSize = r.length + signByte(r);
  const sSize = s.length + signByte(s);
  const length = 4 + rSize + sSize;
  const header = length < 0x80 ? 2 : 3;
  const der = new Uint8Array(header + length);
  der[0] = 0x30;
  if (header === 3) der[1] = 0x81;
  der[header - 1] = length;
  der[header] = 0x02;
  der[header + 1] = rSize;
  der.set(r, header + 2 + signByte(r));
  const at = header + 2 + rSize;
  der[at] = 0x02;
  der[at + 1] = sSize;
  der.set(s, at + 2 + signByte(s));
  return der;
}

function minimal(number: Uint8Array): Uint8Array {
  let start = 0;
  while (start < number.length - 1 && number[start] === 0) start++;
  return number.subarray(start);
}

function signByte(number: Uint8Array): 0 | 1 {
  return (number[0] ?? 0) >= 0x80 ? 1 : 0;
}
