/** Which leaves of two groups belong to one client. RFC 9420 §11.2, §11.3, §12.2, §12.4.3.1. */
import { bytesKey, encode } from "../codec/index.ts";
import { Credential } from "../credentials/credential.ts";
import type { CredentialContext, Identity } from "../credentials/authentication-service.ts";
import type { Environment } from "./environment.ts";

type Service = Pick<Environment, "authenticationService" | "now">;

/**
 * Those of `wanted` that have no counterpart among `present`. Every member of `present` is the
 * counterpart of at most one, so that no device of a user stands in for another.
 */
export function membersWithoutCounterpart(
  service: Service,
  wanted: readonly Identity[],
  present: readonly Identity[],
  groupId: Uint8Array,
): Promise<readonly Identity[]> {
  return unmatched(service, wanted, present, { groupId, once: true, later: "present" });
}

/** Those of `members` that match nobody in `origin`. Two of them may match one and the same. */
export function membersFromElsewhere(
  service: Service,
  members: readonly Identity[],
  origin: readonly Identity[],
  groupId: Uint8Array,
): Promise<readonly Identity[]> {
  return unmatched(service, members, origin, { groupId, once: false, later: "wanted" });
}

/**
 * A leaf among `added` whose client has another leaf in the group, by the application's `clientId`.
 * Without one, clients are told apart by signature keys, which are unique anyway. RFC 9420 §12.2.
 */
export function repeatedClient(
  { authenticationService: service }: Pick<Service, "authenticationService">,
  members: Iterable<readonly [leaf: number, identity: Identity]>,
  added: ReadonlySet<number>,
): { readonly added: number; readonly other: number } | undefined {
  if (service.clientId === undefined || added.size === 0) return undefined;
  const leaves = new Map<string, number>();
  for (const [leaf, { credential, signatureKey }] of members) {
    const id = bytesKey(service.clientId({ credential, signatureKey }));
    const other = leaves.get(id);
    if (other === undefined) leaves.set(id, leaf);
    else if (added.has(leaf)) return { added: leaf, other };
    else if (added.has(other)) return { added: other, other: leaf };
  }
  return undefined;
}

interface Matching {
  readonly groupId: Uint8Array;
  /** Whether a counterpart is used up by its first match. */
  readonly once: boolean;
  /** Which of the two lists is that of the newer group. */
  readonly later: "wanted" | "present";
}

async function unmatched(
  { authenticationService: service, now }: Service,
  wanted: readonly Identity[],
  present: readonly Identity[],
  { groupId, once, later }: Matching,
): Promise<readonly Identity[]> {
  const context: CredentialContext = { event: "join", groupId, now };
  const keyOf = (identity: Identity): string =>
    bytesKey(service.clientId?.(identity) ?? encode(Credential, identity.credential));
  const candidates = new Candidates(present, keyOf);
  const missing: Identity[] = [];
  for (const identity of wanted) {
    const matches = async (candidate: Identity): Promise<boolean> => {
      // A client id settles it; without one, only the service can tell.
      if (service.clientId !== undefined) return keyOf(candidate) === keyOf(identity);
      const [older, newer] = later === "wanted" ? [candidate, identity] : [identity, candidate];
      return (await service.isSuccessor(older, newer, context)) === true;
    };
    const isKnown = await candidates.find(keyOf(identity), matches, {
      once,
      everybody: service.clientId === undefined,
    });
    if (!isKnown) missing.push(identity);
  }
  return missing;
}

/** Looks at the likely candidates first, so that equal credentials cost one question per member. */
class Candidates {
  readonly #all: Set<Identity>;
  readonly #byKey: Map<string, Identity[]> = new Map();

  constructor(identities: readonly Identity[], keyOf: (identity: Identity) => string) {
    this.#all = new Set(identities);
    for (const identity of this.#all) {
      const key = keyOf(identity);
      const group = this.#byKey.get(key);
      if (group === undefined) this.#byKey.set(key, [identity]);
      else group.push(identity);
    }
  }

  async find(
    key: string,
    matches: (candidate: Identity) => Promise<boolean>,
    { once, everybody }: { readonly once: boolean; readonly everybody: boolean },
  ): Promise<boolean> {
    const likely = this.#byKey.get(key) ?? [];
    for (const candidate of everybody ? [...likely, ...this.#all] : likely) {
      if (!this.#all.has(candidate) || !(await matches(candidate))) continue;
      if (once) this.#all.delete(candidate);
      return true;
    }
    return false;
  }
}
