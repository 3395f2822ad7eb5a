/**
 * How vitest runs tests when rule checks are taken out: each test whose title names a rule is repeated
 * once per mutant of the rule, with that mutant switched on for just this test, and once more without
 * any. A mutant is killed by a test that fails with it and passes without it. Outcomes are appended
 * to a file as they come, since vitest's own report has one outcome per test.
 *
 * One run over the tests is enough in this way, and what several tests share is built unmutated.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { TestRunner } from "vitest";
import { readTitle } from "./titles.js";

/** `mutants`: rule → names of its mutants; `free`: rules whose legal boundary may kill as well. */
const { mutants, free, results } = JSON.parse(readFileSync(process.env.MUTATION_PLAN, "utf8"));

export default class MutationRunner extends TestRunner {
  #killed = new Set();
  #rounds = [];
  #failed = [];

  async onBeforeRunTask(test) {
    const { rules, positive } = readTitle(titleOf(test));
    const named = rules.filter((id) => !positive || free.includes(id));
    const wanted = named.flatMap((id) => mutants[id] ?? []);
    this.#rounds = wanted.filter((name) => !this.#killed.has(name));
    this.#failed = [];
    if (this.#rounds.length === 0) test.mode = "skip";
    test.repeats = this.#rounds.length;
    await super.onBeforeRunTask(test);
  }

  onBeforeTryTask(test, attempt) {
    test.result.state = "run";
    test.result.errors = undefined;
    globalThis.mutant = this.#rounds[attempt.repeats];
    super.onBeforeTryTask(test, attempt);
  }

  onAfterRetryTask(test, { repeats }) {
    const failed = test.result.state === "fail";
    if (repeats < this.#rounds.length) {
      if (failed) this.#failed.push(this.#rounds[repeats]);
      return;
    }
    globalThis.mutant = undefined;
    if (!failed) for (const name of this.#failed) this.#killed.add(name);
    const outcome = {
      title: titleOf(test),
      sound: !failed,
      ran: this.#rounds,
      kills: this.#failed,
    };
    appendFileSync(results, `${JSON.stringify(outcome)}\n`);
  }
}

function titleOf(test) {
  const names = [];
  for (let task = test; task !== undefined && task !== test.file; task = task.suite) {
    names.unshift(task.name);
  }
  return names.join(" ");
}
