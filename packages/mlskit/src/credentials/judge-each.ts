/** Judging many credentials where each takes a question to somebody. Catalogue M-ID-14. */
import type { MaybePromise } from "../crypto/index.ts";
import type { Identity, Verdict } from "./authentication-service.ts";

/** Questions that {@link judgeEach} has open at the same time. */
export const DEFAULT_CONCURRENCY = 16;

/**
 * For the `validate` of an authentication service, which is asked about a whole tree at once: the
 * verdicts in order, with no more than `concurrency` of them being asked for at any time. The first
 * question that fails ends it, and no further ones are asked.
 */
export async function judgeEach<T extends Identity>(
  identities: readonly T[],
  judge: (identity: T) => MaybePromise<Verdict>,
  concurrency: number = DEFAULT_CONCURRENCY,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < identities.length; i = next++) {
      try {
        verdicts[i] = await judge(identities[i] as T);
      } catch (error) {
        next = identities.length;
        throw error;
      }
    }
  };
  const workers = Math.min(Math.max(1, Math.trunc(concurrency)), identities.length);
  await Promise.all(Array.from({ length: workers }, work));
  return verdicts;
}
