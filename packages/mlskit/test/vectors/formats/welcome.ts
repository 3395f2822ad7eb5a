/** welcome: a Welcome without PSKs, opened and verified. RFC 9420 §12.4.3.1. */
import { decode, encode, equalBytes } from "../../../src/codec/index.ts";
import { decryptWithLabel, WELCOME, Secret } from "../../../src/crypto/index.ts";
import { decodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { openGroupInfo } from "../../../src/group/join-by-welcome.ts";
import { keyPackageRef } from "../../../src/key-packages/key-package.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { confirmationTag, epochSecrets } from "../../../src/key-schedule/key-schedule.ts";
import { groupInfoVerifyJob } from "../../../src/messages/group-info.ts";
import { GroupSecrets } from "../../../src/messages/welcome.ts";
import { type Format, suiteOf } from "../format.ts";
import { environmentFor } from "./environment.ts";
import { checkKemKey } from "./keys.ts";

const KEYS = ["cipher_suite", "init_priv", "signer_pub", "key_package", "welcome"] as const;

export const welcome: Format = {
  type: "welcome",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const environment = environmentFor(run.now([]));
    const package_ = decodeMlsMessage(fields.key_package.hex());
    if (package_.wireFormat !== "keyPackage") {
      throw fields.key_package.error("a KeyPackage is expected");
    }
    const keyPackage = package_.message;
    const message = decodeMlsMessage(fields.welcome.hex());
    if (message.wireFormat !== "welcome") throw fields.welcome.error("a Welcome is expected");
    const initKey = await checkKemKey(crypto, checks, fields.init_priv.hex(), keyPackage.initKey);
    const reference = keyPackageRef(crypto, keyPackage);
    const sealed = message.message.secrets.find((entry) => equalBytes(entry.newMember, reference));
    if (sealed === undefined) throw fields.welcome.error("no entry is for the key package");
    const plaintext = await decryptWithLabel(
      crypto,
      initKey.bytes,
      WELCOME,
      message.message.encryptedGroupInfo,
      sealed.encryptedGroupSecrets,
    );
    const groupSecrets = decode(GroupSecrets, plaintext);
    checks.same("group secrets", groupSecrets.joinerSecret.length, crypto.suite.kdf.size);
    const { groupInfo, member } = await openGroupInfo(
      {
        crypto,
        welcome: message.message,
        reference,
        // The file holds no other private keys, and opening takes none.
        bundle: { keyPackage, initKey, encryptionKey: new Secret(new Uint8Array(0)), signer },
        psks: groupSecrets.psks,
        joinerSecret: new Secret(groupSecrets.joinerSecret),
        pathSecret: undefined,
      },
      environment,
    );
    const { groupContext } = groupInfo;
    checks.same("GroupInfos", groupContext.cipherSuite, crypto.suite.id);
    const job = groupInfoVerifyJob(groupInfo, fields.signer_pub.hex());
    const isSigned = await crypto.verify(job.publicKey, job.message, job.signature);
    checks.that("signatures", isSigned, "the GroupInfo's signature is refused");
    const secrets = epochSecrets(crypto, member, encode(GroupContext, groupContext));
    const hash = groupContext.confirmedTranscriptHash;
    const tag = confirmationTag(crypto, secrets.confirmationKey, hash);
    checks.bytes("confirmation tags", tag, groupInfo.confirmationTag);
  },
  controls: [
    { kind: "expected value", path: "signer_pub", caughtBy: ["signatures"] },
    { kind: "ciphertext", path: "welcome", at: "last", caughtBy: ["DECRYPTION_FAILED"] },
    { kind: "private key", path: "init_priv", caughtBy: ["private keys", "INVALID_PRIVATE_KEY"] },
    { kind: "key package", path: "key_package" },
  ],
};

const signer = {
  publicKey: new Uint8Array(0),
  scheme: 0,
  sign(): never {
    throw new Error("nothing is signed here");
  },
};
