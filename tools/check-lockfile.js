/**
 * The lock file must work with whatever registry a machine is set up for: it holds integrity hashes
 * and no download addresses (`omit-lockfile-registry-resolved` in .npmrc). Versions of direct
 * dependencies are pinned exactly, so that a tool changes only when somebody changes it.
 */
import { listFiles, readText } from "./lib/sources.js";

const problems = [];
const lock = JSON.parse(readText("package-lock.json"));
for (const [path, entry] of Object.entries(lock.packages)) {
  if (/^(https?|git|ssh)/.test(entry.resolved ?? ""))
    problems.push(`${path} is locked to an address`);
  if (path.startsWith("node_modules/") && entry.link !== true && entry.integrity === undefined) {
    problems.push(`${path} has no integrity hash`);
  }
}
const workspaces = new Set(
  Object.values(lock.packages).flatMap((entry) => (entry.link === true ? [entry.resolved] : [])),
);
const manifests = ["package.json", ...listFiles("packages", /^package\.json$/)];
for (const path of manifests) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readText(path));
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    const own = lock.packages[`node_modules/${name}`]?.link === true;
    if (!own && !/^\d+\.\d+\.\d+$/.test(version))
      problems.push(`${path}: ${name} ${version} is not exact`);
  }
}
for (const problem of problems) console.log(problem);
console.log(
  `lock file: ${Object.keys(lock.packages).length} entries, ${workspaces.size} workspaces`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
