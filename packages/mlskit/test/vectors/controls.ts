/** Negative controls: small changes to a file that the runner must not let pass. */
import { addTotals } from "./checks.ts";
import type { Control, Format } from "./format.ts";
import { type CaseOptions, type CaseResult, runCase } from "./run-case.ts";
import { isObject } from "./value.ts";

export interface ControlReport {
  /** By kind of change. */
  readonly caught: ReadonlyMap<string, number>;
  readonly applied: number;
  /** What was not noticed, or only by accident. */
  readonly missed: readonly string[];
}

/** Runs every control of a format on two of the cases, at several places and bytes. */
export async function runControls(
  format: Format,
  cases: readonly unknown[],
  options: CaseOptions,
): Promise<ControlReport> {
  const caught = new Map<string, number>();
  const missed: string[] = [];
  let applied = 0;
  const suites = groupBySuite(cases, options);
  for (const [number, control] of format.controls.entries()) {
    // Without a fixed clock the lifetimes have no end.
    if (control.now !== undefined && options.now === undefined) continue;
    for (const index of pickCases(suites, cases, control, number)) {
      for (const change of changesOf(cases[index], control, options)) {
        applied += 1;
        const now = control.now ?? options.now;
        const result = await runCase(format, change.json, index, { ...options, now });
        const miss = judge(result, control);
        if (miss === undefined) addTotals(caught, new Map([[control.kind, 1]]));
        else missed.push(`case ${index}, ${control.kind}, ${change.what}: ${miss}`);
      }
    }
  }
  return { caught, applied, missed };
}

function judge(result: CaseResult, { caughtBy }: Control): string | undefined {
  if (result.status !== "failed") return `the case ${result.status}`;
  if (result.isCrash) return `an accident: ${result.reason ?? "unknown"}`;
  if (caughtBy === undefined || result.caughtBy.some((name) => caughtBy.includes(name))) {
    return undefined;
  }
  return `not noticed by ${caughtBy.join(" or ")} but: ${result.reason ?? "unknown"}`;
}

type Path = readonly (string | number)[];

interface Change {
  readonly json: unknown;
  readonly what: string;
}

function* changesOf(json: unknown, control: Control, { provider }: CaseOptions): Generator<Change> {
  if (control.now !== undefined) {
    yield { json, what: `at ${control.now}` };
    return;
  }
  if (control.rewrite !== undefined) {
    const rewritten = control.rewrite(json, provider);
    if (rewritten !== undefined) yield { json: rewritten, what: control.path };
    return;
  }
  for (const path of spread(matches(json, control))) {
    const value = at(json, path);
    for (const position of positions(value, control.at ?? "spread")) {
      const copy: unknown = structuredClone(json);
      put(copy, path, flip(value, position));
      yield { json: copy, what: `${path.join(".")} at ${position}` };
    }
  }
}

/** Where the control applies in a case: all strings, numbers and nulls that its path leads to. */
function matches(json: unknown, { path, within }: Control): Path[] {
  const found: Path[] = [];
  const walk = (value: unknown, rest: readonly string[], taken: Path): void => {
    const [key, ...more] = rest;
    if (key === undefined) {
      if (positions(value, "first").length > 0) found.push(taken);
    } else if (key === "*" && Array.isArray(value)) {
      const isOutermost = !taken.some((step) => typeof step === "number");
      const items: unknown[] = isOutermost ? value.slice(0, within) : value;
      for (const [i, item] of items.entries()) walk(item, more, [...taken, i]);
    } else if (isObject(value)) {
      walk(value[key], more, [...taken, key]);
    }
  };
  walk(json, path.split("."), []);
  return found;
}

/** Bytes to flip: of hex strings some, of numbers the whole. */
function positions(value: unknown, where: "first" | "last" | "spread"): number[] {
  if (typeof value === "number") return [0];
  if (typeof value !== "string" || value.length === 0) return [];
  const last = value.length / 2 - 1;
  if (where === "first") return [0];
  if (where === "last") return [last];
  return spread([...new Array<undefined>(last + 1).keys()], 4);
}

/** Any bit will do but those that X25519 and X448 ignore in private and public keys. */
function flip(value: unknown, position: number): unknown {
  if (typeof value === "number") return value === 0 ? 1 : value - 1;
  const hex = String(value);
  const byte = Number.parseInt(hex.slice(2 * position, 2 * position + 2), 16) ^ 0x10;
  const flipped = byte.toString(16).padStart(2, "0");
  return hex.slice(0, 2 * position) + flipped + hex.slice(2 * position + 2);
}

function at(json: unknown, path: Path): unknown {
  let value = json;
  for (const step of path) value = (value as Record<string | number, unknown>)[step];
  return value;
}

function put(json: unknown, path: Path, value: unknown): void {
  const last = path.at(-1);
  if (last === undefined) return;
  (at(json, path.slice(0, -1)) as Record<string | number, unknown>)[last] = value;
}

/** First, last, and evenly between. */
function spread<T>(items: readonly T[], count = 3): T[] {
  if (items.length <= count) return [...items];
  const steps = [...new Array<undefined>(count).keys()];
  const chosen = steps.map((i) => items[Math.floor((i * (items.length - 1)) / (count - 1))]);
  return chosen.filter((item) => item !== undefined);
}

/** Indices of the cases by suite, small ones first: a control needs no large tree. */
function groupBySuite(cases: readonly unknown[], { provider }: CaseOptions): number[][] {
  const groups = new Map<unknown, { readonly index: number; readonly size: number }[]>();
  for (const [index, json] of cases.entries()) {
    const suite = isObject(json) ? json["cipher_suite"] : undefined;
    if (typeof suite === "number" && !provider.suites.includes(suite)) continue;
    const group = groups.get(suite) ?? [];
    groups.set(suite, group);
    group.push({ index, size: JSON.stringify(json).length });
  }
  return [...groups.values()].map((group) => {
    return group.sort((a, b) => a.size - b.size).map(({ index }) => index);
  });
}

/** The smallest case to which the control applies and a larger one, of suites in turn. */
function pickCases(
  suites: readonly (readonly number[])[],
  cases: readonly unknown[],
  control: Control,
  turn: number,
): number[] {
  const picked = new Set<number>();
  for (const [round, share] of [0, 4].entries()) {
    const group = suites[(turn + 3 * round) % suites.length] ?? [];
    const isFree = control.rewrite !== undefined || control.now !== undefined;
    const fitting = group.filter((index) => isFree || matches(cases[index], control).length > 0);
    const index = fitting[share === 0 ? 0 : Math.floor(fitting.length / share)];
    if (index !== undefined) picked.add(index);
  }
  return [...picked];
}
