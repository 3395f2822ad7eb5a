/**
 * GroupInfos, trees and Welcomes for groups that need not exist: whatever is changed, hashes,
 * signature, key schedule and confirmation tag are made to fit. RFC 9420 §12.4.3.
 */
import {
  type Codec,
  EMPTY_BYTES,
  encode,
  opaque,
  signedPart,
  struct,
  uint16,
  uint32,
  uint64,
  withEncoding,
} from "../../codec/index.ts";
import { Secret, type Signer } from "../../crypto/index.ts";
import { WELCOME, encryptWithLabel, signWithLabel } from "../../crypto/labels.ts";
import {
  type Extension,
  ExtensionType,
  ExternalPub,
  makeExtension,
} from "../../extensions/extension.ts";
import { encodeMlsMessage } from "../../framing/mls-message.ts";
import type { PublicEpoch } from "../../group/epoch.ts";
import type { KeyPackageBundle } from "../../group/join-by-welcome.ts";
import { keyPackageRef } from "../../key-packages/key-package.ts";
import type { GroupContext } from "../../key-schedule/group-context.ts";
import {
  confirmationTag,
  type EpochSecrets,
  epochSecrets,
  memberSecret,
  welcomeKey,
} from "../../key-schedule/key-schedule.ts";
import { type PreSharedKey, pskSecret } from "../../key-schedule/pre-shared-key.ts";
import type { GroupInfo } from "../../messages/group-info.ts";
import { GroupSecrets, type Welcome } from "../../messages/welcome.ts";
import { RatchetTreeNodes, type TreeNode } from "../../tree/nodes.ts";
import { LooseExtensions } from "./leaf.ts";
import { hashOfNodes, nodesOf } from "./tree.ts";

/** `GroupContext` whose extensions may hold a type twice. */
export const LooseGroupContext: Codec<GroupContext> = struct({
  version: uint16,
  cipherSuite: uint16,
  groupId: opaque,
  epoch: uint64,
  treeHash: opaque,
  confirmedTranscriptHash: opaque,
  extensions: LooseExtensions,
});

/** A GroupInfo before it is encoded. */
export type GroupInfoFields = Omit<GroupInfo, "encoded">;

/** `GroupInfo` whose extensions may hold a type twice. */
export const LooseGroupInfo: Codec<GroupInfoFields> = struct({
  groupContext: LooseGroupContext,
  extensions: LooseExtensions,
  confirmationTag: opaque,
  signer: uint32,
  signature: opaque,
});

/** What is wrong with a GroupInfo. */
export interface GroupInfoForgery {
  /** The tree, instead of the epoch's; the context gets its hash. */
  readonly nodes?: readonly (TreeNode | undefined)[];
  readonly context?: Partial<GroupContext>;
  /** Leaf that claims to have signed. */
  readonly signer?: number;
  /** Who signs in truth. */
  readonly signWith?: Signer;
  readonly alterSignature?: (signature: Uint8Array) => Uint8Array;
  readonly alterConfirmationTag?: (tag: Uint8Array) => Uint8Array;
  /** The extensions, of which the first is the tree and the second the key for external joins. */
  readonly alterExtensions?: (extensions: readonly Extension[]) => readonly Extension[];
}

/** A description of an epoch as an insider may make it up. */
export interface ForgedGroupInfo {
  readonly groupInfo: GroupInfo;
  /** Body of the ratchet_tree extension. */
  readonly tree: Uint8Array;
  readonly secrets: EpochSecrets;
  readonly externalPub: Uint8Array;
}

/** Of whom a GroupInfo says that they signed it. */
export type Describer = PublicEpoch & { readonly ownLeaf: number; readonly signer: Signer };

/** A GroupInfo for made-up secrets, with tree and external_pub inside. */
export async function forgeGroupInfo(
  epoch: Describer,
  forgery: GroupInfoForgery = {},
  member?: Secret,
): Promise<ForgedGroupInfo> {
  const { crypto } = epoch;
  const nodes = forgery.nodes ?? nodesOf(epoch.tree);
  const tree = encode(RatchetTreeNodes, nodes);
  const context: GroupContext = {
    ...epoch.context,
    treeHash: hashOfNodes(crypto, nodes),
    ...forgery.context,
  };
  const secret = member ?? new Secret(crypto.randomBytes(crypto.suite.kdf.size));
  const secrets = epochSecrets(crypto, secret, encode(LooseGroupContext, context));
  const tag = confirmationTag(crypto, secrets.confirmationKey, context.confirmedTranscriptHash);
  const external = await crypto.deriveKeyPair(secrets.externalSecret.bytes);
  const extensions = [
    { type: ExtensionType.ratchetTree, data: tree },
    makeExtension(ExtensionType.externalPub, ExternalPub, external.publicKey),
  ];
  const unsigned: GroupInfoFields = {
    groupContext: context,
    extensions: forgery.alterExtensions?.(extensions) ?? extensions,
    confirmationTag: forgery.alterConfirmationTag?.(tag) ?? tag,
    signer: forgery.signer ?? epoch.ownLeaf,
    signature: EMPTY_BYTES,
  };
  const groupInfo = await signGroupInfo(unsigned, forgery.signWith ?? epoch.signer, forgery);
  return { groupInfo, tree, secrets, externalPub: external.publicKey };
}

