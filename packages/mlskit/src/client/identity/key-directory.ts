/** A small authentication service: signature keys that the application vouches for. RFC 9420 §5.3. */
import { bytesKey, equalBytes, utf8 } from "../../codec/index.ts";
import type {
  AuthenticationService,
  Identity,
  Verdict,
} from "../../credentials/authentication-service.ts";

/**
 * Accepts a Basic credential only beside a signature key that was added for its identity. Where the
 * keys come from (a server's directory, a scanned code, a contact list) is the application's matter,
 * and so is how far they can be trusted.
 */
export class KeyDirectory implements AuthenticationService {
  readonly #keys = new Map<string, Set<string>>();

  /** Vouches for a key. A client passes itself: `directory.add(client.identity)`. */
  add(entry: { readonly identity: string | Uint8Array; readonly signatureKey: Uint8Array }): void {
    const { identity, signatureKey } = entry;
    const name = bytesKey(typeof identity === "string" ? utf8(identity) : identity);
    const keys = this.#keys.get(name) ?? new Set();
    keys.add(bytesKey(signatureKey));
    this.#keys.set(name, keys);
  }

  /** Stops vouching for a key. Members that hold it are not removed by this. */
  remove(entry: {
    readonly identity: string | Uint8Array;
    readonly signatureKey: Uint8Array;
  }): void {
    const { identity, signatureKey } = entry;
    const name = bytesKey(typeof identity === "string" ? utf8(identity) : identity);
    this.#keys.get(name)?.delete(bytesKey(signatureKey));
  }

  validate(identities: readonly Identity[]): readonly Verdict[] {
    return identities.map(({ credential, signatureKey }) => {
      if (credential.type !== "basic") return { reason: "only Basic credentials are known" };
      const keys = this.#keys.get(bytesKey(credential.identity));
      if (keys?.has(bytesKey(signatureKey)) === true) return true;
      return { reason: "nobody vouches for this key" };
    });
  }

  /** The same identity, whatever its key. */
  isSuccessor(current: Identity, next: Identity): Verdict {
    const [a, b] = [current.credential, next.credential];
    if (a.type === "basic" && b.type === "basic" && equalBytes(a.identity, b.identity)) return true;
    return { reason: "the identity would change" };
  }
}
