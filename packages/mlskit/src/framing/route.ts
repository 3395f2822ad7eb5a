/** What can be known of a message without keys and without its group. RFC 9420 §6. */
import type { WireTypes } from "../codec/index.ts";
import type { Credential } from "../credentials/credential.ts";
import type { LeafNode } from "../tree/nodes.ts";
import type { Proposal } from "../messages/proposal.ts";
import type { ContentType, Sender } from "./framed-content.ts";
import { decodeMlsMessage, type MlsMessage } from "./mls-message.ts";

/** Where a message belongs, for delivery services. */
export type Route =
  | {
      readonly wireFormat: "publicMessage" | "privateMessage";
      readonly groupId: Uint8Array;
      readonly epoch: bigint;
      readonly contentType: ContentType;
      /** Only PublicMessages show who sent them. */
      readonly sender: Sender["type"] | undefined;
    }
  | {
      readonly wireFormat: "welcome";
      readonly cipherSuite: number;
      /** KeyPackageRefs of the joiners. */
      readonly keyPackageRefs: readonly Uint8Array[];
    }
  | { readonly wireFormat: "groupInfo"; readonly groupId: Uint8Array; readonly epoch: bigint }
  | { readonly wireFormat: "keyPackage"; readonly cipherSuite: number };

/** @throws DecodeError, UnsupportedError */
export function routeMessage(bytes: Uint8Array, types?: WireTypes): Route {
  return routeOf(decodeMlsMessage(bytes, types));
}

export function routeOf(decoded: MlsMessage): Route {
  const { wireFormat } = decoded;
  switch (wireFormat) {
    case "publicMessage": {
      const { groupId, epoch, sender, content } = decoded.message.content;
      return { wireFormat, groupId, epoch, contentType: content.contentType, sender: sender.type };
    }
    case "privateMessage": {
      const { groupId, epoch, contentType } = decoded.message;
      return { wireFormat, groupId, epoch, contentType, sender: undefined };
    }
    case "welcome": {
      const { cipherSuite, secrets } = decoded.message;
      const keyPackageRefs = secrets.map(({ newMember }) => newMember);
      return { wireFormat, cipherSuite, keyPackageRefs };
    }
    case "groupInfo": {
      const { groupId, epoch } = decoded.message.groupContext;
      return { wireFormat, groupId, epoch };
    }
    case "keyPackage":
      return { wireFormat, cipherSuite: decoded.message.cipherSuite };
  }
}

/** What a Commit that travels in the clear says, before anybody believed it. */
export interface PublicCommitView {
  /** Proposals that it carries itself. */
  readonly proposals: readonly Proposal[];
  /** References to proposals that were sent before. */
  readonly references: readonly Uint8Array[];
  /** The committer's new leaf. */
  readonly pathLeaf: LeafNode | undefined;
}

/** What a key package says, before anybody checked it. */
export interface KeyPackageView {
  readonly cipherSuite: number;
  readonly unverifiedCredential: Credential;
  readonly unverifiedSignatureKey: Uint8Array;
}

/** Undefined unless the bytes are a key package. @throws DecodeError, UnsupportedError */
export function viewKeyPackage(bytes: Uint8Array, types?: WireTypes): KeyPackageView | undefined {
  const decoded = decodeMlsMessage(bytes, types);
  if (decoded.wireFormat !== "keyPackage") return undefined;
  const { cipherSuite, leafNode } = decoded.message;
  const { credential, signatureKey } = leafNode;
  return {
    cipherSuite,
    unverifiedCredential: credential,
    unverifiedSignatureKey: signatureKey,
  };
}

/** Undefined unless the bytes are a PublicMessage with a Commit. @throws DecodeError */
export function viewPublicCommit(
  bytes: Uint8Array,
  types?: WireTypes,
): PublicCommitView | undefined {
  const decoded = decodeMlsMessage(bytes, types);
  if (decoded.wireFormat !== "publicMessage") return undefined;
  const { content } = decoded.message.content;
  if (content.contentType !== "commit") return undefined;
  const proposals: Proposal[] = [];
  const references: Uint8Array[] = [];
  for (const item of content.commit.proposals) {
    if (item.type === "proposal") proposals.push(item.proposal);
    else references.push(item.reference);
  }
  return { proposals, references, pathLeaf: content.commit.path?.leafNode };
}
