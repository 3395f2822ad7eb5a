/** key-schedule: the secrets of several epochs in a row. RFC 9420 §8, §8.5. */
import { encode } from "../../../src/codec/index.ts";
import { deriveSecret, Secret, type SuiteCrypto } from "../../../src/crypto/index.ts";
import { exportSecret } from "../../../src/key-schedule/exporter.ts";
import { externalKeyPair } from "../../../src/key-schedule/external-init.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import {
  epochSecrets,
  joinerSecret,
  memberSecret,
} from "../../../src/key-schedule/key-schedule.ts";
import type { Checks } from "../checks.ts";
import { expected, type Format, suiteOf } from "../format.ts";
import type { Value } from "../value.ts";

const KEYS = ["cipher_suite", "group_id", "initial_init_secret", "epochs"] as const;
const INPUTS = ["tree_hash", "commit_secret", "psk_secret", "confirmed_transcript_hash"] as const;
const SECRETS = [
  "joiner_secret",
  "welcome_secret",
  "init_secret",
  "sender_data_secret",
  "encryption_secret",
  "exporter_secret",
  "epoch_authenticator",
  "external_secret",
  "confirmation_key",
  "membership_key",
  "resumption_psk",
] as const;
const EPOCH_KEYS = [...INPUTS, "group_context", ...SECRETS, "external_pub", "exporter"] as const;

export const keySchedule: Format = {
  type: "key-schedule",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const groupId = fields.group_id.hex();
    let init = new Secret(fields.initial_init_secret.hex());
    for (const [epoch, entry] of fields.epochs.list().entries()) {
      init = await checkEpoch(crypto, entry, { groupId, epoch, init, checks: run.checks });
    }
  },
  controls: [
    ...expected(
      "epochs.*.group_context",
      ...SECRETS.map((name) => `epochs.*.${name}`),
      "epochs.*.external_pub",
      "epochs.*.exporter.secret",
    ),
    ...INPUTS.map((name) => ({ kind: "input", path: `epochs.*.${name}` })),
    { kind: "input", path: "initial_init_secret" },
    { kind: "input", path: "epochs.*.exporter.length" },
  ],
};

interface EpochInput {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly init: Secret;
  readonly checks: Checks;
}

/** Returns the init secret for the epoch after. */
async function checkEpoch(
  crypto: SuiteCrypto,
  entry: Value,
  { groupId, epoch, init, checks }: EpochInput,
): Promise<Secret> {
  const fields = entry.object(...EPOCH_KEYS);
  const context = encode(GroupContext, {
    version: 1,
    cipherSuite: crypto.suite.id,
    groupId,
    epoch: BigInt(epoch),
    treeHash: fields.tree_hash.hex(),
    confirmedTranscriptHash: fields.confirmed_transcript_hash.hex(),
    extensions: [],
  });
  checks.bytes("group contexts", context, fields.group_context.hex());
  const joiner = joinerSecret(crypto, init, new Secret(fields.commit_secret.hex()), context);
  const psk = fields.psk_secret.hexOrNull() ?? new Uint8Array(crypto.suite.kdf.size);
  const member = memberSecret(crypto, joiner, new Secret(psk));
  const all = epochSecrets(crypto, member, context);
  const found: Readonly<Record<(typeof SECRETS)[number], Uint8Array>> = {
    joiner_secret: joiner.bytes,
    welcome_secret: deriveSecret(crypto, member.bytes, "welcome"),
    init_secret: all.initSecret.bytes,
    sender_data_secret: all.senderDataSecret.bytes,
    encryption_secret: all.encryptionSecret.bytes,
    exporter_secret: all.exporterSecret.bytes,
    epoch_authenticator: all.epochAuthenticator.bytes,
    external_secret: all.externalSecret.bytes,
    confirmation_key: all.confirmationKey.bytes,
    membership_key: all.membershipKey.bytes,
    resumption_psk: all.resumptionPsk.bytes,
  };
  for (const name of SECRETS) checks.bytes("secrets", found[name], fields[name].hex());
  const external = await externalKeyPair(crypto, all.externalSecret);
  checks.bytes("external keys", external.publicKey, fields.external_pub.hex());
  const e = fields.exporter.object("label", "context", "length", "secret");
  // The label is text as it stands, even where it looks like hex.
  const label = e.label.text();
  const length = e.length.integer();
  const exported = exportSecret(crypto, all.exporterSecret, label, e.context.hex(), length);
  checks.bytes("exported secrets", exported, e.secret.hex());
  return all.initSecret;
}
