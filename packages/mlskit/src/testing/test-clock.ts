/** A clock that stands still until it is told to move. M-TST-06. */
import type { Clock } from "../client/state/clock.ts";

export interface TestClock extends Clock {
  /** Moves on by so many seconds. */
  advance(seconds: number | bigint): void;
  set(time: bigint): void;
}

/** To be passed as `clock`. Starts in January 2027 unless told otherwise. */
export function testClock(start: bigint = 1_800_000_000n): TestClock {
  let now = start;
  const clock = (): bigint => now;
  return Object.assign(clock, {
    advance: (seconds: number | bigint) => {
      now += BigInt(seconds);
    },
    set: (time: bigint) => {
      now = time;
    },
  });
}
