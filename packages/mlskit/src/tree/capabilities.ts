/** What a client says it can process. RFC 9420 §7.2, §13. */
import type { RequiredCapabilities } from "../extensions/extension.ts";
import type { Capabilities } from "./nodes.ts";

/** The lists of a capabilities object that rules ask about. */
export type SupportKind = "versions" | "extensions" | "proposals" | "credentials";

/** Extension types that everybody supports and nobody lists: application_id to external_senders. */
export const DEFAULT_EXTENSION_TYPES: readonly number[] = [1, 2, 3, 4, 5];

/** Proposal types that everybody supports and nobody lists: add to group_context_extensions. */
export const DEFAULT_PROPOSAL_TYPES: readonly number[] = [1, 2, 3, 4, 5, 6, 7];

/** Whether a type counts as supported without being listed. Credential types never do. */
export function isDefaultType(kind: SupportKind, type: number): boolean {
  if (kind === "extensions") return DEFAULT_EXTENSION_TYPES.includes(type);
  if (kind === "proposals") return DEFAULT_PROPOSAL_TYPES.includes(type);
  return false;
}

/** What a group requires of every member, type by type. RFC 9420 §11.1. */
export function requiredTypes(
  required: RequiredCapabilities | undefined,
): readonly { readonly kind: SupportKind; readonly type: number }[] {
  const { extensionTypes = [], proposalTypes = [], credentialTypes = [] } = required ?? {};
  return [
    ...extensionTypes.map((type) => ({ kind: "extensions", type }) as const),
    ...proposalTypes.map((type) => ({ kind: "proposals", type }) as const),
    ...credentialTypes.map((type) => ({ kind: "credentials", type }) as const),
  ];
}

/** Whether a client with these capabilities supports a type. */
export function supports(capabilities: Capabilities, kind: SupportKind, type: number): boolean {
  return isDefaultType(kind, type) || capabilities[kind].includes(type);
}

/** Whether the lists hold default types, which ours MUST NOT (mk-50). */
export function listsDefaultTypes(capabilities: Capabilities): boolean {
  return (
    capabilities.extensions.some((type) => isDefaultType("extensions", type)) ||
    capabilities.proposals.some((type) => isDefaultType("proposals", type))
  );
}
