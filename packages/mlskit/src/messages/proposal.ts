/** Proposals: changes that a Commit can apply. RFC 9420 §12.1. */
import {
  type Codec,
  encode,
  type Reader,
  opaque,
  struct,
  uint16,
  uint32,
  union,
  type Writer,
} from "../codec/index.ts";
import { UnsupportedError, UsageError } from "../errors.ts";
import { type Extension, Extensions } from "../extensions/extension.ts";
import { KeyPackage } from "../key-packages/key-package.ts";
import { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import { LeafNode } from "../tree/nodes.ts";

/** Code points, RFC 9420 §17.4. */
export const ProposalType = {
  add: 1,
  update: 2,
  remove: 3,
  psk: 4,
  reInit: 5,
  externalInit: 6,
  groupContextExtensions: 7,
} as const;

export interface Add {
  readonly type: "add";
  readonly keyPackage: KeyPackage;
}

export interface Update {
  readonly type: "update";
  readonly leafNode: LeafNode;
}

export interface Remove {
  readonly type: "remove";
  /** Leaf index. */
  readonly removed: number;
}

export interface PreSharedKeyProposal {
  readonly type: "psk";
  readonly psk: PreSharedKeyId;
}

export interface ReInit {
  readonly type: "reInit";
  readonly groupId: Uint8Array;
  readonly version: number;
  readonly cipherSuite: number;
  readonly extensions: readonly Extension[];
}

export interface ExternalInit {
  readonly type: "externalInit";
  readonly kemOutput: Uint8Array;
}

export interface GroupContextExtensions {
  readonly type: "groupContextExtensions";
  readonly extensions: readonly Extension[];
}

/** A registered type of the application or of a draft. */
export interface CustomProposal {
  readonly type: "custom";
  readonly proposalType: number;
  /** Everything after the type, as on the wire: one encoded `opaque<V>` unless registered otherwise. */
  readonly body: Uint8Array;
}

export type Proposal =
  | Add
  | Update
  | Remove
  | PreSharedKeyProposal
  | ReInit
  | ExternalInit
  | GroupContextExtensions
  | CustomProposal;

export const Proposal: Codec<Proposal> = union<"type", Proposal>(
  "type",
  uint16,
  {
    add: [ProposalType.add, struct({ keyPackage: KeyPackage })],
    update: [ProposalType.update, struct({ leafNode: LeafNode })],
    remove: [ProposalType.remove, struct({ removed: uint32 })],
    psk: [ProposalType.psk, struct({ psk: PreSharedKeyId })],
    reInit: [
      ProposalType.reInit,
      // The version of the successor: unlike elsewhere, any value is well formed here.
      struct({ groupId: opaque, version: uint16, cipherSuite: uint16, extensions: Extensions }),
    ],
    externalInit: [ProposalType.externalInit, struct({ kemOutput: opaque })],
    groupContextExtensions: [
      ProposalType.groupContextExtensions,
      struct({ extensions: Extensions }),
    ],
  },
  {
    code: (proposal) => proposal.proposalType,
    write: (writer: Writer, proposal) => writer.bytes(proposal.body),
    read(reader: Reader, proposalType) {
      const skip = reader.types.proposals.get(proposalType);
      if (skip === undefined) {
        throw new UnsupportedError(
          "UNSUPPORTED_TYPE",
          `proposal type ${proposalType} is not registered`,
          { rule: "mk-10", details: { proposalType } },
        );
      }
      const start = reader.offset;
      skip(reader);
      return { type: "custom", proposalType, body: reader.since(start) };
    },
  },
);

/** Code point of a proposal's type. */
export function proposalTypeOf(proposal: Proposal): number {
  return proposal.type === "custom" ? proposal.proposalType : ProposalType[proposal.type];
}

/**
 * A custom proposal whose body is one `opaque<V>`. Types from 0xF000 are for private use.
 *
 * @throws UsageError `INVALID_PROPOSAL` for a type that RFC 9420 defines or reserves
 */
export function customProposal(proposalType: number, data: Uint8Array): CustomProposal {
  if (proposalType >= 0 && proposalType <= ProposalType.groupContextExtensions) {
    throw new UsageError("INVALID_PROPOSAL", "this proposal type belongs to the RFC", {
      details: { proposalType },
    });
  }
  return { type: "custom", proposalType, body: encode(opaque, data) };
}
