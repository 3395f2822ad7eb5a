/** passive-client: joining by a Welcome and following Commits. RFC 9420 §12.4.2, §12.4.3.1. */
import { bytesKey, equalBytes } from "../../../src/codec/index.ts";
import { createSigner, Secret } from "../../../src/crypto/index.ts";
import { ExtensionType, findExtension } from "../../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../../src/framing/mls-message.ts";
import type { PskSource } from "../../../src/group/environment.ts";
import {
  type KeyPackageBundle,
  openGroupInfo,
  openWelcome,
  stageJoin,
} from "../../../src/group/join-by-welcome.ts";
import { type KeyPackage, keyPackageRef } from "../../../src/key-packages/key-package.ts";
import { type CaseRun, expected, type Format, suiteOf } from "../format.ts";
import type { Value } from "../value.ts";
import { environmentFor } from "./environment.ts";
import { checkKemKey, checkSignatureKey } from "./keys.ts";
import { FAR_FUTURE, lifetimesInSight } from "./lifetimes.ts";
import { PassiveMember } from "./passive-member.ts";

const KEYS = [
  "cipher_suite",
  "external_psks",
  "key_package",
  "signature_priv",
  "encryption_priv",
  "init_priv",
  "welcome",
  "ratchet_tree",
  "initial_epoch_authenticator",
  "epochs",
] as const;

type Fields = Readonly<Record<(typeof KEYS)[number], Value>>;

export const passiveClient: Format = {
  type: "passive-client",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const { checks } = run;
    const member = await join(fields, run);
    checks.that("joins", true, "");
    const initial = fields.initial_epoch_authenticator.hex();
    checks.bytes("initial epoch authenticators", member.authenticator, initial);
    for (const entry of fields.epochs.list()) {
      const epoch = entry.object("proposals", "commit", "epoch_authenticator");
      for (const proposal of epoch.proposals.list()) await member.receiveProposal(proposal.hex());
      await member.receiveCommit(epoch.commit.hex());
      const authenticator = epoch.epoch_authenticator.hex();
      checks.bytes("epoch authenticators", member.authenticator, authenticator);
    }
  },
  controls: [
    ...expected("initial_epoch_authenticator"),
    {
      kind: "expected value",
      path: "epochs.*.epoch_authenticator",
      within: 4,
      caughtBy: ["epoch authenticators"],
    },
    // The end of a PublicMessage is its membership tag, of a PrivateMessage its authentication tag.
    { kind: "MAC", path: "epochs.*.commit", at: "last", within: 4 },
    { kind: "Commit", path: "epochs.*.commit", within: 4 },
    { kind: "MAC", path: "epochs.*.proposals.*", at: "last", within: 4 },
    { kind: "proposal", path: "epochs.*.proposals.*", within: 4 },
    { kind: "ciphertext", path: "welcome", at: "last", caughtBy: ["mk-95"] },
    { kind: "tree node", path: "ratchet_tree" },
    { kind: "key package", path: "key_package" },
    { kind: "private key", path: "init_priv", caughtBy: ["private keys", "INVALID_PRIVATE_KEY"] },
    {
      kind: "private key",
      path: "encryption_priv",
      caughtBy: ["private keys", "INVALID_PRIVATE_KEY"],
    },
    {
      kind: "private key",
      path: "signature_priv",
      caughtBy: ["private keys", "INVALID_PRIVATE_KEY"],
    },
    { kind: "clock", path: "", now: FAR_FUTURE, caughtBy: ["valn0106"] },
  ],
};

async function join(fields: Fields, run: CaseRun): Promise<PassiveMember> {
  const bundle = await bundleOf(fields, run);
  const crypto = suiteOf(fields.cipher_suite, run);
  const reference = keyPackageRef(crypto, bundle.keyPackage);
  const psks = new Map<string, Secret>();
  for (const entry of fields.external_psks.list()) {
    const { psk_id: id, psk } = entry.object("psk_id", "psk");
    psks.set(bytesKey(id.hex()), new Secret(psk.hex()));
  }
  const message = decodeMlsMessage(fields.welcome.hex());
  if (message.wireFormat !== "welcome") throw fields.welcome.error("a Welcome is expected");
  // Which time it is shows only in the tree, which may be in the Welcome.
  const timeless = environmentFor(0n, externalOnly(psks));
  const opened = await openWelcome(
    run.provider,
    message.message,
    (found) => (equalBytes(found, reference) ? bundle : undefined),
    timeless,
  );
  const { groupInfo } = await openGroupInfo(opened, timeless);
  const given = fields.ratchet_tree.hexOrNull();
  const tree = findExtension(groupInfo.extensions, ExtensionType.ratchetTree) ?? given;
  const now = run.now(lifetimesInSight(bundle.keyPackage, tree, messagesOf(fields)));
  const member = new PassiveMember(run.checks, environmentFor(now, externalOnly(psks)));
  member.enter((await stageJoin(opened, given, member.environment)).epoch);
  return member;
}

function externalOnly(psks: ReadonlyMap<string, Secret>): PskSource {
  return (id) => (id.type === "external" ? psks.get(bytesKey(id.pskId)) : undefined);
}

function messagesOf(fields: Fields): Uint8Array[] {
  return fields.epochs.list().flatMap((entry) => {
    const { proposals, commit } = entry.object("proposals", "commit", "epoch_authenticator");
    return [...proposals.list(), commit].map((item) => item.hex());
  });
}

/** The joiner's keys, each of which must belong to its key package. */
async function bundleOf(fields: Fields, run: CaseRun): Promise<KeyPackageBundle> {
  const { checks } = run;
  const crypto = suiteOf(fields.cipher_suite, run);
  const keyPackage = keyPackageOf(fields);
  const { encryptionKey, signatureKey } = keyPackage.leafNode;
  const signature = fields.signature_priv.hex();
  await checkSignatureKey(crypto, checks, signature, signatureKey);
  return {
    keyPackage,
    initKey: await checkKemKey(crypto, checks, fields.init_priv.hex(), keyPackage.initKey),
    encryptionKey: await checkKemKey(crypto, checks, fields.encryption_priv.hex(), encryptionKey),
    signer: createSigner(crypto, { publicKey: signatureKey, privateKey: signature }),
  };
}

function keyPackageOf(fields: Fields): KeyPackage {
  const message = decodeMlsMessage(fields.key_package.hex());
  if (message.wireFormat !== "keyPackage")
    throw fields.key_package.error("a KeyPackage is expected");
  return message.message;
}
