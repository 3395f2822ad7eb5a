/** The one place where the system's time is read. */

/** Seconds since 1970. */
export type Clock = () => bigint;

export const systemClock: Clock = () => BigInt(Math.floor(Date.now() / 1000));
