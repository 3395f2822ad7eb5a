/** What an application's bundle grows by: each entry, minified and compressed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { packageFolder } from "./folders.ts";

export interface BundleSize {
  readonly name: string;
  readonly minified: number;
  readonly compressed: number;
}

/** A whole client, and each entry for browsers. */
export async function bundleSizes(): Promise<BundleSize[]> {
  const folder = mkdtempSync(join(tmpdir(), "mlskit-bundle-"));
  const sizes: BundleSize[] = [];
  try {
    for (const [name, code] of entries()) {
      const outfile = join(folder, "out.js");
      writeFileSync(join(folder, "in.js"), code);
      await build({
        entryPoints: [join(folder, "in.js")],
        outfile,
        absWorkingDir: packageFolder,
        nodePaths: [join(packageFolder, "../../node_modules")],
        bundle: true,
        minify: true,
        format: "esm",
        platform: "browser",
        target: "esnext",
        external: ["node:*"],
        logLevel: "error",
      });
      const output = readFileSync(outfile);
      sizes.push({
        name,
        minified: output.length,
        compressed: gzipSync(output, { level: 9 }).length,
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return sizes;
}

/** The exported entries that can be built, and programs made of them. */
function entries(): (readonly [name: string, code: string])[] {
  const path = createRequire(import.meta.url).resolve("mlskit/package.json");
  const { exports } = JSON.parse(readFileSync(path, "utf8")) as {
    exports: Readonly<Record<string, string | { readonly default: string }>>;
  };
  const found: (readonly [string, string])[] = [];
  for (const provider of ["webcrypto", "noble"]) {
    for (const suite of [1, 2, 3, 4, 5, 6, 7]) {
      const code = clientOf(`mlskit/providers/${provider}/suite-${suite}`);
      found.push([`a client for suite ${suite}, ${provider}`, code]);
    }
  }
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target === "string" || !existsSync(join(path, "..", target.default))) continue;
    // Files and node:crypto are not for browsers.
    if (/^\.\/(providers\/node|storage\/file)$/.test(entry)) continue;
    const specifier = `mlskit${entry.slice(1)}`;
    found.push([specifier, `export * from ${JSON.stringify(specifier)};`]);
  }
  return found;
}

/** What a browser needs to hold a conversation on one suite, all included. */
function clientOf(suite: string): string {
  return `
    export { Client, createProvider } from "mlskit/client";
    export { memoryStorage } from "mlskit/storage/memory";
    export * from "${suite}";
  `;
}
