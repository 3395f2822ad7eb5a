/**
 * GREASE: values without meaning, sent so that peers do not forget to ignore what they do not know.
 * RFC 9420 §13.5. Nothing here is asked when something is received; there these are unknown values
 * like any other.
 */
import { UsageError } from "../errors.ts";
import type { Extension } from "./extension.ts";

/** 0x0A0A, 0x1A1A, … 0xEAEA. */
export const GREASE_VALUES: readonly number[] = /* @__PURE__ */ Array.from(
  { length: 15 },
  (_, i) => 0x0a0a + i * 0x1010,
);

/** Of the provider, or fixed in tests. */
export type RandomBytes = (length: number) => Uint8Array;

/** The lists of a LeafNode's capabilities that take GREASE; the list of versions does not. */
export interface GreasableCapabilities {
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly number[];
  readonly proposals: readonly number[];
  readonly credentials: readonly number[];
}

/**
 * Capabilities with one random value more in each list, at a random place. For leaves that are about
 * to be encoded: what a client says of itself to its own code has no such values in it.
 */
export function greaseCapabilities<T extends GreasableCapabilities>(
  capabilities: T,
  randomBytes: RandomBytes,
): T {
  const { cipherSuites, extensions, proposals, credentials } = capabilities;
  return {
    ...capabilities,
    cipherSuites: withGrease(cipherSuites, randomBytes),
    extensions: withGrease(extensions, randomBytes),
    proposals: withGrease(proposals, randomBytes),
    credentials: withGrease(credentials, randomBytes),
  };
}

/** An extension of a random GREASE type that `taken` lacks, with up to 15 random bytes in it. */
export function greaseExtension(taken: readonly Extension[], randomBytes: RandomBytes): Extension {
  const used = taken.map(({ type }) => type);
  const [length = 0] = randomBytes(1);
  return { type: pick(used, randomBytes), data: randomBytes(length % 16) };
}

/** A leaf's extensions with one GREASE extension more, which its capabilities list as they must. */
export function greaseLeafExtensions<T extends GreasableCapabilities>(
  leaf: { readonly capabilities: T; readonly extensions: readonly Extension[] },
  randomBytes: RandomBytes,
): { readonly capabilities: T; readonly extensions: readonly Extension[] } {
  const extension = greaseExtension(leaf.extensions, randomBytes);
  return {
    capabilities: reflect(leaf.capabilities, extension),
    extensions: [...leaf.extensions, extension],
  };
}

/** Capabilities that list this extension: for leaves, and for peers that ask it of key packages. */
export function reflect<T extends GreasableCapabilities>(capabilities: T, { type }: Extension): T {
  if (capabilities.extensions.includes(type)) return capabilities;
  return { ...capabilities, extensions: [...capabilities.extensions, type] };
}

function withGrease(list: readonly number[], randomBytes: RandomBytes): readonly number[] {
  const value = pick(list, randomBytes);
  const [position = 0] = randomBytes(1);
  const at = position % (list.length + 1);
  return [...list.slice(0, at), value, ...list.slice(at)];
}

function pick(taken: readonly number[], randomBytes: RandomBytes): number {
  const free = GREASE_VALUES.filter((value) => !taken.includes(value));
  const [random = 0] = randomBytes(1);
  const value = free[random % free.length];
  if (value === undefined) {
    throw new UsageError("INVALID_CAPABILITIES", "all GREASE values are in use", { rule: "mk-52" });
  }
  return value;
}
