/** Who forges: a member, with all that it knows. */
import type { RegisteredTypes } from "../../group/environment.ts";
import type { Epoch } from "../../group/epoch.ts";

export interface Insider {
  /** The epoch as `mlskit/group` gives it to a member; nothing in it is changed or used up. */
  readonly epoch: Epoch;
  /** What the group knows beyond RFC 9420. Default: nothing. */
  readonly types?: RegisteredTypes | undefined;
}

/** A group without types of its own. */
export const RFC_ONLY: RegisteredTypes = {
  proposals: new Map(),
  credentials: new Map(),
  extensions: new Set(),
};
