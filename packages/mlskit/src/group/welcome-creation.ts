/** Making the Welcomes of a Commit. RFC 9420 §12.4.3.1. */
import { EMPTY_BYTES, encode } from "../codec/index.ts";
import type { SealJob } from "../crypto/index.ts";
import { encryptContext } from "../crypto/labels.ts";
import { encodeMlsMessage } from "../framing/mls-message.ts";
import { keyPackageRef } from "../key-packages/key-package.ts";
import { memberSecret, welcomeKey } from "../key-schedule/key-schedule.ts";
import type { PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";
import type { GroupInfo } from "../messages/group-info.ts";
import { GroupSecrets, type Welcome } from "../messages/welcome.ts";
import { commonAncestor, type LeafIndex } from "../tree/tree-math.ts";
import type { Secret } from "../crypto/index.ts";
import type { AddedLeaf } from "./apply-proposals.ts";
import type { NextEpoch } from "./next-epoch.ts";

export interface WelcomeInput {
  readonly next: NextEpoch;
  readonly added: readonly AddedLeaf[];
  readonly committer: LeafIndex;
  /** Path secrets by node; undefined for a Commit without a path. */
  readonly pathSecrets: ReadonlyMap<number, Secret> | undefined;
  /** In Commit order. */
  readonly psks: readonly PreSharedKeyId[];
  readonly pskSecret: Secret;
  /** Signed, for the new epoch. */
  readonly groupInfo: GroupInfo;
  /** Joiners per Welcome; all in one by default. */
  readonly joinersPerWelcome?: number | undefined;
}

export interface CreatedWelcome {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  /** KeyPackageRefs of the joiners it serves. */
  readonly keyPackageRefs: readonly Uint8Array[];
}

/** Seals the secrets of the new epoch for everyone that was added, once each. */
export async function createWelcomes(input: WelcomeInput): Promise<CreatedWelcome[]> {
  const { next, added } = input;
  if (added.length === 0) return [];
  const { crypto } = next.public;
  const encryptedGroupInfo = encryptGroupInfo(input);
  const jobs = added.map((change) => sealJob(input, change));
  const sealed = await crypto.sealMany(encryptContext("Welcome", encryptedGroupInfo), jobs);
  for (const { plaintext } of jobs) plaintext.fill(0);
  const secrets: Welcome["secrets"][number][] = [];
  for (const [i, { keyPackage }] of added.entries()) {
    const encryptedGroupSecrets = sealed[i];
    if (encryptedGroupSecrets === undefined) continue;
    const newMember = keyPackageRef(crypto, keyPackage);
    secrets.push({ newMember, encryptedGroupSecrets });
  }
  const size = input.joinersPerWelcome ?? secrets.length;
  const welcomes: CreatedWelcome[] = [];
  for (let at = 0; at < secrets.length; at += size) {
    const part = secrets.slice(at, at + size);
    const message: Welcome = { cipherSuite: crypto.suite.id, secrets: part, encryptedGroupInfo };
    welcomes.push({
      bytes: encodeMlsMessage({ wireFormat: "welcome", message }),
      keyPackageRefs: part.map(({ newMember }) => newMember),
    });
  }
  return welcomes;
}

function encryptGroupInfo({ next, pskSecret, groupInfo }: WelcomeInput): Uint8Array {
  const { crypto } = next.public;
  const member = memberSecret(crypto, next.joinerSecret, pskSecret);
  const { key, nonce } = welcomeKey(crypto, member);
  member.erase();
  return crypto.aeadSeal(key, nonce, EMPTY_BYTES, groupInfo.encoded);
}

function sealJob(input: WelcomeInput, { leaf, keyPackage }: AddedLeaf): SealJob {
  const { next, committer, pathSecrets, psks } = input;
  // The joiner learns the secret of the lowest node that it shares with the committer.
  const pathSecret = pathSecrets?.get(commonAncestor(leaf, committer))?.bytes;
  const joinerSecret = next.joinerSecret.bytes;
  const plaintext = encode(GroupSecrets, { joinerSecret, pathSecret, psks });
  return { publicKey: keyPackage.initKey, plaintext };
}
