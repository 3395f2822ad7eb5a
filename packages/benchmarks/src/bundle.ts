/** What an application's bundle grows by: each entry, minified and compressed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { buildFolder, NPM, provide } from "./builds.ts";
import { packageFolder } from "./folders.ts";
import { NPM_BUILD } from "./peers.ts";

export interface BundleSize {
  readonly name: string;
  readonly minified: number;
  readonly compressed: number;
}

type Build = (options: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** A whole client, and each entry for browsers. */
export async function bundleSizes(): Promise<BundleSize[]> {
  const build = await loadBuild();
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
  const found: (readonly [string, string])[] = [["a client for suite 1, all included", CLIENT]];
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target === "string" || !existsSync(join(path, "..", target.default))) continue;
    // Files and node:crypto are not for browsers.
    if (/^\.\/(providers\/node|storage\/file)$/.test(entry)) continue;
    const specifier = `mlskit${entry.slice(1)}`;
    found.push([specifier, `export * from ${JSON.stringify(specifier)};`]);
  }
  return found;
}

/** What a browser needs to hold a conversation on one suite. */
const CLIENT = `
  export { Client, createProvider } from "mlskit/client";
  export { webCryptoSuite1 } from "mlskit/providers/webcrypto/suite-1";
  export { memoryStorage } from "mlskit/storage/memory";
`;

/** esbuild is installed with the peers. */
async function loadBuild(): Promise<Build> {
  const why = provide(NPM_BUILD, true);
  if (why !== undefined) throw new Error(`esbuild: ${why}`);
  const main = join(buildFolder(NPM), "node_modules/esbuild/lib/main.js");
  const { build } = (await import(pathToFileURL(main).href)) as { build: Build };
  return build;
}
