/** Free space of the file store: which stretches between records may be written. */

interface Gap {
  at: number;
  length: number;
}

/** First fit from the front, so that the file stays dense and its tail can be given back. */
export class FreeSpace {
  /** Ascending, not adjacent. */
  readonly #gaps: Gap[];
  #end: number;

  /** `used` stretches lie between `start` and `end`, in any order, without overlap. */
  constructor(
    start: number,
    end: number,
    used: Iterable<{ readonly at: number; readonly length: number }>,
  ) {
    this.#gaps = [];
    this.#end = Math.max(start, end);
    let from = start;
    for (const { at, length } of [...used].sort((a, b) => a.at - b.at)) {
      if (at > from) this.#gaps.push({ at: from, length: at - from });
      from = Math.max(from, at + length);
    }
    this.#end = Math.max(this.#end, from);
    if (this.#end > from) this.#gaps.push({ at: from, length: this.#end - from });
  }

  /** Where the file must at least end for everything allocated so far. */
  get end(): number {
    return this.#end;
  }

  /** How much there is too little of `total` free bytes, in gaps of at least `each`. */
  missing(total: number, each: number): number {
    let missing = total;
    // The largest gap is usually the last.
    for (let i = this.#gaps.length - 1; i >= 0 && missing > 0; i--) {
      const length = this.#gaps[i]?.length ?? 0;
      if (length >= each) missing -= length;
    }
    return Math.max(missing, 0);
  }

  gaps(): readonly Readonly<Gap>[] {
    return this.#gaps;
  }

  /** Position of `length` free bytes; beyond the end of the file if there are none before it. */
  allocate(length: number): number {
    const index = this.#gaps.findIndex((gap) => gap.length >= length);
    const gap = this.#gaps[index];
    if (gap !== undefined) {
      const at = gap.at;
      gap.at += length;
      gap.length -= length;
      if (gap.length === 0) this.#gaps.splice(index, 1);
      return at;
    }
    const last = this.#gaps.at(-1);
    const at = last !== undefined && last.at + last.length === this.#end ? last.at : this.#end;
    if (at < this.#end) this.#gaps.pop();
    this.#end = at + length;
    return at;
  }

  /** Gives a stretch back and joins it with its neighbours. */
  release(at: number, length: number): void {
    let index = this.#gaps.findIndex((gap) => gap.at > at);
    if (index === -1) index = this.#gaps.length;
    const before = this.#gaps[index - 1];
    const after = this.#gaps[index];
    const joinsBefore = before !== undefined && before.at + before.length === at;
    const joinsAfter = after !== undefined && at + length === after.at;
    if (joinsBefore && joinsAfter) {
      before.length += length + after.length;
      this.#gaps.splice(index, 1);
    } else if (joinsBefore) {
      before.length += length;
    } else if (joinsAfter) {
      after.at = at;
      after.length += length;
    } else {
      this.#gaps.splice(index, 0, { at, length });
    }
  }

  /** The file has become longer than what is allocated. */
  extend(end: number): void {
    if (end <= this.#end) return;
    const from = this.#end;
    this.#end = end;
    this.release(from, end - from);
  }

  /** The file ends earlier; only free space was there. */
  truncate(end: number): void {
    this.#end = end;
    const last = this.#gaps.at(-1);
    if (last !== undefined) last.length = end - last.at;
  }
}
