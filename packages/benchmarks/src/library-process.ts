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

  constructor(program: P) {
    const { name, command, parameters, environment } = program;
    this.program = program;
    this.name = name;
    this.#child = spawn(command, parameters, { env: { ...process.env, ...environment } });
    this.#child.stderr.resume();
    this.#child.on("error", () => this.#settle(undefined));
    this.#child.on("exit", () => this.#settle(undefined));
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on("line", (line) => this.#settle(line));
  }

  get hello(): Hello {
    if (this.#hello === undefined) throw new Error(`${this.name} has not been greeted`);
    return this.#hello;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && !this.#child.killed;
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
    const line = await new Promise<string | undefined>((resolve) => {
      if (!this.isAlive) resolve(undefined);
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
    if (line === undefined) throw new Error(`no answer to "${request.do}" in ${seconds} s`);
    const answer = JSON.parse(line) as Answer;
    if ("error" in answer) throw new Error(answer.error);
    return answer;
  }

  stop(): void {
    this.#lines.close();
    this.#child.kill();
  }

  #settle(line: string | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(line);
  }
}
