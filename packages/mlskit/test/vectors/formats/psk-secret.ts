/** psk_secret: how pre-shared keys are combined. RFC 9420 §8.4. */
import { Secret } from "../../../src/crypto/index.ts";
import { pskSecret } from "../../../src/key-schedule/pre-shared-key.ts";
import { expected, type Format, suiteOf } from "../format.ts";

const KEYS = ["cipher_suite", "psks", "psk_secret"] as const;

export const pskSecrets: Format = {
  type: "psk_secret",
  keys: KEYS,
  hasSuite: true,
  verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const psks = fields.psks.list().map((entry) => {
      const { psk_id: pskId, psk, psk_nonce: nonce } = entry.object("psk_id", "psk", "psk_nonce");
      const id = { type: "external", pskId: pskId.hex(), nonce: nonce.hex() } as const;
      return { id, secret: new Secret(psk.hex()) };
    });
    run.checks.bytes("PSK secrets", pskSecret(crypto, psks).bytes, fields.psk_secret.hex());
  },
  controls: [
    ...expected("psk_secret"),
    { kind: "input", path: "psks.*.psk" },
    { kind: "input", path: "psks.*.psk_id" },
    { kind: "input", path: "psks.*.psk_nonce" },
  ],
};
