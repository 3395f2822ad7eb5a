/** Hooks of the application get a limited time. Catalogue M-POL-07. */
import type { AuthenticationService } from "../../credentials/authentication-service.ts";
import { isPromise } from "../../crypto/maybe-promise.ts";
import type { MaybePromise } from "../../crypto/index.ts";
import { MlsError, PolicyError } from "../../errors.ts";
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

/**
 * Asks a hook of the application.
 * @throws PolicyError `POLICY_TIMEOUT`, or `HOOK_FAILED` for what is no MlsError
 */
export async function askHook<T>(
  ask: () => MaybePromise<T>,
  milliseconds: number | undefined,
): Promise<T> {
  try {
    return await withTimeLimit(ask(), milliseconds);
  } catch (cause) {
    if (cause instanceof MlsError) throw cause;
    throw new PolicyError("HOOK_FAILED", "a hook of the application failed", { cause });
  }
}

export function limitService(
  service: AuthenticationService,
  milliseconds: number | undefined,
): AuthenticationService {
  const { clientId, expiresAt } = service;
  return {
    validate: (identities, context) =>
      askHook(() => service.validate(identities, context), milliseconds),
    isSuccessor: (current, next, context) =>
      askHook(() => service.isSuccessor(current, next, context), milliseconds),
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
            askHook(() => reviewProposal.call(policy, candidate), milliseconds),
        }),
    ...(reviewCommit === undefined
      ? {}
      : {
          reviewCommit: (candidate) =>
            askHook(() => reviewCommit.call(policy, candidate), milliseconds),
        }),
    ...(commitDefaults === undefined
      ? {}
      : {
          commitDefaults: (group) =>
            askHook(() => commitDefaults.call(policy, group), milliseconds),
        }),
  };
}
