/** First come, first served. */

export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();
  /** Who holds it or waits for it. */
  #users = 0;
  readonly #leave: () => void;

  /** `onIdle`: called whenever nobody holds it or waits for it any more. */
  constructor(onIdle?: () => void) {
    this.#leave = () => {
      this.#users--;
      if (this.#users === 0) onIdle?.();
    };
  }

  /** Runs when all earlier callers are done, whatever became of them. */
  run<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    const result = this.#tail.then(work);
    this.#tail = result.then(this.#leave, this.#leave);
    return result;
  }

  /** Resolves when it is our turn, with the function that ends it. */
  acquire(): Promise<() => void> {
    return new Promise((resolve) => {
      void this.run(() => new Promise<void>((release) => resolve(release)));
    });
  }
}
