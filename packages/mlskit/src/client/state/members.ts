/** Finding members. */
import { encode, equalBytes, utf8 } from "../../codec/index.ts";
import { Credential } from "../../credentials/credential.ts";
import { StateError, UsageError } from "../../errors.ts";
import type { RatchetTree } from "../../tree/ratchet-tree.ts";

/** Who is meant; all that is given must match. */
export interface MemberSelector {
  readonly leafIndex?: number | undefined;
  /** Of a Basic credential. */
  readonly identity?: Uint8Array | string | undefined;
  readonly credential?: Credential | undefined;
  readonly signatureKey?: Uint8Array | undefined;
  /** Accept several leaves, such as all devices of one person. */
  readonly all?: boolean | undefined;
}

/** Undefined for credentials other than Basic. */
export function identityOfCredential(credential: Credential): Uint8Array | undefined {
  return credential.type === "basic" ? credential.identity : undefined;
}

/** Leaf indices in ascending order. */
export function findMembers(tree: RatchetTree, selector: MemberSelector): number[] {
  const { leafIndex, signatureKey } = selector;
  const identity =
    typeof selector.identity === "string" ? utf8(selector.identity) : selector.identity;
  const credential =
    selector.credential === undefined ? undefined : encode(Credential, selector.credential);
  const found: number[] = [];
  for (const [index, leaf] of tree.members()) {
    if (leafIndex !== undefined && leafIndex !== index) continue;
    if (signatureKey !== undefined && !equalBytes(signatureKey, leaf.signatureKey)) continue;
    if (credential !== undefined && !equalBytes(encode(Credential, leaf.credential), credential)) {
      continue;
    }
    if (identity !== undefined) {
      const own = identityOfCredential(leaf.credential);
      if (own === undefined || !equalBytes(own, identity)) continue;
    }
    found.push(index);
  }
  return found;
}

/** @throws StateError `MEMBER_NOT_FOUND`, UsageError `AMBIGUOUS_MEMBER` with the leaf indices */
export function requireMembers(tree: RatchetTree, selector: MemberSelector): number[] {
  const found = findMembers(tree, selector);
  if (found.length === 0) throw new StateError("MEMBER_NOT_FOUND", "no member matches");
  if (found.length > 1 && selector.all !== true) {
    throw new UsageError("AMBIGUOUS_MEMBER", "more than one member matches", {
      details: { leaves: found },
    });
  }
  return found;
}
