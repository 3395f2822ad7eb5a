/** GroupInfo: what a joiner needs to know about an epoch, signed by a member. RFC 9420 §12.4.3. */
import {
  type Codec,
  captured,
  type Encoded,
  EMPTY_BYTES,
  opaque,
  signedPart,
  struct,
  type StructCodec,
  uint32,
  withEncoding,
  withSignature,
} from "../codec/index.ts";
import type { Signer, VerifyJob } from "../crypto/index.ts";
import { GROUP_INFO_TBS, labeledContent, signWithLabel } from "../crypto/labels.ts";
import { type Extension, Extensions } from "../extensions/extension.ts";
import { GroupContext } from "../key-schedule/group-context.ts";

interface GroupInfoTbs {
  readonly groupContext: GroupContext;
  readonly extensions: readonly Extension[];
  readonly confirmationTag: Uint8Array;
  /** Leaf index of the member that signed. */
  readonly signer: number;
}

interface GroupInfoFields extends GroupInfoTbs {
  readonly signature: Uint8Array;
}

export interface GroupInfo extends GroupInfoFields, Encoded {}

const GroupInfoFields: StructCodec<GroupInfoFields> = struct({
  groupContext: GroupContext,
  extensions: Extensions,
  confirmationTag: opaque,
  signer: uint32,
  signature: opaque,
});

export const GroupInfo: Codec<GroupInfo> = captured(GroupInfoFields);

/** Signs the fields with the key of the leaf at `signer`. */
export async function signGroupInfo(fields: GroupInfoTbs, signer: Signer): Promise<GroupInfo> {
  const unsigned = withEncoding(GroupInfoFields, { ...fields, signature: EMPTY_BYTES });
  return withSignature(unsigned, await signWithLabel(signer, GROUP_INFO_TBS, signedPart(unsigned)));
}

/** The check that {@link signGroupInfo}'s signature was made with `publicKey`. */
export function groupInfoVerifyJob(groupInfo: GroupInfo, publicKey: Uint8Array): VerifyJob {
  return {
    publicKey,
    message: labeledContent(GROUP_INFO_TBS, signedPart(groupInfo)),
    signature: groupInfo.signature,
  };
}
