/**
 * `npm test`: every test that needs nothing but Node. It exists because people, scripts and CI all
 * want one fixed last line to read, and because a test file that fails to load must count as a
 * failure there and not as an absence. Arguments go to vitest: `npm test -- codec`.
 */
import { runVitest } from "./lib/vitest.js";

const { passed, failed, skipped } = await runVitest(process.argv.slice(2));
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
