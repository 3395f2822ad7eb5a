/**
 * Checks what npm would publish, not what lies in the folder: packs the packages and lets publint and
 * are-the-types-wrong judge the tarballs. It exists because a wrong `exports` entry passes every test
 * inside the repository and fails at the first user.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { root } from "./lib/sources.js";

let failed = false;
for (const name of ["mlskit", "history"]) await check(join(root, "packages", name));
process.exitCode = failed ? 1 : 0;

async function check(packageFolder) {
  const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  const folder = mkdtempSync(join(tmpdir(), "mlskit-pack-"));
  try {
    const packed = run("npm", ["pack", "--json", "--pack-destination", folder], packageFolder);
    const [{ filename, files, size }] = JSON.parse(packed.stdout);
    const tarball = join(folder, filename);
    const data = readFileSync(tarball);

    const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    const { messages } = await publint({ strict: true, pack: { tarball: buffer } });
    for (const message of messages) report(`publint: ${formatMessage(message, manifest)}`);

    const attw = join(root, "node_modules/.bin/attw");
    const types = run(
      attw,
      [tarball, "--profile", "esm-only", "--no-definitely-typed", "--no-emoji", "--no-color"],
      root,
    );
    if (types.status !== 0) report(types.stdout + types.stderr);

    const stray = files
      .map((file) => file.path)
      .filter((path) => /tsbuildinfo|\.test\./.test(path));
    for (const path of stray) report(`${path} does not belong into the package`);
    console.log(
      `packaging: ${manifest.name}: ${files.length} files, ${(size / 1024).toFixed(0)} KiB packed`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(text) {
  console.log(text);
  failed = true;
}

function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (result.error !== undefined) throw result.error;
  return result;
}
