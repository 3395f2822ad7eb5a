/** Bytes that must not leak into logs and can be overwritten. */
import { copyBytes, EMPTY_BYTES } from "../codec/bytes.ts";
import { StateError } from "../errors.ts";

/**
 * Owns secret bytes. They are reachable only through {@link bytes}, which default serialisation,
 * spreading and `util.inspect` do not call. `erase` overwrites them; JavaScript cannot promise that
 * the engine made no copy (see SECURITY.md).
 */
export class Secret {
  #bytes: Uint8Array;
  #isErased = false;

  /** Takes ownership: the caller must not change or share `bytes` afterwards. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static copyOf(bytes: Uint8Array): Secret {
    return new Secret(copyBytes(bytes));
  }

  /**
   * The bytes themselves, not a copy.
   * @throws StateError `SECRET_ERASED`: nothing may be derived from what is gone
   */
  get bytes(): Uint8Array {
    if (this.#isErased) throw new StateError("SECRET_ERASED", "this secret was erased");
    return this.#bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  erase(): void {
    this.#bytes.fill(0);
    this.#bytes = EMPTY_BYTES;
    this.#isErased = true;
  }

  toJSON(): string {
    return "[secret]";
  }

  toString(): string {
    return "[secret]";
  }
}
