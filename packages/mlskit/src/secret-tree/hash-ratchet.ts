/** One sender's chain of message keys. RFC 9420 §9.1, §9.2. */
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { deriveTreeSecret } from "../crypto/labels.ts";
import { StateError } from "../errors.ts";

export type RatchetKind = "handshake" | "application";

/** Key and nonce of one generation; good for one message. */
export interface MessageKey {
  readonly generation: number;
  readonly key: Secret;
  readonly nonce: Secret;
}

/** Overwrites a key that was used, or is not going to be. */
export function eraseMessageKey({ key, nonce }: MessageKey): void {
  key.erase();
  nonce.erase();
}

/** How far messages may be out of order. RFC 9420 §15.3. */
export interface RatchetLimits {
  /** Keys of skipped generations kept for each ratchet. */
  readonly outOfOrderTolerance: number;
  /** How far ahead of the ratchet a generation may be. */
  readonly maximumForwardDistance: number;
}

/** A ratchet at one moment. Values do not change; the next moment is another value. */
export interface HashRatchet {
  /** The generation that {@link secret} belongs to: the next one to be used. */
  readonly generation: number;
  readonly secret: Secret;
  /** Unused keys of earlier generations, ascending: key and nonce only, RFC 9420 §9.2. */
  readonly skipped: readonly MessageKey[];
  /** Keys of generations below this one were given up, not used. */
  readonly floor: number;
}

/** Generations are uint32; the last one is never used. RFC 9420 §9.1, §15.2. */
export const GENERATION_LIMIT = 0xffff_ffff;

export function newRatchet(secret: Secret): HashRatchet {
  return { generation: 0, secret, skipped: [], floor: 0 };
}

/** The key of the current generation, and the ratchet one step on. */
export function step(
  crypto: SuiteCrypto,
  ratchet: HashRatchet,
): { readonly messageKey: MessageKey; readonly next: HashRatchet } {
  if (ratchet.generation >= GENERATION_LIMIT) {
    throw new StateError("RATCHET_EXHAUSTED", "the ratchet of this epoch is used up", {
      rule: "mk-43",
    });
  }
  const messageKey = keyOf(crypto, ratchet.secret, ratchet.generation);
  const secret = advance(crypto, ratchet.secret, ratchet.generation);
  const { generation, skipped, floor } = ratchet;
  return { messageKey, next: { generation: generation + 1, secret, skipped, floor } };
}

/**
 * The key of a received generation, and the ratchet after it was used. Nothing is derived for a
 * generation that is refused.
 *
 * @throws StateError `ALREADY_CONSUMED`, `GENERATION_TOO_OLD`, `GENERATION_TOO_FAR`
 */
export function seek(
  crypto: SuiteCrypto,
  ratchet: HashRatchet,
  generation: number,
  limits: RatchetLimits,
): { readonly messageKey: MessageKey; readonly next: HashRatchet } {
  if (generation < ratchet.generation) return takeSkipped(ratchet, generation);
  if (generation - ratchet.generation > limits.maximumForwardDistance) {
    throw new StateError("GENERATION_TOO_FAR", "the generation is too far ahead of the ratchet", {
      rule: "mk-37",
      details: { generation, current: ratchet.generation },
    });
  }
  if (generation >= GENERATION_LIMIT) {
    throw new StateError("RATCHET_EXHAUSTED", "the ratchet of this epoch is used up", {
      rule: "mk-43",
    });
  }
  const skipped = [...ratchet.skipped];
  let secret = ratchet.secret;
  for (let passed = ratchet.generation; passed < generation; passed++) {
    // Keys that would be given up at once, being too many steps behind, are not even derived.
    if (generation - passed <= limits.outOfOrderTolerance)
      skipped.push(keyOf(crypto, secret, passed));
    const following = advance(crypto, secret, passed);
    if (secret !== ratchet.secret) secret.erase();
    secret = following;
  }
  const messageKey = keyOf(crypto, secret, generation);
  const following = advance(crypto, secret, generation);
  if (secret !== ratchet.secret) secret.erase();
  const next = trim(
    { generation: generation + 1, secret: following, skipped, floor: ratchet.floor },
    limits.outOfOrderTolerance,
    generation - limits.outOfOrderTolerance,
  );
  return { messageKey, next };
}

/** The ratchet with at most `count` skipped keys, the newest; `floor` rises accordingly. */
export function trim(ratchet: HashRatchet, count: number, floor = 0): HashRatchet {
  const { generation, secret, skipped } = ratchet;
  const surplus = skipped.length - count;
  const kept = surplus > 0 ? skipped.slice(surplus) : skipped;
  const lastGivenUp = surplus > 0 ? (skipped[surplus - 1]?.generation ?? -1) : -1;
  const raised = Math.max(ratchet.floor, floor, lastGivenUp + 1);
  return { generation, secret, skipped: kept, floor: raised };
}

function takeSkipped(
  ratchet: HashRatchet,
  generation: number,
): { readonly messageKey: MessageKey; readonly next: HashRatchet } {
  const kept = ratchet.skipped.find((candidate) => candidate.generation === generation);
  if (kept === undefined) {
    const tooOld = generation < ratchet.floor;
    throw new StateError(
      tooOld ? "GENERATION_TOO_OLD" : "ALREADY_CONSUMED",
      tooOld ? "the key of this generation is no longer kept" : "this generation was used before",
      { rule: tooOld ? "mk-38" : "mk-36", details: { generation, current: ratchet.generation } },
    );
  }
  const skipped = ratchet.skipped.filter((candidate) => candidate !== kept);
  // A copy like every prepared key: the original stays until its use is final.
  const [key, nonce] = [Secret.copyOf(kept.key.bytes), Secret.copyOf(kept.nonce.bytes)];
  return { messageKey: { generation, key, nonce }, next: { ...ratchet, skipped } };
}

function keyOf(crypto: SuiteCrypto, secret: Secret, generation: number): MessageKey {
  const { keySize, nonceSize } = crypto.suite.aead;
  return {
    generation,
    key: new Secret(deriveTreeSecret(crypto, secret.bytes, "key", generation, keySize)),
    nonce: new Secret(deriveTreeSecret(crypto, secret.bytes, "nonce", generation, nonceSize)),
  };
}

function advance(crypto: SuiteCrypto, secret: Secret, generation: number): Secret {
  const size = crypto.suite.kdf.size;
  return new Secret(deriveTreeSecret(crypto, secret.bytes, "secret", generation, size));
}
