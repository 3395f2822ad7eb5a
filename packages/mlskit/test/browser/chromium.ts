/** A headless Chromium, driven by the DevTools protocol through a pipe. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The program in MLSKIT_CHROMIUM, or one that is installed. */
export function findChromium(): string | undefined {
  const chosen = process.env["MLSKIT_CHROMIUM"];
  const folders = (process.env["PATH"] ?? "").split(":");
  const found = folders.flatMap((folder) => NAMES.map((name) => `${folder}/${name}`));
  const all = chosen === undefined ? [...found, ...PLACES] : [chosen];
  return all.find((file) => fs.existsSync(file) && runs(file));
}

function runs(file: string): boolean {
  try {
    execFileSync(file, ["--version"], { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
];

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Waiting {
  resolve(result: Record<string, unknown>): void;
  reject(error: Error): void;
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  /** `profile` is a directory; one that was used before has its databases still. */
  constructor(program: string, profile: string) {
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"] as const;
    const args = [...FLAGS, `--user-data-dir=${profile}`];
    this.#process = spawn(program, args, { stdio: [...stdio], detached: true });
    this.#process.on("close", () => this.#abandon());
    this.#process.on("error", () => this.#abandon());
    (this.#process.stdio[3] as Writable).on("error", () => this.#abandon());
    let rest = "";
    (this.#process.stdio[4] as Readable).setEncoding("utf8").on("data", (data: string) => {
      const messages = (rest + data).split("\0");
      rest = messages.pop() ?? "";
      for (const message of messages) this.#settle(JSON.parse(message) as Answer);
    });
  }

  /** A new tab that shows this address. */
  async open(url: string): Promise<Tab> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, String(targetId), String(sessionId));
    await tab.show(url);
    return tab;
  }

  call(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const message = JSON.stringify({ id, method, params, sessionId });
      (this.#process.stdio[3] as Writable).write(`${message}\0`);
    });
  }

  /** Without any warning, as when the power fails or a phone needs memory. */
  async kill(): Promise<void> {
    const { pid, exitCode } = this.#process;
    if (pid === undefined || exitCode !== null) return;
    const closed = once(this.#process, "exit");
    // With its renderers and helpers, which are in the same group of processes.
    process.kill(-pid, "SIGKILL");
    await closed;
  }

  #settle({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id ?? -1);
    this.#waiting.delete(id ?? -1);
    if (error === undefined) waiting?.resolve(result ?? {});
    else waiting?.reject(new Error(error.message));
  }

  #abandon(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error("the browser is gone"));
    this.#waiting.clear();
  }
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { description?: string };
  };
}

export class Tab {
  readonly #browser: Chromium;
  readonly #target: string;
  readonly #session: string;

  constructor(browser: Chromium, target: string, session: string) {
    this.#browser = browser;
    this.#target = target;
    this.#session = session;
  }

  /** Leaves the page that is shown, and waits until the new one has loaded its modules. */
  async show(url: string): Promise<void> {
    await this.call("Page.navigate", { url });
    for (let tries = 0; tries < 600; tries++) {
      const state = "location.href + ' ' + document.readyState";
      // The page goes away while it is asked, now and then.
      const shown = await this.run(state).catch(() => undefined);
      if (shown === `${url} complete`) return;
      await new Promise((resume) => setTimeout(resume, 50));
    }
    throw new Error("the page does not load");
  }

  /** The value of an expression, awaited; it must be plain data. */
  async run(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const answer = (await this.call("Runtime.evaluate", options)) as unknown as Evaluated;
    const { exceptionDetails: problem, result } = answer;
    if (problem === undefined) return result.value;
    throw new Error(problem.exception?.description ?? problem.text);
  }

  call(method: string, params: object): Promise<Record<string, unknown>> {
    return this.#browser.call(method, params, this.#session);
  }

  async close(): Promise<void> {
    await this.#browser.call("Target.closeTarget", { targetId: this.#target });
  }
}