async function signGroupInfo(
  unsigned: GroupInfoFields,
  signer: Signer,
  { alterSignature }: GroupInfoForgery,
): Promise<GroupInfo> {
  const tbs = signedPart(withEncoding(LooseGroupInfo, unsigned));
  const signature = await signWithLabel(signer, "GroupInfoTBS", tbs);
  const final = alterSignature?.(signature) ?? signature;
  return withEncoding(LooseGroupInfo, { ...unsigned, signature: final });
}

/** What is wrong with a Welcome, and for whom it is. */
export interface WelcomeForgery extends GroupInfoForgery {
  readonly joiners: readonly Pick<KeyPackageBundle, "keyPackage">[];
  /** What the key schedule takes in. Default: none. */
  readonly psks?: readonly PreSharedKey[];
  /** Path secret for the joiner at this position. */
  readonly pathSecret?: (joiner: number) => Uint8Array | undefined;
  readonly joinerSecret?: Uint8Array;
  /** The secrets before they are encrypted. */
  readonly alterSecrets?: (secrets: GroupSecrets) => GroupSecrets;
  /** Their encoding, and that of the GroupInfo. */
  readonly alterSecretBytes?: (bytes: Uint8Array) => Uint8Array;
  readonly alterGroupInfoBytes?: (bytes: Uint8Array) => Uint8Array;
  /** Whether the tree is inside. Default: yes. */
  readonly ratchetTree?: boolean;
  readonly alterWelcome?: (welcome: Welcome) => Welcome;
}

/** What {@link forgeWelcome} makes. */
export interface ForgedWelcome extends ForgedGroupInfo {
  /** A complete MLSMessage. */
  readonly bytes: Uint8Array;
  readonly welcome: Welcome;
}

/** A Welcome into a made-up epoch that all members would agree on, were there others. */
export async function forgeWelcome(
  epoch: Describer,
  forgery: WelcomeForgery,
): Promise<ForgedWelcome> {
  const { crypto } = epoch;
  const joinerSecret = forgery.joinerSecret ?? crypto.randomBytes(crypto.suite.kdf.size);
  const psk = pskSecret(crypto, forgery.psks ?? []);
  const member = memberSecret(crypto, new Secret(joinerSecret.slice()), psk);
  const described = await forgeGroupInfo(epoch, withoutExternalPub(forgery), member);
  const { key, nonce } = welcomeKey(crypto, member);
  const info = described.groupInfo.encoded;
  const infoBytes = forgery.alterGroupInfoBytes?.(info) ?? info;
  const encryptedGroupInfo = crypto.aeadSeal(key, nonce, EMPTY_BYTES, infoBytes);
  const secrets: Welcome["secrets"][number][] = [];
  for (const [i, { keyPackage }] of forgery.joiners.entries()) {
    const honest: GroupSecrets = {
      joinerSecret,
      pathSecret: forgery.pathSecret?.(i),
      psks: (forgery.psks ?? []).map(({ id }) => id),
    };
    const encoded = encode(GroupSecrets, forgery.alterSecrets?.(honest) ?? honest);
    const plaintext = forgery.alterSecretBytes?.(encoded) ?? encoded;
    const label = WELCOME;
    secrets.push({
      newMember: keyPackageRef(crypto, keyPackage),
      encryptedGroupSecrets: await encryptWithLabel(
        crypto,
        keyPackage.initKey,
        label,
        encryptedGroupInfo,
        plaintext,
      ),
    });
  }
  const honest: Welcome = { cipherSuite: crypto.suite.id, secrets, encryptedGroupInfo };
  const welcome = forgery.alterWelcome?.(honest) ?? honest;
  const bytes = encodeMlsMessage({ wireFormat: "welcome", message: welcome });
  return { ...described, bytes, welcome };
}

function withoutExternalPub(forgery: WelcomeForgery): GroupInfoForgery {
  return {
    ...forgery,
    alterExtensions: (extensions) => {
      const kept = forgery.ratchetTree === false ? [] : extensions.slice(0, 1);
      return forgery.alterExtensions?.(kept) ?? kept;
    },
  };
}

/** Encodes a GroupInfo as a message of its own. */
export function groupInfoMessage({ groupInfo }: Pick<ForgedGroupInfo, "groupInfo">): Uint8Array {
  return encodeMlsMessage({ wireFormat: "groupInfo", message: groupInfo });
}
