/** What settings have in common: types do not hold at run time. */
import { UsageError } from "../../errors.ts";

/** @throws UsageError `INVALID_SETTING` */
export function requireSetting(isValid: boolean, name: string): void {
  if (isValid) return;
  throw new UsageError("INVALID_SETTING", `the setting ${name} cannot have this value`);
}

/** A whole number in this range. */
export function isWhole(
  value: unknown,
  least: number = 0,
  most: number = Number.MAX_SAFE_INTEGER,
): boolean {
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
}
