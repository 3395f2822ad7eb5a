/** Tells the story: as text, or as one JSON object per line. */
import type { StoryOptions } from "./options.ts";

export type Facts = Readonly<Record<string, string | number | boolean | readonly string[]>>;

const CLEAR_LINE = "\r\u001b[K";
/** Between two lines of progress when nobody watches a terminal. */
const PAUSE = 5000;
/** And when somebody does. */
const BLINK = 100;
/** Shorter waits need no progress. */
const PATIENCE = 1000;

export class Narrator {
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #start: number = performance.now();
  #chapter = 0;
  #hasProgress = false;

  constructor({ json, quiet }: Pick<StoryOptions, "json" | "quiet">) {
    this.#json = json;
    this.#quiet = quiet;
  }

  get seconds(): number {
    return Math.round((performance.now() - this.#start) / 10) / 100;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    const number = this.#chapter;
    this.#tell("chapter", `\n${number}. ${title}`, { number, title, seconds: this.seconds });
  }

  /** One thing that happened: a sentence for people, an event with facts for programs. */
  say(event: string, sentence: string, facts: Facts = {}): void {
    this.#tell(event, `   ${sentence}`, facts);
  }

  /** The last line, which even `--quiet` shows. */
  conclude(sentence: string, facts: Facts): void {
    this.#clear();
    if (!this.#json) console.log(this.#quiet ? sentence : `\n${sentence}`);
    else console.log(JSON.stringify({ event: "end", ...facts, seconds: this.seconds }));
  }

  /** Returns what is to be called after each of `total` steps. */
  progress(event: string, what: string, total: number): () => void {
    let done = 0;
    const start = performance.now();
    let shown = start;
    const isTerminal = process.stderr.isTTY;
    return () => {
      done += 1;
      const now = performance.now();
      if (this.#quiet || now - start < PATIENCE) return;
      if (now - shown < (isTerminal ? BLINK : PAUSE)) return;
      shown = now;
      if (isTerminal) {
        process.stderr.write(`${CLEAR_LINE}   ${what}: ${done} of ${total}`);
        this.#hasProgress = true;
      } else {
        const facts = { of: event, done, total, seconds: this.seconds };
        this.#tell("progress", `   ${what}: ${done} of ${total}`, facts);
      }
    };
  }

  #tell(event: string, text: string, facts: Facts): void {
    if (this.#quiet) return;
    this.#clear();
    console.log(this.#json ? JSON.stringify({ event, ...facts }) : text);
  }

  #clear(): void {
    if (this.#hasProgress) process.stderr.write(CLEAR_LINE);
    this.#hasProgress = false;
  }
}
