/**
 * Extensions with types of their own, for applications: what a type's body is and where it may stand
 * is registered once, and lists know the object that they belong to. RFC 9420 §13.4, §17.3.
 */
import { type Codec, Writer } from "../codec/index.ts";
import type { Verdict } from "../credentials/authentication-service.ts";
import { DecodeError, UsageError } from "../errors.ts";
import {
  ApplicationId,
  type Extension,
  Extensions,
  ExternalPub,
  type ExternalSender,
  ExternalSenders,
  ExtensionType,
  makeExtension,
  readExtension,
  RequiredCapabilities,
} from "./extension.ts";

/** Objects that carry extensions: columns "Message(s)" of RFC 9420 §17.3. */
export type ExtensionPlace = "keyPackage" | "leafNode" | "groupContext" | "groupInfo";

/** A type of extension: its code, the codec of its body, and the objects that may carry it. */
export interface ExtensionKind<T, Place extends ExtensionPlace> {
  readonly type: number;
  readonly codec: Codec<T>;
  readonly places: readonly Place[];
}

// The RFC's own, except the tree, which the library itself reads and writes.

/** What a member calls itself: it is neither authenticated nor unique. RFC 9420 §5.3.3. */
export const APPLICATION_ID: ExtensionKind<Uint8Array, "leafNode"> = {
  type: ExtensionType.applicationId,
  codec: ApplicationId,
  places: ["leafNode"],
};
export const REQUIRED_CAPABILITIES: ExtensionKind<RequiredCapabilities, "groupContext"> = {
  type: ExtensionType.requiredCapabilities,
  codec: RequiredCapabilities,
  places: ["groupContext"],
};
export const EXTERNAL_SENDERS: ExtensionKind<readonly ExternalSender[], "groupContext"> = {
  type: ExtensionType.externalSenders,
  codec: ExternalSenders,
  places: ["groupContext"],
};
export const EXTERNAL_PUB: ExtensionKind<Uint8Array, "groupInfo"> = {
  type: ExtensionType.externalPub,
  codec: ExternalPub,
  places: ["groupInfo"],
};

/** The kinds that an application registers, each code once. */
export class ExtensionRegistry {
  readonly #kinds: Map<number, ExtensionKind<unknown, ExtensionPlace>> = new Map();

  /** @throws UsageError `INVALID_EXTENSION` if a code is registered twice or belongs to the RFC */
  constructor(kinds: readonly ExtensionKind<unknown, ExtensionPlace>[]) {
    for (const kind of kinds) {
      const { type } = kind;
      if (this.#kinds.has(type) || RFC_TYPES.includes(type)) {
        throw invalid("an extension type is registered already", type);
      }
      this.#kinds.set(type, kind);
    }
  }

  /** For `types.extensions` of a client: the types that may stand in a GroupContext. */
  get groupContextTypes(): ReadonlySet<number> {
    const types = [...this.#kinds.values()].filter(({ places }) => places.includes("groupContext"));
    return new Set(types.map(({ type }) => type));
  }

  /**
   * Whether every registered extension of the list is where it may be and has a well-formed body, as
   * an answer for the hooks of a `GroupPolicy`. Unknown types pass.
   */
  review(place: ExtensionPlace, extensions: readonly Extension[]): Verdict {
    for (const { type } of extensions) {
      const kind = this.#kinds.get(type);
      if (kind === undefined) continue;
      if (!kind.places.includes(place)) return { reason: `extension ${type} is out of place` };
      try {
        readExtension(extensions, type, kind.codec);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return { reason: `the body of extension ${type} is malformed` };
      }
    }
    return true;
  }
}

/** The extensions of one kind of object. Values do not change; {@link with} makes another list. */
export class TypedExtensions<Place extends ExtensionPlace> {
  readonly place: Place;
  readonly list: readonly Extension[];

  /** @throws ValidationError `INVALID_EXTENSION` if a type occurs twice */
  constructor(place: Place, list: readonly Extension[] = []) {
    Extensions.write(new Writer(), list);
    this.place = place;
    this.list = list;
  }

  /** @throws UsageError `INVALID_EXTENSION` if the list has one of this type */
  with<T>(kind: ExtensionKind<T, Place>, body: T): TypedExtensions<Place> {
    if (this.list.some(({ type }) => type === kind.type)) {
      throw invalid("the list has an extension of this type", kind.type);
    }
    const added = makeExtension(kind.type, kind.codec, body);
    return new TypedExtensions(this.place, [...this.list, added]);
  }

  without(kind: ExtensionKind<unknown, Place>): TypedExtensions<Place> {
    const kept = this.list.filter(({ type }) => type !== kind.type);
    return new TypedExtensions(this.place, kept);
  }

  /** The decoded body. @throws DecodeError with rule mk-16 */
  get<T>(kind: ExtensionKind<T, Place>): T | undefined {
    return readExtension(this.list, kind.type, kind.codec);
  }
}

const RFC_TYPES: readonly number[] = Object.values(ExtensionType);

function invalid(message: string, extensionType: number): UsageError {
  return new UsageError("INVALID_EXTENSION", message, { details: { extensionType } });
}
