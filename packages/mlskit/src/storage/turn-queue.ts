/** Runs jobs that share a key one after the other, and all others at the same time. */

export class TurnQueue {
  /** The last job of every key. */
  readonly #tails: Map<string, Promise<void>> = new Map();

  /** Starts `job` when all earlier jobs with one of these keys have ended, however they ended. */
  run(keys: readonly string[], job: () => Promise<void>): Promise<void> {
    const earlier = new Set<Promise<void>>();
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (tail !== undefined) earlier.add(tail);
    }
    const turn = Promise.allSettled(earlier).then(job);
    for (const key of keys) this.#tails.set(key, turn);
    const leave = (): void => {
      for (const key of keys) if (this.#tails.get(key) === turn) this.#tails.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  /** When all jobs so far have ended. */
  async idle(): Promise<void> {
    await Promise.allSettled(new Set(this.#tails.values()));
  }
}
