/** First come, first served. */

export class Mutex {
  #tail: Promise<void> = Promise.resolve();

  /** Runs when all earlier callers are done, whatever became of them. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.acquire();
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Resolves when it is our turn, with the function that ends it. */
  async acquire(): Promise<() => void> {
    const before = this.#tail;
    let release = (): void => undefined;
    this.#tail = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }
}
