/** Reads the official test vectors, which lie beside the repository and not in it. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type TestAPI, test } from "vitest";

const DIRECTORY = resolve(import.meta.dirname, "../../../../../../shared/test-vectors");

function path(name: string): string {
  return resolve(DIRECTORY, `${name}.json`);
}

/** The cases of one file; none if it is absent. */
export function vectors<T>(name: string): readonly T[] {
  return existsSync(path(name)) ? (JSON.parse(readFileSync(path(name), "utf8")) as T[]) : [];
}

/** `test`, or a skipped one if the file is absent. */
export function vectorTest(name: string): TestAPI | TestAPI["skip"] {
  return existsSync(path(name)) ? test : test.skip;
}
