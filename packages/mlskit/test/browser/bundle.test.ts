/** The bundle of one suite, in a browser. Needs an installed Chromium or Chrome; see findChromium. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bundle } from "../support/bundle.ts";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { Chromium, findChromium } from "./chromium.ts";
import { servePage } from "./page-server.ts";

const program = findChromium();
const newDirectory = temporaryDirectories();

test.skipIf(program === undefined)(
  "M-SUITE-09 M-SUITE-14: a bundled client of suite 1 talks, joins and commits in Chromium",
  async () => {
    const folder = newDirectory();
    mkdirSync(folder);
    const page = join(folder, "story.js");
    const { text } = await bundle(`
      import { story } from "./test/browser/story.ts";
      Object.assign(globalThis, { story });
    `);
    writeFileSync(page, text);
    const server = await servePage(folder, page);
    const browser = new Chromium(program ?? "", newDirectory());
    try {
      const tab = await browser.open(server.url);
      expect(await tab.run("story()")).toBe("2 webcrypto from 0, from 1 true");
    } finally {
      await browser.kill();
      server.close();
    }
  },
  180_000,
);
