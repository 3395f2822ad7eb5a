/**
 * The lock file must work with whatever registry a machine is set up for: it holds integrity hashes
 * and no download addresses (`omit-lockfile-registry-resolved` in .npmrc), and direct dependencies
 * are pinned exactly, so that a tool changes only when somebody changes it.
 *
 * It must also be complete. A registry or mirror that lacks the binaries for other platforms makes
 * `npm install` leave them out without a word, and `npm ci` then refuses the lock file everywhere.
 * `node tools/check-lockfile.js --write` adds what is missing: version from the package that asks for
 * it, platform from its name. Such entries carry no hash until a lock file is made where they exist.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { listFiles, readText, root } from "./lib/sources.js";

const problems = [];
const lock = JSON.parse(readText("package-lock.json"));

const absent = missingPlatforms();
if (process.argv.includes("--write") && absent.length > 0) {
  for (const { path, entry } of absent) lock.packages[path] = entry;
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  const complete = { ...lock, packages: Object.fromEntries(sorted) };
  writeFileSync(join(root, "package-lock.json"), `${JSON.stringify(complete, null, 2)}\n`);
  console.log(`added ${absent.length} entries`);
} else {
  for (const { path } of absent)
    problems.push(`${path} is missing: node tools/check-lockfile.js --write`);
}

for (const [path, entry] of Object.entries(lock.packages)) {
  if (/^(https?|git|ssh)/.test(entry.resolved ?? ""))
    problems.push(`${path} is locked to an address`);
  const foreign = entry.optional === true && entry.os !== undefined;
  if (path.includes("node_modules/") && entry.link !== true && !foreign && !entry.inBundle) {
    if (entry.integrity === undefined) problems.push(`${path} has no integrity hash`);
  }
}
for (const path of ["package.json", ...listFiles("packages", /^package\.json$/)]) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readText(path));
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    const own = lock.packages[`node_modules/${name}`]?.link === true;
    if (!own && !/^\d+\.\d+\.\d+$/.test(version))
      problems.push(`${path}: ${name} ${version} is not exact`);
  }
}

for (const problem of problems) console.log(problem);
console.log(`lock file: ${Object.keys(lock.packages).length} entries, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

function missingPlatforms() {
  const found = [];
  for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const path = `node_modules/${name}`;
      if (lock.packages[path] ?? lock.packages[`${parent}/${path}`]) continue;
      const platform = platformOf(name);
      if (platform === undefined) continue;
      const { os, cpu, libc } = platform;
      found.push({
        path,
        entry: {
          version,
          ...(cpu === undefined ? {} : { cpu: [cpu] }),
          ...(dev === true ? { dev } : {}),
          ...(libc === undefined ? {} : { libc: [libc] }),
          optional: true,
          os: [os],
        },
      });
    }
  }
  return found;
}

/** `@oxlint/binding-linux-arm64-musl` is for Linux on ARM with musl. */
function platformOf(name) {
  const parts = name.split(/[-/]/);
  const systems = ["aix", "android", "darwin", "freebsd", "linux", "openharmony", "win32"];
  const processors = ["arm", "arm64", "ia32", "ppc64", "riscv64", "s390x", "x64"];
  const os = parts.find((part) => systems.includes(part));
  if (os === undefined) return undefined;
  const cpu = parts.find((part) => processors.includes(part));
  const isMusl = parts.some((part) => part.startsWith("musl"));
  return { os, cpu, libc: os === "linux" ? (isMusl ? "musl" : "glibc") : undefined };
}
