/** The parts for browsers, in a browser. Needs an installed Chromium or Chrome; see findChromium. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { compile } from "../support/compile.ts";
import { allBytes, temporaryDirectories } from "../unit/storage/directories.ts";
import { Chromium, findChromium, type Tab } from "./chromium.ts";
import type { KeptSecrets, Page, Sent } from "./page.ts";
import { type PageServer, servePage } from "./page-server.ts";

const program = findChromium();
const MISSING =
  "Chromium is not installed, so nothing was tried in a browser: `apt-get install chromium`, or " +
  "the path of a Chromium or Chrome in MLSKIT_CHROMIUM";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** How long two tabs send; MLSKIT_TAB_SECONDS for a longer run. */
const SECONDS = Number(process.env["MLSKIT_TAB_SECONDS"] ?? 4);

if (program === undefined) {
  console.warn(MISSING);
  test.skip(`M-STO-05 in a browser (${MISSING})`, () => undefined);
} else {
  const newDirectory = temporaryDirectories();
  const profile = newDirectory();
  const folder = newDirectory();
  let script: string;
  let server: PageServer;
  let browser: Chromium;
  let tab: Tab;

  beforeAll(async () => {
    script = compile("test/browser/page.ts", folder);
    server = await servePage(folder, script);
    browser = new Chromium(program, profile);
    tab = await browser.open(server.url);
  });

  afterAll(async () => {
    await browser.kill();
    server.close();
  });

  /** The process ends without warning; another one finds what it has left. */
  const restart = async (): Promise<void> => {
    await browser.kill();
    browser = new Chromium(program, profile);
    tab = await browser.open(server.url);
  };

  describe("in Chromium", () => {
    for (const kind of ["plain", "encrypted"]) {
      test(`M-STO-05 sto-8 IndexedDB (${kind}) does what every store must do`, async () => {
        const [summary, ...problems] = (await call(tab, "contract", kind)) as readonly string[];
        expect(problems).toEqual([]);
        console.log(`IndexedDB in Chromium, ${kind}: ${summary}`);
      });
    }

    test("M-STO-05 M-STO-11 two clients talk, and go on after the page and the browser went", async () => {
      const id = (await call(tab, "begin", "encrypted")) as string;
      await tab.show(server.url);
      expect(await call(tab, "goOn", "encrypted", id)).toBe("webcrypto pendingCommit 4");
      await restart();
      expect(await call(tab, "goOn", "encrypted", id)).toBe("webcrypto pendingCommit 6");
    });

    for (const kind of ["plain", "encrypted"]) {
      test(`P-MP-02 sto-4 two tabs send from one store (${kind}), reuse no generation and lose no message`, async () => {
        await tab.show(server.url);
        const id = (await call(tab, "begin", `raced ${kind}`)) as string;
        await tab.show(server.url);
        const other = await browser.open(server.url);
        await call(tab, "visit", "alice", `raced ${kind}`, id);
        await call(tab, "visit", "bob", `raced ${kind}`, id);
        await call(other, "visit", "alice", `raced ${kind}`, id);
        const both = [tab, other].map((one, i) => {
          return call(one, "sendMany", "alice", `tab ${i}`, SECONDS);
        });
        const [first, second] = (await Promise.all(both)) as readonly (readonly Sent[])[];
        const sent = [...first!, ...second!].sort((a, b) => a.generation - b.generation);
        const generations = new Set(sent.map(({ generation }) => generation));
        console.log(
          `two tabs, ${kind}, ${SECONDS} s, messages ${first!.length} + ${second!.length}: ` +
            `${generations.size} generations`,
        );
        expect(generations.size).toBe(sent.length);
        expect(sent.at(-1)!.generation - sent[0]!.generation + 1, "no gaps").toBe(sent.length);
        expect(await call(tab, "readAll", "bob", sent)).toBe(sent.length);
        // They compete: neither waits until the other has ended.
        expect(Math.min(first!.length, second!.length)).toBeGreaterThan(sent.length / 5);
        await other.close();
      });
    }

    test("P-MP-01 with Web Locks one tab owns a store until it closes it or dies", async () => {
      const other = await browser.open(server.url);
      expect(await call(tab, "own", 0)).toBe("open");
      expect(await call(other, "own", 0)).toBe("STORE_LOCKED");
      expect(await call(other, "own", 100)).toBe("STORE_LOCKED");
      const waiting = call(other, "own", 60_000);
      await call(tab, "give");
      expect(await waiting).toBe("open");
      const again = call(tab, "own", 60_000);
      await other.close();
      expect(await again).toBe("open");
    });

    test("M-STO-09 a browser that is killed while it writes has the whole batch or nothing of it", async () => {
      let version = 0;
      for (let round = 0; round < 4; round++) {
        void call(tab, "writePairs").catch(() => undefined);
        while (((await call(tab, "pairsWritten")) as number) < 2) await pause(20);
        await pause(70 * round);
        await restart();
        const now = (await call(tab, "readPair")) as number;
        expect(now).toBeGreaterThan(version);
        version = now;
      }
    });

    for (const kind of ["encrypted", "plain"]) {
      test(`M-SEC-02 M-STO-05 secrets in the files of the browser (${kind})`, async () => {
        const kept = (await call(tab, "keepSecrets", kind)) as KeptSecrets;
        const { held, gone, left, searches } = kept;
        expect(Math.min(held.length, gone.length)).toBeGreaterThan(5);
        expect(searches).toBeGreaterThan(100);
        expect(left).toEqual([]);
        // A browser that starts on them again tidies up; what it does not then may stay for long.
        await restart();
        await browser.kill();
        const files = allBytes(profile);
        const found = (secrets: readonly string[]): number =>
          secrets.filter((secret) => files.includes(Buffer.from(secret, "hex"))).length;
        console.log(
          `${kind}: 0 of ${searches} searches of the records find a secret that is over; ${found(held)} of ${held.length} secrets in use and ${found(gone)} of ${gone.length} ` +
            `that are over are in the ${files.length} bytes of the profile`,
        );
        browser = new Chromium(program, profile);
        tab = await browser.open(server.url);
        // Without encryption the browser's own log keeps what was deleted until it tidies up, which
        // no page can bring about: only the encrypted store is free of it, as the guide says.
        if (kind === "plain") expect(found(held)).toBeGreaterThan(0);
        else expect([found(held), found(gone)]).toEqual([0, 0]);
      });
    }

    test("M-STO-18 a full disk is STORAGE_FAILED and changes nothing", async () => {
      // Of an origin that has nothing yet: what others deleted counts until the browser tidies up.
      const fresh = await servePage(folder, script);
      const origin = fresh.url.slice(0, -1);
      await tab.call("Storage.overrideQuotaForOrigin", { origin, quotaSize: 6_000_000 });
      await tab.show(fresh.url);
      expect(await call(tab, "fill", 10)).toBe("written a1:10,b1:10");
      expect(await call(tab, "fill", 20_000_000)).toBe("STORAGE_FAILED a1:10,b1:10");
      fresh.close();
    });
  });
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resume) => setTimeout(resume, milliseconds));

function call(tab: Tab, name: keyof Page, ...args: readonly unknown[]): Promise<unknown> {
  return tab.run(`page.${name}(${args.map((value) => JSON.stringify(value)).join()})`);
}
