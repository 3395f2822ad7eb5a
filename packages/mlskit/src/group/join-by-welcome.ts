/**
 * Joining by a Welcome. RFC 9420 §12.4.3.1.
 *
 *   Welcome --open--> OpenedWelcome --stage--> StagedJoin
 *
 * Neither step changes anything; a Welcome that fails, or a join that is dropped, leaves the key
 * package usable.
 */
import { type Checked, sealed } from "../checked.ts";
import {
  decode,
  decodeInPlace,
  EMPTY_BYTES,
  encode,
  equalBytes,
  equalSecrets,
  type WireTypes,
} from "../codec/index.ts";
import { type CryptoProvider, Secret, type Signer, type SuiteCrypto } from "../crypto/index.ts";
import { decryptWithLabel } from "../crypto/labels.ts";
import { CryptoError, DecodeError, MlsError, StateError, UnsupportedError } from "../errors.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import { checkPrivateKeys } from "../key-packages/private-keys.ts";
import { exportSecret } from "../key-schedule/exporter.ts";
import {
  confirmationTag,
  epochSecrets,
  memberSecret,
  welcomeKey,
} from "../key-schedule/key-schedule.ts";
import { type PreSharedKey, PreSharedKeyId, pskSecret } from "../key-schedule/pre-shared-key.ts";
import { GroupInfo } from "../messages/group-info.ts";
import { GroupSecrets, type Welcome } from "../messages/welcome.ts";
import { check } from "../rules.ts";
import type { ValidationNotice } from "../tree/leaf-node-validation.ts";
import { privateKeysFromPathSecret } from "../tree/private-keys.ts";
import type { RatchetTree } from "../tree/ratchet-tree.ts";
import { type LeafIndex, leafIndex, nodeOfLeaf } from "../tree/tree-math.ts";
import { type DecodingRules, type Environment, wireTypes } from "./environment.ts";
import { type Epoch, memberEpoch } from "./epoch.ts";
import { checkExtensionsListed, validateGroupInfo } from "./validate-group-info.ts";
import { checkWelcomePsks } from "./welcome-psks.ts";

/** A key package of ours with its private keys. */
export interface KeyPackageBundle {
  /** By `createKeyPackage`: the signature of our own leaf is not verified once more when we join. */
  readonly keyPackage: KeyPackage;
  readonly initKey: Secret;
  /** Of the leaf. */
  readonly encryptionKey: Secret;
  readonly signer: Signer;
}

/** Our key package with this reference, if there is one. */
export type FindKeyPackage = (
  reference: Uint8Array,
) => Promise<KeyPackageBundle | undefined> | KeyPackageBundle | undefined;

/** The first layer of a Welcome: what it needs, and for which key package it is. */
export interface WelcomeContents {
  readonly crypto: SuiteCrypto;
  readonly welcome: Welcome;
  readonly reference: Uint8Array;
  readonly bundle: KeyPackageBundle;
  /** PSKs that the join needs. */
  readonly psks: readonly PreSharedKeyId[];
  readonly joinerSecret: Secret;
  readonly pathSecret: Secret | undefined;
}

export type OpenedWelcome = Checked<WelcomeContents, "openWelcome">;

/** A join that was found good. Nothing is stored yet. */
export type StagedJoin = Checked<Join, "stageJoin">;

interface Join {
  readonly epoch: Epoch;
  readonly groupInfo: GroupInfo;
  readonly reference: Uint8Array;
  readonly keyPackage: KeyPackage;
  /** Leaf of the member that invited us. */
  readonly inviter: number;
  readonly psks: readonly PreSharedKeyId[];
  readonly notices: readonly ValidationNotice[];
  /** MLS-Exporter of the epoch that would be entered. RFC 9420 §8.5. */
  export(label: string, context: Uint8Array, length: number): Uint8Array;
}

/**
 * Finds a key package of ours among the Welcome's entries and opens its secrets. All entries that
 * name one of ours are tried.
 *
 * @throws StateError `NO_MATCHING_KEY_PACKAGE`, CryptoError, ValidationError, UnsupportedError
 */
