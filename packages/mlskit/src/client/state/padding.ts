/** Padding as a setting. RFC 9420 §15.1. */
import {
  noPadding,
  type PaddingPolicy,
  padme,
  padToMultiple,
  padToSize,
  padToSteps,
} from "../../framing/padding.ts";
import { isWhole, requireSetting } from "./setting-checks.ts";

/** How encrypted content is padded. */
export type Padding =
  | { readonly type: "none" }
  | { readonly type: "multiple"; readonly size: number }
  | { readonly type: "fixed"; readonly size: number }
  | { readonly type: "steps"; readonly sizes: readonly number[] }
  | { readonly type: "padme"; readonly floor: number };

/**
 * As a group has it stored, unless something else is `given`. Earlier builds stored more than what is
 * accepted now, and their groups go on.
 * @throws UsageError `INVALID_SETTING`
 */
export function paddingPolicy(stored: Padding, given?: Padding): PaddingPolicy {
  const padding = given ?? stored;
  requireSetting(padding === stored || isPadding(padding), "padding");
  switch (padding.type) {
    case "none":
      return noPadding;
    case "multiple":
      return padToMultiple(padding.size);
    case "fixed":
      return padToSize(padding.size);
    case "steps":
      return padToSteps(padding.sizes);
    case "padme":
      return padme(padding.floor);
  }
}

export function isPadding(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { type, size, sizes, floor } = value as Readonly<Record<string, unknown>>;
  switch (type) {
    case "none":
      return true;
    case "multiple":
    case "fixed":
      return isWhole(size, type === "fixed" ? 0 : 1, MAXIMUM_SIZE);
    case "steps":
      return Array.isArray(sizes) && sizes.length > 0 && isAscending(sizes);
    case "padme":
      return isWhole(floor, 0, MAXIMUM_SIZE);
    default:
      return false;
  }
}

function isAscending(sizes: readonly unknown[]): boolean {
  return sizes.every((size, i) => isWhole(size, Number(sizes[i - 1] ?? 0) + 1, MAXIMUM_SIZE));
}

/** Longer than that is no content, RFC 9420 §2.1.2. */
const MAXIMUM_SIZE = 2 ** 30 - 1;
