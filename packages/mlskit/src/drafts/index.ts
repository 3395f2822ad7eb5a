/** Drafts of the MLS working group, each to be registered by who wants it. Their code points may change. */
export * from "./app-data-dictionary.ts";
export * from "./app-data-update.ts";
export * from "./application-psk.ts";
export * from "./last-resort.ts";
export {
  MembershipProof,
  membershipProof,
  proveMember,
  type ProvenMember,
} from "./membership-proof.ts";
export * from "./partial.ts";
export { safeExportSecret } from "./safe-exporter.ts";
export * from "./self-remove.ts";
