/** Commits: a list of proposals and, mostly, new keys for the committer's path. RFC 9420 §12.4. */
import { type Codec, opaque, optional, struct, uint8, union, vector } from "../codec/index.ts";
import { UpdatePath } from "../tree/nodes.ts";
import { Proposal } from "./proposal.ts";

export type ProposalOrRef =
  | { readonly type: "proposal"; readonly proposal: Proposal }
  /** ProposalRef, RFC 9420 §5.2. */
  | { readonly type: "reference"; readonly reference: Uint8Array };

export const ProposalOrRef: Codec<ProposalOrRef> = union<"type", ProposalOrRef>("type", uint8, {
  proposal: [1, struct({ proposal: Proposal })],
  reference: [2, struct({ reference: opaque })],
});

export interface Commit {
  readonly proposals: readonly ProposalOrRef[];
  readonly path: UpdatePath | undefined;
}

export const Commit: Codec<Commit> = struct<Commit>({
  proposals: vector(ProposalOrRef),
  path: optional(UpdatePath),
});
