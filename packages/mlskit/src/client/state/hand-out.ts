/** What an accepted Commit of ours has for others, until they have it. Catalogue M-COM-17. */
import { equalBytes } from "../../codec/index.ts";
import { MlsError } from "../../errors.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import type { CreatedWelcome } from "../../group/welcome-creation.ts";
import type { GroupConfig } from "./config.ts";

export interface HandOut {
  /** The epoch that the Commit started. */
  readonly epoch: bigint;
  /** Of that epoch, and of no other one that a Commit may have started; names the Commit. */
  readonly confirmationTag: Uint8Array;
  readonly summary: CommitSummary;
  readonly welcomes: readonly CreatedWelcome[];
  /** GroupInfo of the new epoch, if it was asked for. */
  readonly groupInfo: Uint8Array | undefined;
  /** The tree for the joiners, if it is not in the Welcomes. */
  readonly ratchetTree: Uint8Array | undefined;
}

/** What that Commit has for others. */
export function handOutOf(
  all: readonly HandOut[],
  { confirmationTag }: Pick<HandOut, "confirmationTag">,
): HandOut | undefined {
  return all.filter(isReadable).find((one) => equalBytes(one.confirmationTag, confirmationTag));
}

/** It is decoded when somebody asks. One that is damaged must not keep us from committing. */
export function isReadable(one: HandOut): boolean {
  try {
    return one.confirmationTag.length > 0;
  } catch (error) {
    if (!MlsError.is(error, "STORAGE_FAILED")) throw error;
    return false;
  }
}

/** With one more; what it leaves no room for is in `dropped`. */
export function withHandOut(
  kept: readonly HandOut[],
  { epoch, confirmationTag, summary, welcomes, groupInfo, ratchetTree }: HandOut,
  config: GroupConfig,
): { readonly kept: readonly HandOut[]; readonly dropped: readonly HandOut[] } {
  if (welcomes.length === 0 && groupInfo === undefined) return { kept, dropped: [] };
  const one = { epoch, confirmationTag, summary, welcomes, groupInfo, ratchetTree };
  // After a resync an epoch may begin a second time; nobody follows the first one.
  const others = kept.filter((other) => other.epoch !== epoch);
  return limitHandOuts([...others, one], config);
}

/** The newest by count and by size; of those the very newest in any case. */
export function limitHandOuts(
  given: readonly HandOut[],
  { handOuts, handOutBytes }: Pick<GroupConfig, "handOuts" | "handOutBytes">,
): { readonly kept: readonly HandOut[]; readonly dropped: readonly HandOut[] } {
  const all = given.filter(isReadable);
  let size = 0;
  let first = all.length;
  while (first > Math.max(0, all.length - handOuts)) {
    size += sizeOf(all[first - 1] as HandOut);
    if (size > handOutBytes && first < all.length) break;
    first -= 1;
  }
  if (first === 0) return { kept: all, dropped: [] };
  return { kept: all.slice(first), dropped: all.slice(0, first) };
}

function sizeOf({ welcomes, groupInfo, ratchetTree }: HandOut): number {
  let size = (groupInfo?.length ?? 0) + (ratchetTree?.length ?? 0);
  for (const { bytes } of welcomes) size += bytes.length;
  return size;
}

/** A GroupInfo is good for its own epoch only; who was added must get the Welcome also later. */
export function afterEpoch(all: readonly HandOut[]): readonly HandOut[] {
  if (all.every((one) => isReadable(one) && one.groupInfo === undefined)) return all;
  return all
    .filter(isReadable)
    .filter(({ welcomes }) => welcomes.length > 0)
    .map((one) => (one.groupInfo === undefined ? one : { ...one, groupInfo: undefined }));
}
