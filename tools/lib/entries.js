/**
 * The public entry points of mlskit: subpath and the source file behind it. An entry point is exported
 * as soon as its file exists, and `exports` of the package is written from this list, so that neither
 * can be forgotten. `import "mlskit/providers/node"` is the public name of src/providers/node.ts.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./sources.js";

const entries = {
  ".": ["index.ts"],
  "./client": ["client/index.ts"],
  "./production": ["production/index.ts"],
  "./errors": ["errors.ts"],
  "./rules": ["rule-registry.ts"],
  "./wire": ["wire.ts"],
  "./group": ["group/index.ts"],
  "./observer": ["observer/index.ts"],
  "./x509": ["x509/index.ts"],
  "./drafts": ["drafts/index.ts"],
  "./providers/node": ["providers/node.ts", "providers/node/index.ts"],
  "./providers/webcrypto": ["providers/webcrypto.ts", "providers/webcrypto/index.ts"],
  "./providers/noble": ["providers/noble.ts", "providers/noble/index.ts"],
  ...Object.fromEntries(
    ["webcrypto", "noble"].flatMap((provider) =>
      [1, 2, 3, 4, 5, 6, 7].map((suite) => [
        `./providers/${provider}/suite-${suite}`,
        [`providers/${provider}/suite-${suite}.ts`],
      ]),
    ),
  ),
  "./conformance": ["providers/conformance.ts"],
  "./storage/memory": ["storage/memory.ts"],
  "./storage/file": ["storage/file.ts", "storage/file/index.ts"],
  "./storage/encrypted": ["storage/encrypted.ts"],
  "./storage/sqlite": ["storage/sqlite.ts"],
  "./storage/indexeddb": ["storage/indexeddb.ts"],
  "./testing": ["testing/index.ts"],
  "./testing/forge": ["testing/forge/index.ts"],
};

/** The `exports` of packages/mlskit/package.json that fit the files there are. */
export function packageExports() {
  const exports = {};
  for (const [subpath, candidates] of Object.entries(entries)) {
    const file = candidates.find((path) => existsSync(join(root, "packages/mlskit/src", path)));
    if (file === undefined) continue;
    const built = `./dist/${file.replace(/\.ts$/, "")}`;
    exports[subpath] = { types: `${built}.d.ts`, default: `${built}.js` };
  }
  return { ...exports, "./package.json": "./package.json" };
}
