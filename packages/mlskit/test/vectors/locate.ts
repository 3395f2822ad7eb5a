/** Where vectors lie: the official ones beside the repository or where we are told, ours inside. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Manifest } from "./manifest.ts";
import { OFFICIAL_MANIFEST } from "./official-manifest.ts";

export interface VectorSet {
  readonly name: "official" | "own" | "given";
  readonly directory: string;
  /** Absent for folders that nobody has announced. */
  readonly manifest: Manifest | undefined;
  readonly files: readonly string[];
}

/** Where the official files come from. */
export const OFFICIAL_SOURCE = "https://github.com/mlswg/mls-implementations, folder test-vectors";

/** The official folder, or nothing. */
export function officialDirectory(): string | undefined {
  const { MLSKIT_VECTORS: given } = process.env;
  if (given !== undefined && given !== "") return resolve(given);
  const beside = join(repositoryRoot(), "../shared/test-vectors");
  return existsSync(beside) ? beside : undefined;
}

/** Official cases that nobody runs because their files are absent and ours stand in. */
export function absentCases(set: VectorSet, isOwnWanted: boolean): number {
  if (set.name !== "own" || isOwnWanted) return 0;
  return OFFICIAL_MANIFEST.files.reduce((sum, { cases }) => sum + cases, 0);
}

export function ownDirectory(): string {
  return join(repositoryRoot(), "packages/mlskit/test/vectors-own");
}

export function officialSet(directory: string): VectorSet {
  return { name: "official", directory, manifest: OFFICIAL_MANIFEST, files: listJson(directory) };
}

export function ownSet(directory: string = ownDirectory()): VectorSet {
  const path = join(directory, MANIFEST_FILE);
  if (!existsSync(path)) throw new Error(`there are no own vectors in ${directory}`);
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  const files = listJson(directory).filter((file) => file !== MANIFEST_FILE);
  return { name: "own", directory, manifest, files };
}

/** Any folder of files in official formats. */
export function givenSet(directory: string): VectorSet {
  if (!existsSync(directory)) throw new Error(`the folder ${directory} does not exist`);
  const files = listJson(directory).filter((file) => file !== MANIFEST_FILE);
  if (files.length === 0) throw new Error(`the folder ${directory} has no JSON files`);
  return { name: "given", directory, manifest: undefined, files };
}

export const MANIFEST_FILE = "manifest.json";

function listJson(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith(".json"))
    .sort();
}

function repositoryRoot(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, "packages/mlskit/package.json"))) {
    const above = dirname(directory);
    if (above === directory) throw new Error("this is not a checkout of mlskit");
    directory = above;
  }
  return directory;
}
