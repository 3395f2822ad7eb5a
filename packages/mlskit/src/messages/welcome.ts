/** Welcome: the secrets of a new epoch, one sealed copy for each joiner. RFC 9420 §12.4.3.1. */
import { type Codec, opaque, optional, struct, uint16, vector } from "../codec/index.ts";
import { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import { HpkeCiphertext } from "../tree/nodes.ts";

/** What each joiner learns. Secret: exists in plain form only while a Welcome is made or opened. */
export interface GroupSecrets {
  readonly joinerSecret: Uint8Array;
  readonly pathSecret: Uint8Array | undefined;
  readonly psks: readonly PreSharedKeyId[];
}

const PathSecret: Codec<Uint8Array> = opaque;

export const GroupSecrets: Codec<GroupSecrets> = struct<GroupSecrets>({
  joinerSecret: opaque,
  pathSecret: optional(PathSecret),
  psks: vector(PreSharedKeyId),
});

export interface EncryptedGroupSecrets {
  /** KeyPackageRef of the joiner. */
  readonly newMember: Uint8Array;
  readonly encryptedGroupSecrets: HpkeCiphertext;
}

export const EncryptedGroupSecrets: Codec<EncryptedGroupSecrets> = struct({
  newMember: opaque,
  encryptedGroupSecrets: HpkeCiphertext,
});

export interface Welcome {
  readonly cipherSuite: number;
  readonly secrets: readonly EncryptedGroupSecrets[];
  readonly encryptedGroupInfo: Uint8Array;
}

export const Welcome: Codec<Welcome> = struct({
  cipherSuite: uint16,
  secrets: vector(EncryptedGroupSecrets),
  encryptedGroupInfo: opaque,
});
