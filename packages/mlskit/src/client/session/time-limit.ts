/** Hooks of the application get a limited time. Catalogue M-POL-07. */
import type { AuthenticationService } from "../../credentials/authentication-service.ts";
import { isPromise } from "../../crypto/maybe-promise.ts";
import type { MaybePromise } from "../../crypto/index.ts";
import { PolicyError } from "../../errors.ts";
import type { GroupPolicy } from "../../group/environment.ts";

/** @throws PolicyError `POLICY_TIMEOUT` */
export async function withTimeLimit<T>(
  answer: MaybePromise<T>,
  milliseconds: number | undefined,
): Promise<T> {
  if (milliseconds === undefined || !isPromise(answer)) return answer;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new PolicyError("POLICY_TIMEOUT", "the application did not answer in time"));
    }, milliseconds);
  });
  try {
    return await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export function limitService(
  service: AuthenticationService,
  milliseconds: number | undefined,
): AuthenticationService {
  const { clientId, expiresAt } = service;
  return {
    validate: (identities, context) =>
      withTimeLimit(service.validate(identities, context), milliseconds),
    isSuccessor: (current, next, context) =>
      withTimeLimit(service.isSuccessor(current, next, context), milliseconds),
    ...(clientId === undefined ? {} : { clientId: clientId.bind(service) }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.bind(service) }),
  };
}

export function limitPolicy(policy: GroupPolicy, milliseconds: number | undefined): GroupPolicy {
  const { reviewProposal, reviewCommit, commitDefaults } = policy;
  return {
    ...(reviewProposal === undefined
      ? {}
      : {
          reviewProposal: (candidate) =>
            withTimeLimit(reviewProposal.call(policy, candidate), milliseconds),
        }),
    ...(reviewCommit === undefined
      ? {}
      : {
          reviewCommit: (candidate) =>
            withTimeLimit(reviewCommit.call(policy, candidate), milliseconds),
        }),
    ...(commitDefaults === undefined
      ? {}
      : {
          commitDefaults: (group) =>
            withTimeLimit(commitDefaults.call(policy, group), milliseconds),
        }),
  };
}
