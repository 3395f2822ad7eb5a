/** Records of what an application may leave out; encoded like those of record-codecs.ts. */
import {
  type Codec,
  mapped,
  opaque,
  optional,
  struct,
  uint8,
  uint32,
  uint64,
  vector,
} from "../codec/index.ts";
import { atEnd } from "../client/records/record-codecs.ts";

/** What was done with a key package that is kept in stock. */
export interface StockRecord {
  readonly state: StockState;
  /** Since when it has this state. */
  readonly since: bigint;
}

/**
 * `made`: to be published. `published`: the directory may hand it out. `claimed`: it did.
 * `withdrawn`: the directory has it no more.
 */
export type StockState = (typeof STOCK_STATES)[number];
const STOCK_STATES = ["made", "published", "claimed", "withdrawn"] as const;

export const stockRecord: Codec<StockRecord> = struct<StockRecord>({
  state: mapped(
    uint8,
    (code) => STOCK_STATES[code] ?? "withdrawn",
    (state) => STOCK_STATES.indexOf(state),
  ),
  since: uint64,
});

/** Work over several groups that goes on after a restart. */
export interface JobRecord {
  /** Ids of groups that are left to do. */
  readonly groups: readonly Uint8Array[];
  readonly done: number;
  /** What the kind of job needs to know. */
  readonly details: Uint8Array;
}

export const jobRecord: Codec<JobRecord> = struct<JobRecord>({
  groups: vector(opaque),
  done: uint32,
  details: opaque,
});

/** How far we are with the successor of a group that a ReInit closed. */
export interface SuccessionRecord {
  readonly startedAt: bigint;
  readonly keyPackages: readonly { readonly leaf: number; readonly bytes: Uint8Array }[];
  /** Once we made it, until the Welcomes are out. */
  readonly made: MadeSuccessor | undefined;
}

interface MadeSuccessor {
  readonly groupId: Uint8Array;
  readonly welcomes: readonly {
    readonly bytes: Uint8Array;
    readonly keyPackageRefs: readonly Uint8Array[];
  }[];
  readonly ratchetTree: Uint8Array | undefined;
  /** Of its first epoch. Earlier builds did not keep it. */
  readonly confirmationTag: Uint8Array | undefined;
}

export const successionRecord: Codec<SuccessionRecord> = struct<SuccessionRecord>({
  startedAt: uint64,
  keyPackages: vector(struct({ leaf: uint32, bytes: opaque })),
  made: optional(
    struct<MadeSuccessor>({
      groupId: opaque,
      welcomes: vector(struct({ bytes: opaque, keyPackageRefs: vector(opaque) })),
      ratchetTree: optional(opaque),
      confirmationTag: atEnd(opaque),
    }),
  ),
});
