/** An environment for tests: fixed clock, every credential accepted unless a test says otherwise. */
import type { AuthenticationService } from "../../src/credentials/authentication-service.ts";
import { DEFAULT_LIMITS, type Environment } from "../../src/group/environment.ts";

export const NOW = 1_800_000_000n;

export const acceptAnyCredential: AuthenticationService = {
  validate: (identities) => identities.map(() => true as const),
  isSuccessor: () => true,
};

export function testEnvironment(changes: Partial<Environment> = {}): Environment {
  return {
    now: NOW,
    authenticationService: acceptAnyCredential,
    policy: {},
    psks: () => undefined,
    types: { proposals: new Map(), credentials: new Map(), extensions: new Set() },
    limits: DEFAULT_LIMITS,
    ...changes,
  };
}
