/** First come, first served. */

export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs when all earlier callers are done, whatever became of them. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.then(nothing, nothing);
    return result;
  }

  /** Resolves when it is our turn, with the function that ends it. */
  acquire(): Promise<() => void> {
    return new Promise((resolve) => {
      void this.run(() => new Promise<void>((release) => resolve(release)));
    });
  }
}

function nothing(): void {}
