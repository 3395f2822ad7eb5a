/** Programs as an application's bundler makes them: only what is used, minified. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

export interface Bundle {
  readonly text: string;
  /** Files that contribute code. */
  readonly files: readonly string[];
  /** Bytes after gzip. */
  readonly size: number;
}

/** Bundles a module, given as its source with paths from the package's root. */
export async function bundle(code: string): Promise<Bundle> {
  const folder = join(import.meta.dirname, "../..");
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: folder, loader: "ts" },
    absWorkingDir: folder,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "esnext",
    metafile: true,
    write: false,
    logLevel: "error",
  });
  const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? file : [])),
  );
  const text = outputFiles[0]?.text ?? "";
  return { text, files, size: gzipSync(text, { level: 9 }).length };
}