export async function openWelcome(
  provider: CryptoProvider,
  welcome: Welcome,
  find: FindKeyPackage,
  { limits, types }: Pick<Environment, "limits" | "types">,
): Promise<OpenedWelcome> {
  const crypto = suiteOf(provider, welcome);
  if (welcome.secrets.length > limits.maximumWelcomeSecrets) {
    throw new DecodeError("a Welcome is for more joiners than are accepted", { rule: "mk-14" });
  }
  let failure: unknown;
  for (const { newMember, encryptedGroupSecrets } of welcome.secrets) {
    const bundle = await find(newMember);
    if (bundle === undefined) continue;
    try {
      check(
        bundle.keyPackage.leafNode.origin.source === "keyPackage",
        "valn0108",
        "INVALID_KEY_PACKAGE",
        "the leaf of the key package is not for a key package",
      );
      await checkPrivateKeys(provider.suite(bundle.keyPackage.cipherSuite), bundle);
      check(
        bundle.keyPackage.cipherSuite === welcome.cipherSuite,
        "mk-94",
        "INVALID_WELCOME",
        "the Welcome is for another suite than the key package",
      );
      const addressed = { welcome, reference: newMember, bundle };
      const secrets = await openSecrets(crypto, addressed, encryptedGroupSecrets, {
        limits,
        types,
      });
      return sealed({ crypto, ...addressed, ...secrets });
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  throw new StateError("NO_MATCHING_KEY_PACKAGE", "the Welcome is for none of our key packages", {
    rule: "mk-93",
  });
}

/** Rule mk-94: a suite that we implement. */
function suiteOf(provider: CryptoProvider, { cipherSuite }: Welcome): SuiteCrypto {
  try {
    return provider.suite(cipherSuite);
  } catch (cause) {
    if (!MlsError.is(cause, "UNSUPPORTED_CIPHER_SUITE")) throw cause;
    throw new UnsupportedError("UNSUPPORTED_CIPHER_SUITE", cause.message, {
      rule: "mk-94",
      details: { cipherSuite },
      cause,
    });
  }
}

async function openSecrets(
  crypto: SuiteCrypto,
  { welcome, bundle }: Pick<OpenedWelcome, "welcome" | "bundle">,
  encrypted: Welcome["secrets"][number]["encryptedGroupSecrets"],
  environment: DecodingRules,
): Promise<Pick<OpenedWelcome, "psks" | "joinerSecret" | "pathSecret">> {
  const { encryptedGroupInfo } = welcome;
  const types = wireTypes(environment);
  const plaintext = await asWelcomeFailure(() =>
    decryptWithLabel(crypto, bundle.initKey.bytes, "Welcome", encryptedGroupInfo, encrypted),
  );
  const secrets = decodeInPlace(GroupSecrets, plaintext, "GroupSecrets", types);
  check(
    secrets.joinerSecret.length === crypto.suite.kdf.size,
    "mk-22",
    "INVALID_WELCOME",
    "the joiner secret has the wrong length",
  );
  if (secrets.psks.length > environment.limits.maximumPsks) {
    throw new DecodeError("a Welcome has more PSKs than are accepted", { rule: "mk-14" });
  }
  const pathSecret =
    secrets.pathSecret === undefined ? undefined : Secret.copyOf(secrets.pathSecret);
  const joinerSecret = Secret.copyOf(secrets.joinerSecret);
  // Copies: the plaintext, which decoding left the ids in, is erased.
  const psks = secrets.psks.map((id) =>
    decode(PreSharedKeyId, encode(PreSharedKeyId, id), "PreSharedKeyID", types),
  );
  plaintext.fill(0);
  return { psks, joinerSecret, pathSecret };
}

/** Opens the GroupInfo. It is not verified yet. @throws StateError `MISSING_PSK`, CryptoError */
export async function openGroupInfo(
  opened: WelcomeContents,
  environment: Environment,
): Promise<{ readonly groupInfo: GroupInfo; readonly member: Secret }> {
  const { crypto, welcome, joinerSecret } = opened;
  const psk = pskSecret(crypto, await collectPsks(opened, environment));
  const member = memberSecret(crypto, joinerSecret, psk);
  const { key, nonce } = welcomeKey(crypto, member);
  const plaintext = await asWelcomeFailure(() =>
    crypto.aeadOpen(key, nonce, EMPTY_BYTES, welcome.encryptedGroupInfo),
  );
  const types: WireTypes = wireTypes(environment);
  const groupInfo = decodeInPlace(GroupInfo, plaintext, "GroupInfo", types);
  return { groupInfo, member };
}

/** Full validation of an opened Welcome. */
export async function stageJoin(
  opened: OpenedWelcome,
  ratchetTree: Uint8Array | undefined,
  environment: Environment,
): Promise<StagedJoin> {
  const { crypto, bundle, reference, psks } = opened;
  const { groupInfo, member } = await openGroupInfo(opened, environment);
  checkWelcomePsks(psks, groupInfo, crypto.suite.kdf.size);
  const { leafNode } = bundle.keyPackage;
  checkExtensionsListed(groupInfo, leafNode);
  const knowledge = { ratchetTree, ownLeaf: leafNode };
  const { epoch, notices } = await validateGroupInfo(crypto, groupInfo, environment, knowledge);
  const ownLeaf = findOwnLeaf(epoch.tree, bundle.keyPackage);
  const inviter = leafIndex(groupInfo.signer);
  const privateKeys = new Map([[nodeOfLeaf(ownLeaf) as number, bundle.encryptionKey]]);
  if (opened.pathSecret !== undefined) {
    const pathSecret = opened.pathSecret.bytes;
    const path = await privateKeysFromPathSecret({
      tree: epoch.tree,
      sender: inviter,
      ownLeaf,
      pathSecret,
    });
    for (const [node, key] of path) privateKeys.set(node, key);
  }
  const all = epochSecrets(crypto, member, epoch.contextBytes);
  member.erase();
  const { confirmedTranscriptHash } = epoch.context;
  const expected = confirmationTag(crypto, all.confirmationKey, confirmedTranscriptHash);
  if (!equalSecrets(expected, groupInfo.confirmationTag)) {
    throw new CryptoError("TAG_INVALID", "the confirmation tag is wrong", { rule: "valn1411" });
  }
  const { signer, keyPackage } = bundle;
  const join: Join = {
    epoch: memberEpoch(epoch, all, { ownLeaf, privateKeys, signer }),
    groupInfo,
    reference,
    keyPackage,
    inviter,
    psks,
    notices,
    export: (label, context, length) => {
      return exportSecret(crypto, all.exporterSecret, label, context, length);
    },
  };
  return sealed(join);
}

/** Rule mk-99: the leaf that is ours in every byte. */
function findOwnLeaf(tree: RatchetTree, { leafNode }: KeyPackage): LeafIndex {
  const own = tree.leafWithSignatureKey(leafNode.signatureKey);
  const leaf = own === undefined ? undefined : tree.leaf(own);
  check(
    own !== undefined && leaf !== undefined && equalBytes(leaf.encoded, leafNode.encoded),
    "mk-99",
    "INVALID_WELCOME",
    "the tree does not hold the leaf of our key package",
  );
  return own;
}

/** Rule valn1401. @throws StateError `MISSING_PSK` with all ids that are missing */
async function collectPsks(
  { psks }: WelcomeContents,
  environment: Environment,
): Promise<PreSharedKey[]> {
  const found: PreSharedKey[] = [];
  const missing: PreSharedKeyId[] = [];
  for (const id of psks) {
    const secret = await environment.psks(id);
    if (secret === undefined) missing.push(id);
    else found.push({ id, secret });
  }
  if (missing.length > 0) {
    throw new StateError("MISSING_PSK", "a pre-shared key is not at hand", {
      rule: "valn1401",
      details: { missing },
    });
  }
  return found;
}

async function asWelcomeFailure<T>(open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (!MlsError.is(cause, "DECRYPTION_FAILED", "INVALID_PUBLIC_KEY")) throw cause;
    throw new CryptoError("DECRYPTION_FAILED", "the Welcome cannot be opened", {
      rule: "mk-95",
      cause,
    });
  }
}
