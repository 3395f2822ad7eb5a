/** Pre-shared keys: their ids, and how they enter the key schedule. RFC 9420 §8.4. */
import {
  type Codec,
  closedEnum,
  encode,
  opaque,
  type Reader,
  struct,
  uint8,
  uint16,
  uint64,
  union,
  type Writer,
} from "../codec/index.ts";
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { expandWithLabel } from "../crypto/labels.ts";
import { UsageError } from "../errors.ts";

export type ResumptionPskUsage = "application" | "reinit" | "branch";

export const ResumptionPskUsage: Codec<ResumptionPskUsage> = closedEnum(
  uint8,
  { application: 1, reinit: 2, branch: 3 },
  "resumption PSK usage",
);

export interface ExternalPskId {
  readonly type: "external";
  readonly pskId: Uint8Array;
  readonly nonce: Uint8Array;
}

export interface ResumptionPskId {
  readonly type: "resumption";
  readonly usage: ResumptionPskUsage;
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly nonce: Uint8Array;
}

/** A registered type of the application or of a draft. */
export interface CustomPskId {
  readonly type: "custom";
  readonly pskType: number;
  /** What lies between psktype and psk_nonce on the wire. */
  readonly body: Uint8Array;
  readonly nonce: Uint8Array;
}

export type PreSharedKeyId = ExternalPskId | ResumptionPskId | CustomPskId;

export const PreSharedKeyId: Codec<PreSharedKeyId> = union<"type", PreSharedKeyId>(
  "type",
  uint8,
  {
    external: [1, struct({ pskId: opaque, nonce: opaque })],
    resumption: [
      2,
      struct({ usage: ResumptionPskUsage, groupId: opaque, epoch: uint64, nonce: opaque }),
    ],
  },
  {
    code: (id) => id.pskType,
    write(writer: Writer, { body, nonce }) {
      writer.bytes(body);
      writer.opaque(nonce);
    },
    read(reader: Reader, pskType) {
      const skip = reader.types.psks?.get(pskType);
      if (skip === undefined) throw reader.error(`type ${pskType} is not defined`, "mk-07");
      const start = reader.offset;
      skip(reader);
      return { type: "custom", pskType, body: reader.since(start), nonce: opaque.read(reader) };
    },
  },
);

/** A PSK without the nonce of one use: external by its id, or of a registered type. */
export type PskName = Uint8Array | Pick<CustomPskId, "pskType" | "body">;

/** The id under which a PSK is used this once. */
export function pskIdOf(name: PskName, nonce: Uint8Array): PreSharedKeyId {
  if (name instanceof Uint8Array) return { type: "external", pskId: name, nonce };
  return { type: "custom", pskType: name.pskType, body: name.body, nonce };
}

export interface PreSharedKey {
  readonly id: PreSharedKeyId;
  readonly secret: Secret;
}

const PskLabel: Codec<{ id: PreSharedKeyId; index: number; count: number }> = struct({
  id: PreSharedKeyId,
  index: uint16,
  count: uint16,
});

/** PSKLabel counts in 16 bits. */
export const MAX_PSKS = 0xffff;

/**
 * psk_secret over all PSKs in order; all zero for none. RFC 9420 §8.4.
 *
 * @throws UsageError `INVALID_LENGTH` above 65535 of them
 */
export function pskSecret(crypto: SuiteCrypto, psks: readonly PreSharedKey[]): Secret {
  if (psks.length > MAX_PSKS) {
    throw new UsageError("INVALID_LENGTH", "there are more PSKs than can be counted", {
      rule: "mk-14",
    });
  }
  const size = crypto.suite.kdf.size;
  const zero = new Uint8Array(size);
  let secret: Uint8Array = zero;
  for (const [index, psk] of psks.entries()) {
    // psk_input_[i] = ExpandWithLabel(KDF.Extract(0, psk_[i]), "derived psk", PSKLabel, KDF.Nh)
    const extracted = crypto.extract(zero, psk.secret.bytes);
    const label = encode(PskLabel, { id: psk.id, index, count: psks.length });
    const input = expandWithLabel(crypto, extracted, "derived psk", label, size);
    // psk_secret_[i+1] = KDF.Extract(psk_input_[i], psk_secret_[i])
    secret = crypto.extract(input, secret);
  }
  return new Secret(secret);
}
