/** Extension lists and the bodies of the RFC's own extensions. RFC 9420 §13, §17.3. */
import {
  type Codec,
  decodeInPlace,
  encode,
  equalBytes,
  opaque,
  struct,
  uint16,
  vector,
  type WireTypes,
} from "../codec/index.ts";
import { Credential } from "../credentials/credential.ts";
import { DecodeError, ValidationError } from "../errors.ts";

export const ExtensionType = {
  applicationId: 1,
  ratchetTree: 2,
  requiredCapabilities: 3,
  externalPub: 4,
  externalSenders: 5,
  /** draft-ietf-mls-extensions, understood in KeyPackages. */
  lastResort: 0x000a,
} as const;

export interface Extension {
  readonly type: number;
  /** The body, byte for byte, also for types that are not known here. */
  readonly data: Uint8Array;
}

export const Extension: Codec<Extension> = struct({ type: uint16, data: opaque });

const list: Codec<readonly Extension[]> = vector(
  Extension,
  ({ maximumExtensions }) => maximumExtensions,
);

/** `Extension extensions<V>`, in which no type occurs twice. RFC 9420 §13.4. */
export const Extensions: Codec<readonly Extension[]> = {
  write(writer, extensions) {
    checkNoDuplicates(extensions);
    list.write(writer, extensions);
  },
  read(reader) {
    const extensions = list.read(reader);
    checkNoDuplicates(extensions);
    return extensions;
  },
};

function checkNoDuplicates(extensions: readonly Extension[]): void {
  const seen = new Set<number>();
  for (const { type } of extensions) {
    if (seen.has(type)) {
      throw new ValidationError("INVALID_EXTENSION", `extension type ${type} occurs twice`, {
        rule: "mk-15",
        details: { extensionType: type },
      });
    }
    seen.add(type);
  }
}

/** What every member must support. RFC 9420 §11.1. */
export interface RequiredCapabilities {
  readonly extensionTypes: readonly number[];
  readonly proposalTypes: readonly number[];
  readonly credentialTypes: readonly number[];
}

export const RequiredCapabilities: Codec<RequiredCapabilities> = struct({
  extensionTypes: vector(uint16),
  proposalTypes: vector(uint16),
  credentialTypes: vector(uint16),
});

/** A sender outside the group that may propose changes. RFC 9420 §12.1.8.1. */
export interface ExternalSender {
  readonly signatureKey: Uint8Array;
  readonly credential: Credential;
}

export const ExternalSender: Codec<ExternalSender> = struct({
  signatureKey: opaque,
  credential: Credential,
});

export const ExternalSenders: Codec<readonly ExternalSender[]> = vector(ExternalSender);

/** `struct { HPKEPublicKey external_pub }`. RFC 9420 §12.4.3.2. */
export const ExternalPub: Codec<Uint8Array> = opaque;

/**
 * `opaque application_id<V>`, which a member chooses for itself: it is neither authenticated nor unique.
 * RFC 9420 §5.3.3.
 */
export const ApplicationId: Codec<Uint8Array> = opaque;

/** The body of the extension of this type, if the list has one. */
export function findExtension(
  extensions: readonly Extension[],
  type: number,
): Uint8Array | undefined {
  return extensions.find((extension) => extension.type === type)?.data;
}

/**
 * The decoded body of a known extension, if the list has it. `types` are those that may occur in it
 * beside the RFC's own.
 * @throws DecodeError with rule mk-16 unless the body is exactly one value
 */
export function readExtension<T>(
  extensions: readonly Extension[],
  type: number,
  codec: Codec<T>,
  types?: WireTypes,
): T | undefined {
  const data = findExtension(extensions, type);
  if (data === undefined) return undefined;
  try {
    return decodeInPlace(codec, data, `extension ${type}`, types);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    const details = { extensionType: type };
    const message = "the body of an extension is malformed";
    throw new DecodeError(message, { rule: "mk-16", details, cause });
  }
}

/** Whom a group with these extensions lists; their credentials may be of registered types. */
export function readExternalSenders(
  extensions: readonly Extension[],
  types: WireTypes | undefined,
): readonly ExternalSender[] {
  return readExtension(extensions, ExtensionType.externalSenders, ExternalSenders, types) ?? [];
}

export function makeExtension<T>(type: number, codec: Codec<T>, body: T): Extension {
  return { type, data: encode(codec, body) };
}

/** Whether two lists are the same, in the same order. */
export function areSameExtensions(one: readonly Extension[], other: readonly Extension[]): boolean {
  return equalBytes(encode(Extensions, one), encode(Extensions, other));
}

/** Types that only one of two lists has, or that have another body in each. */
export function changedTypes(
  one: readonly Extension[],
  other: readonly Extension[],
): readonly number[] {
  return [...new Set([...one, ...other].map(({ type }) => type))].filter((type) => {
    const [a, b] = [findExtension(one, type), findExtension(other, type)];
    return a === undefined || b === undefined || !equalBytes(a, b);
  });
}

/** The list with this extension put in the place of one of its type, or appended. */
export function withExtension(
  extensions: readonly Extension[],
  extension: Extension,
): readonly Extension[] {
  const at = extensions.findIndex(({ type }) => type === extension.type);
  return at === -1
    ? [...extensions, extension]
    : extensions.map((old, i) => (i === at ? extension : old));
}
