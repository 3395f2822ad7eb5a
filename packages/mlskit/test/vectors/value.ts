/** Strict access to a JSON document: nothing may be missing, unknown or of another kind. */
import { fromHex } from "../../src/codec/index.ts";

/** The file is not in the official format. */
export class FormatError extends Error {}

/** One place in a document, which remembers where it is. */
export class Value {
  readonly json: unknown;
  readonly path: string;

  constructor(json: unknown, path = "") {
    this.json = json;
    this.path = path;
  }

  /** An object with exactly these keys. */
  object<K extends string>(...keys: readonly K[]): Readonly<Record<K, Value>> {
    const { json } = this;
    if (!isObject(json)) throw this.error("an object is expected");
    const known: readonly string[] = keys;
    const unknown = Object.keys(json).find((key) => !known.includes(key));
    if (unknown !== undefined) throw this.error(`the key "${unknown}" is unknown`);
    const missing = known.find((key) => !Object.hasOwn(json, key));
    if (missing !== undefined) throw this.error(`the key "${missing}" is missing`);
    const entries = keys.map((key) => [key, new Value(json[key], `${this.path}.${key}`)]);
    return Object.fromEntries(entries) as Readonly<Record<K, Value>>;
  }

  list(): readonly Value[] {
    const { json } = this;
    if (!Array.isArray(json)) throw this.error("a list is expected");
    return json.map((item: unknown, at) => new Value(item, `${this.path}[${at}]`));
  }

  text(): string {
    if (typeof this.json !== "string") throw this.error("a string is expected");
    return this.json;
  }

  hex(): Uint8Array {
    const text = this.text();
    if (!/^([0-9a-f]{2})*$/i.test(text)) throw this.error("hex digits are expected");
    return fromHex(text);
  }

  hexOrNull(): Uint8Array | undefined {
    return this.json === null ? undefined : this.hex();
  }

  /** A uint32. */
  integer(): number {
    const { json } = this;
    if (typeof json !== "number" || !Number.isInteger(json) || json < 0 || json >= 2 ** 32) {
      throw this.error("a uint32 is expected");
    }
    return json;
  }

  integerOrNull(): number | undefined {
    return this.json === null ? undefined : this.integer();
  }

  /** A uint64; {@link parseDocument} turns the large ones into strings. */
  uint64(): bigint {
    const { json } = this;
    if (typeof json === "number" && Number.isSafeInteger(json) && json >= 0) return BigInt(json);
    if (typeof json === "string" && /^\d{16,20}$/.test(json)) return BigInt(json);
    throw this.error("a uint64 is expected");
  }

  error(message: string): FormatError {
    return new FormatError(`${this.path === "" ? "the case" : this.path}: ${message}`);
  }
}

/** Parses a file. Epochs above 2^53, which JSON.parse would round, stay exact as strings. */
export function parseDocument(text: string): unknown {
  return JSON.parse(text.replace(/("epoch"\s*:\s*)(\d{16,20})(?=\s*[,}])/g, '$1"$2"')) as unknown;
}

export function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
