/** Settings as applications give them, checked before anything is written. */
import { DEFAULT_LIMITS, type GroupLimits } from "../../group/environment.ts";
import { MAX_PSKS } from "../../key-schedule/pre-shared-key.ts";
import { GENERATION_LIMIT } from "../../secret-tree/hash-ratchet.ts";
import { DEFAULT_CONFIG, type GroupConfig } from "./config.ts";
import { isPadding } from "./padding.ts";
import { isWhole, requireSetting } from "./setting-checks.ts";

/** The longest time that timers keep; beyond it they end at once. */
const MAXIMUM_TIMEOUT = 2 ** 31 - 1;

const MAXIMA: ReadonlyMap<string, number> = /* @__PURE__ */ new Map([
  ["maximumPsks", MAX_PSKS],
  ["maximumGenerations", GENERATION_LIMIT],
]);

/** The settings of a group with these changes. @throws UsageError `INVALID_SETTING` */
export function configWith(before: GroupConfig, changes: Partial<GroupConfig> = {}): GroupConfig {
  return changed(before, changes, DEFAULT_CONFIG);
}

/** The limits with these changes. @throws UsageError `INVALID_SETTING` */
export function limitsWith(changes: Partial<GroupLimits> = {}): GroupLimits {
  const limits = changed(DEFAULT_LIMITS, changes, DEFAULT_LIMITS);
  // Of this one alone undefined means that there is no limit.
  const isUnlimited = "maximumLifetime" in changes && changes.maximumLifetime === undefined;
  return isUnlimited ? { ...limits, maximumLifetime: undefined } : limits;
}

/** A time limit in milliseconds. @throws UsageError `INVALID_SETTING` */
export function timeoutOf(name: string, value: number): number {
  requireSetting(isWhole(value, 0, MAXIMUM_TIMEOUT), name);
  return value;
}

/** A number of things or bytes. @throws UsageError `INVALID_SETTING` */
export function countOf(name: string, value: number): number {
  requireSetting(isWhole(value), name);
  return value;
}

/** @throws UsageError `INVALID_SETTING` */
export function secondsOf(name: string, value: number): bigint {
  return BigInt(countOf(name, value));
}

/** What is undefined is left out, so that nobody removes a limit without saying so. */
function changed<T extends object>(before: T, changes: Partial<T>, defaults: T): T {
  const known = new Map<string, unknown>(Object.entries(defaults));
  const entries: [string, unknown][] = Object.entries(changes);
  const given = entries.filter(([, value]) => value !== undefined);
  for (const [name, value] of given) requireSetting(isValid(name, value, known.get(name)), name);
  return { ...before, ...Object.fromEntries(given) };
}

function isValid(name: string, value: unknown, byDefault: unknown): boolean {
  switch (typeof byDefault) {
    case "number":
      return isWhole(value, name === "generationBlock" ? 1 : 0, MAXIMA.get(name));
    case "bigint":
      return typeof value === "bigint" && value >= 0n;
    case "boolean":
      return typeof value === "boolean";
    case "undefined":
      // Of another build.
      return true;
    default:
      return name === "padding" ? isPadding(value) : isRecord(name, value);
  }
}

function isRecord(name: string, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  if (name === "handshake") {
    const { send, accept } = fields;
    const isOne = send === "private" || send === "public";
    return isOne && (accept === "private" || accept === "public" || accept === "both");
  }
  const { messages = 0, seconds = 0, removal = false } = fields;
  return isWhole(messages) && isWhole(seconds) && typeof removal === "boolean";
}
