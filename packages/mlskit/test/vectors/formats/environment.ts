/** What the group functions are told when they run on vectors: everything is enforced. */
import {
  DEFAULT_LIMITS,
  type Environment,
  type PskSource,
} from "../../../src/group/environment.ts";

/** GroupContext extensions of any type are followed: their meaning is the application's business. */
class EveryType extends Set<number> {
  override has(): boolean {
    return true;
  }
}

/**
 * Expired leaves are refused, so the clock has to be right. How long a lifetime may be is a matter of
 * policy: some files have leaves that never expire.
 */
export function environmentFor(now: bigint, psks: PskSource = () => undefined): Environment {
  return {
    now,
    authenticationService: {
      validate: (identities) => identities.map(() => true as const),
      isSuccessor: () => true,
    },
    policy: { reviewProposal: () => true },
    psks,
    types: { proposals: new Map(), credentials: new Map(), extensions: new EveryType() },
    limits: { ...DEFAULT_LIMITS, strictLifetimes: true, maximumLifetime: undefined },
  };
}
