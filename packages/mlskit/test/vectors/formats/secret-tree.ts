/** secret-tree: message keys of all senders, and sender data. RFC 9420 §9, §6.3.2. */
import { Secret } from "../../../src/crypto/index.ts";
import { senderDataKey } from "../../../src/framing/private-message.ts";
import { SecretTree, type SecretTreeLimits } from "../../../src/secret-tree/secret-tree.ts";
import { expected, type Format, suiteOf } from "../format.ts";

const KEYS = ["cipher_suite", "sender_data", "encryption_secret", "leaves"] as const;

/** Whatever generation a file asks for. */
const LIMITS: SecretTreeLimits = {
  outOfOrderTolerance: 32,
  maximumForwardDistance: 2 ** 32,
  maximumSkippedKeys: 2 ** 20,
};

export const secretTree: Format = {
  type: "secret-tree",
  keys: KEYS,
  hasSuite: true,
  verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const s = fields.sender_data.object("sender_data_secret", "ciphertext", "key", "nonce");
    const secret = new Secret(s.sender_data_secret.hex());
    const senderData = senderDataKey(crypto, secret, s.ciphertext.hex());
    checks.bytes("sender data values", senderData.key, s.key.hex());
    checks.bytes("sender data values", senderData.nonce, s.nonce.hex());
    const leaves = fields.leaves.list();
    const root = new Secret(fields.encryption_secret.hex());
    const tree = SecretTree.fromEncryptionSecret(crypto, leaves.length, root);
    for (const [leaf, generations] of leaves.entries()) {
      for (const entry of generations.list()) {
        const e = entry.object(
          "generation",
          "handshake_key",
          "handshake_nonce",
          "application_key",
          "application_nonce",
        );
        const generation = e.generation.integer();
        const keyOf = (kind: "handshake" | "application") => {
          const { messageKey, change } = tree.prepareReceive(leaf, kind, generation, LIMITS);
          const [key, nonce] = [messageKey.key.bytes.slice(), messageKey.nonce.bytes.slice()];
          tree.apply(change);
          return { key, nonce };
        };
        const handshake = keyOf("handshake");
        checks.bytes("message keys", handshake.key, e.handshake_key.hex());
        checks.bytes("message keys", handshake.nonce, e.handshake_nonce.hex());
        const application = keyOf("application");
        checks.bytes("message keys", application.key, e.application_key.hex());
        checks.bytes("message keys", application.nonce, e.application_nonce.hex());
        checks.that("generations", true, "");
      }
    }
  },
  controls: [
    ...expected(
      "sender_data.key",
      "sender_data.nonce",
      "leaves.*.*.handshake_key",
      "leaves.*.*.handshake_nonce",
      "leaves.*.*.application_key",
      "leaves.*.*.application_nonce",
    ),
    // Beyond the sample the ciphertext plays no part.
    { kind: "ciphertext", path: "sender_data.ciphertext", at: "first" },
    { kind: "secret", path: "encryption_secret" },
    { kind: "generation", path: "leaves.*.*.generation" },
  ],
};
