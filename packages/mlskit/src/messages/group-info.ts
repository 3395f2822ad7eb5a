/** GroupInfo: what a joiner needs to know about an epoch, signed by a member. RFC 9420 §12.4.3. */
import {
  type Codec,
  captured,
  type Encoded,
  encode,
  opaque,
  signedPart,
  struct,
  type StructCodec,
  uint32,
  withEncoding,
} from "../codec/index.ts";
import type { Signer, VerifyJob } from "../crypto/index.ts";
import { labeledContent, signWithLabel } from "../crypto/labels.ts";
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

const tbsFields = {
  groupContext: GroupContext,
  extensions: Extensions,
  confirmationTag: opaque,
  signer: uint32,
};

const GroupInfoTbs: Codec<GroupInfoTbs> = struct(tbsFields);
const GroupInfoFields: StructCodec<GroupInfoFields> = struct({ ...tbsFields, signature: opaque });

export const GroupInfo: Codec<GroupInfo> = captured(GroupInfoFields);

/** Signs the fields with the key of the leaf at `signer`. */
export async function signGroupInfo(fields: GroupInfoTbs, signer: Signer): Promise<GroupInfo> {
  const signature = await signWithLabel(signer, LABEL, encode(GroupInfoTbs, fields));
  return withEncoding(GroupInfoFields, { ...fields, signature });
}

/** The check that {@link signGroupInfo}'s signature was made with `publicKey`. */
export function groupInfoVerifyJob(groupInfo: GroupInfo, publicKey: Uint8Array): VerifyJob {
  return {
    publicKey,
    message: labeledContent(LABEL, signedPart(groupInfo)),
    signature: groupInfo.signature,
  };
}

const LABEL = "GroupInfoTBS";
