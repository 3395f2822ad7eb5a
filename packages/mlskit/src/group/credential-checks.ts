/** Asking the application's authentication service. RFC 9420 §5.3.1. */
import { encode, equalBytes } from "../codec/index.ts";
import type { CredentialEvent, Identity, Verdict } from "../credentials/authentication-service.ts";
import { Credential } from "../credentials/credential.ts";
import { PolicyError } from "../errors.ts";
import type { RuleId } from "../rules.ts";
import type { Environment } from "./environment.ts";
import { ProposalFault } from "./proposal-entry.ts";

/** Whoever enters the group, a leaf or an external sender, and whom it replaces, if anybody. */
export interface CredentialChange {
  readonly current?: Identity | undefined;
  readonly next: Identity;
  /** Of the proposal in its list, if a proposal is to blame. */
  readonly position?: number | undefined;
}

type Service = Pick<Environment, "authenticationService" | "now">;

/**
 * Rule valn0101, in one call for the whole batch, and rule mk-48 for those that replace somebody.
 *
 * @throws PolicyError `CREDENTIAL_REJECTED`
 */
export async function checkCredentials(
  { authenticationService, now }: Service,
  changes: readonly CredentialChange[],
  event: CredentialEvent,
  groupId: Uint8Array | undefined,
): Promise<void> {
  if (changes.length === 0) return;
  const context = { event, groupId, now };
  const identities = changes.map(({ next }) => identityOf(next));
  const verdicts = await authenticationService.validate(identities, context);
  for (const [i, change] of changes.entries()) {
    const verdict = verdicts[i] ?? { reason: "the authentication service gave no answer" };
    const { position } = change;
    if (verdict !== true) throw at(position, refusal(verdict, "valn0101"));
  }
  for (const { current, next, position } of changes) {
    if (current === undefined || isSameIdentity(current, next)) continue;
    const [older, newer] = [identityOf(current), identityOf(next)];
    const verdict = await authenticationService.isSuccessor(older, newer, context);
    if (verdict !== true) throw at(position, refusal(verdict, "mk-48"));
  }
}

/** What the application is told of a leaf. */
export function identityOf({ credential, signatureKey }: Identity): Identity {
  return { credential, signatureKey };
}

/** Whoever keeps credential and key takes nobody's place. */
export function isSameIdentity(current: Identity, next: Identity): boolean {
  return (
    equalBytes(current.signatureKey, next.signatureKey) &&
    isSameCredential(current.credential, next.credential)
  );
}

function isSameCredential(a: Credential, b: Credential): boolean {
  if (a === b) return true;
  if (a.type === "basic" && b.type === "basic") return equalBytes(a.identity, b.identity);
  return equalBytes(encode(Credential, a), encode(Credential, b));
}

function refusal({ reason }: Exclude<Verdict, true>, rule: RuleId): PolicyError {
  return new PolicyError("CREDENTIAL_REJECTED", "the credential was not accepted", {
    rule,
    details: { reason },
  });
}

/** The error, blamed on a proposal if there is one. */
function at(position: number | undefined, error: PolicyError): Error {
  return position === undefined ? error : new ProposalFault(error, [position]);
}
