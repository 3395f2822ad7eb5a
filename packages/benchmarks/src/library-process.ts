/** A library's process: one request at a time, JSON lines on its standard streams. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Answer, Hello, Limited, Measured, Request } from "./protocol.ts";

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly parameters: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export class LibraryProcess<P extends Program = Program> {
  readonly name: string;
  readonly program: P;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  #waiting: ((line: string | undefined) => void) | undefined;
  #hello: Hello | undefined;
  #isAlive = true;

  constructor(program: P) {
    const { name, command, parameters, environment } = program;
    this.program = program;
    this.name = name;
    this.#child = spawn(command, parameters, { env: { ...process.env, ...environment } });
    this.#child.stderr.resume();
    this.#child.on("error", () => this.#die());
    this.#child.on("exit", () => this.#die());
    // Writing to a process that has ended: "exit" says all there is to say.
    this.#child.stdin.on("error", () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on("line", (line) => this.#settle(line));
  }

  get hello(): Hello {
    if (this.#hello === undefined) throw new Error(`${this.name} has not been greeted`);
    return this.#hello;
  }

  /** Whether it has not failed to start, ended, or been killed by anybody. */
  get isAlive(): boolean {
    return this.#isAlive;
  }

  async greet(): Promise<Hello> {
    this.#hello = (await this.ask({ do: "hello" }, 30)) as Hello;
    return this.#hello;
  }

  async measure(request: Request, seconds: number): Promise<Measured> {
    return (await this.ask(request, seconds)) as Measured;
  }

  async limit(group: string, count: number, seconds: number): Promise<Limited> {
    return (await this.ask({ do: "limit", group, count }, seconds)) as Limited;
  }

  /** @throws Error with the process's own words, or if it takes longer than that. */
  async ask(request: Request, seconds: number): Promise<Answer> {
    if (!this.isAlive) throw new Error(`${this.name} has ended`);
    const line = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => {
        this.stop();
        resolve(undefined);
      }, seconds * 1000);
      this.#waiting = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if (line === undefined) throw new Error(this.#why(request, seconds));
    const answer = JSON.parse(line) as Answer;
    if ("error" in answer) throw new Error(answer.error);
    return answer;
  }

  stop(): void {
    this.#lines.close();
    this.#child.kill();
    this.#die();
  }

  #die(): void {
    this.#isAlive = false;
    this.#settle(undefined);
  }

  #why({ do: what }: Request, seconds: number): string {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null) return `ended with ${exitCode} instead of answering "${what}"`;
    if (signalCode !== null) return `killed by ${signalCode} instead of answering "${what}"`;
    return `no answer to "${what}" in ${seconds} s`;
  }

  #settle(line: string | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(line);
  }
}
