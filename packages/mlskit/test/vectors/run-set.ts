/** A set of vector files, as a whole. */
import { join } from "node:path";
import type { CryptoProvider } from "../../src/crypto/index.ts";
import type { Executor } from "./executor.ts";
import type { VectorSet } from "./locate.ts";
import { type FileResult, runFile } from "./run-file.ts";

export interface SetOptions {
  readonly provider: CryptoProvider;
  readonly executor: Executor;
  readonly withControls: boolean;
  /** Part of a file name, to run only such files. */
  readonly filter?: string | undefined;
  readonly type?: string | undefined;
  readonly now?: bigint | undefined;
  readonly sample?: number | undefined;
  onFile?(result: FileResult): void;
}

/** All files of the manifest, and all that are there besides, which are failures. */
export async function runSet(set: VectorSet, options: SetOptions): Promise<FileResult[]> {
  const { manifest } = set;
  const announced = manifest?.files ?? [];
  const entries = new Map(announced.map((entry) => [entry.file, entry]));
  const names = [...new Set([...entries.keys(), ...set.files])];
  const { filter } = options;
  const wanted = names.filter((file) => filter === undefined || file.includes(filter));
  return Promise.all(
    wanted.map(async (file) => {
      const entry = entries.get(file);
      const path = join(set.directory, file);
      const base = { now: undefined, type: undefined, ...options, entry, manifest };
      let result = await runFile(path, file, base);
      if (manifest !== undefined && entry === undefined) {
        const problem = "the manifest does not list this file";
        result = { ...result, problems: [problem, ...result.problems] };
      }
      options.onFile?.(result);
      return result;
    }),
  );
}

export interface Summary {
  readonly passed: number;
  /** Cases, and files with problems of their own. */
  readonly failed: number;
  readonly skipped: number;
  readonly controlsCaught: number;
  readonly controlsApplied: number;
}

/** `absent` cases are skipped because there is no file that has them. */
export function summarize(results: readonly FileResult[], absent = 0): Summary {
  const count = (status: string): number => {
    return results.flatMap(({ cases }) => cases).filter((found) => found.status === status).length;
  };
  let [controlsCaught, controlsApplied, brokenFiles] = [0, 0, 0];
  for (const { controls, problems, cases } of results) {
    controlsApplied += controls?.applied ?? 0;
    for (const caught of controls?.caught.values() ?? []) controlsCaught += caught;
    // A file whose cases all failed with it is not counted again.
    if (problems.length > 0 && cases.every(({ status }) => status !== "failed")) brokenFiles += 1;
  }
  return {
    passed: count("passed"),
    failed: count("failed") + brokenFiles,
    skipped: count("skipped") + absent,
    controlsCaught,
    controlsApplied,
  };
}

/** The last line. */
export function closingLine({ passed, failed, skipped }: Summary): string {
  return `vectors: ${passed} passed, ${failed} failed, ${skipped} skipped`;
}
