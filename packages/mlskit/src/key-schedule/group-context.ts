/** What all members agree on in an epoch. RFC 9420 §8.1. */
import { type Codec, opaque, ProtocolVersion, struct, uint16, uint64 } from "../codec/index.ts";
import { type Extension, Extensions } from "../extensions/extension.ts";

export interface GroupContext {
  readonly version: number;
  readonly cipherSuite: number;
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly treeHash: Uint8Array;
  readonly confirmedTranscriptHash: Uint8Array;
  readonly extensions: readonly Extension[];
}

export const GroupContext: Codec<GroupContext> = struct({
  version: ProtocolVersion,
  cipherSuite: uint16,
  groupId: opaque,
  epoch: uint64,
  treeHash: opaque,
  confirmedTranscriptHash: opaque,
  extensions: Extensions,
});
