/** How far the members of a group can be told by their certificates. Catalogue M-X509-04. */
import type { AuthenticationService, Identity } from "../credentials/authentication-service.ts";
import type { CryptoProvider } from "../crypto/index.ts";
import { StateError, UnsupportedError } from "../errors.ts";
import { ExtensionType, findExtension } from "../extensions/extension.ts";
import { decodeMlsMessage } from "../framing/mls-message.ts";
import { RFC_TYPES } from "../codec/index.ts";
import { RatchetTree } from "../tree/ratchet-tree.ts";

export interface Verification<Member extends Identity = Identity> {
  /** `notEnabled`: nobody has a certificate. `notVerified`: somebody has none, or a bad one. */
  readonly state: "verified" | "notVerified" | "notEnabled";
  readonly unverified: readonly Member[];
}

export interface VerificationContext {
  /** From `x509AuthenticationService`. */
  readonly service: AuthenticationService;
  /** Seconds since 1970. */
  readonly now: bigint;
}

/** Of a group: `verifyMembers(group.members(), …)`. */
export async function verifyMembers<Member extends Identity>(
  members: readonly Member[],
  { service, now }: VerificationContext,
): Promise<Verification<Member>> {
  const certified = members.filter(({ credential }) => credential.type === "x509");
  if (certified.length === 0) return { state: "notEnabled", unverified: members };
  const context = { event: "join", groupId: undefined, now } as const;
  const verdicts = await service.validate(certified, context);
  const good = new Set(certified.filter((_, i) => verdicts[i] === true));
  const unverified = members.filter((member) => !good.has(member));
  return { state: unverified.length === 0 ? "verified" : "notVerified", unverified };
}

/**
 * Of a group that one might join, by its GroupInfo. Nothing else about the GroupInfo is checked here;
 * joining does that.
 *
 * @param ratchetTree Body of the ratchet_tree extension, if the GroupInfo does not carry the tree.
 * @throws StateError `TREE_REQUIRED`, DecodeError, UnsupportedError
 */
export async function verifyGroupInfo(
  groupInfo: Uint8Array,
  context: VerificationContext & { readonly provider: CryptoProvider },
  ratchetTree?: Uint8Array,
): Promise<Verification> {
  const decoded = decodeMlsMessage(groupInfo);
  if (decoded.wireFormat !== "groupInfo") {
    throw new UnsupportedError("UNSUPPORTED_WIRE_FORMAT", "a GroupInfo is expected here");
  }
  const { groupContext, extensions } = decoded.message;
  const bytes = findExtension(extensions, ExtensionType.ratchetTree) ?? ratchetTree;
  if (bytes === undefined) {
    throw new StateError("TREE_REQUIRED", "the ratchet tree must be given", { rule: "mk-96" });
  }
  const crypto = context.provider.suite(groupContext.cipherSuite);
  const tree = RatchetTree.decode(crypto, bytes, RFC_TYPES, { maxNodes: 2 ** 21 });
  const members = [...tree.members()].map(([, { credential, signatureKey }]) => {
    return { credential, signatureKey };
  });
  return verifyMembers(members, context);
}
