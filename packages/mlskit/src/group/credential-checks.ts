/** Asking the application's authentication service. RFC 9420 §5.3.1. */
import { encode, equalBytes } from "../codec/index.ts";
import type { CredentialEvent, Identity, Verdict } from "../credentials/authentication-service.ts";
import { Credential } from "../credentials/credential.ts";
import { PolicyError } from "../errors.ts";
import type { RuleId } from "../rules.ts";
import type { Environment } from "./environment.ts";
import { ProposalFault } from "./proposal-entry.ts";

/** A credential that enters the group, and the one it replaces, if any. */
export interface CredentialChange {
  readonly current?: Identity;
  readonly next: Identity;
  /** Of the proposal in its list, if a proposal is to blame. */
  readonly position: number | undefined;
}

type Service = Pick<Environment, "authenticationService" | "now">;

/** Rule valn0101. One call for the whole batch. @throws PolicyError `CREDENTIAL_REJECTED` */
export async function checkCredentials(
  { authenticationService, now }: Service,
  changes: readonly CredentialChange[],
  event: CredentialEvent,
  groupId: Uint8Array | undefined,
): Promise<void> {
  if (changes.length === 0) return;
  const identities = changes.map(({ next }) => next);
  const verdicts = await authenticationService.validate(identities, { event, groupId, now });
  for (const [i, change] of changes.entries()) {
    const verdict = verdicts[i] ?? { reason: "the authentication service gave no answer" };
    const { position } = change;
    if (verdict !== true) throw at(position, refusal(verdict, "valn0101"));
  }
}

/** Rule mk-48. @throws PolicyError `CREDENTIAL_REJECTED` */
export async function checkSuccessors(
  { authenticationService, now }: Service,
  changes: readonly CredentialChange[],
  event: CredentialEvent,
  groupId: Uint8Array | undefined,
): Promise<void> {
  for (const change of changes) {
    if (change.current === undefined || isSame(change.current, change.next)) continue;
    const context = { event, groupId, now };
    const verdict = await authenticationService.isSuccessor(change.current, change.next, context);
    if (verdict !== true) throw at(change.position, refusal(verdict, "mk-48"));
  }
}

/** Whoever keeps credential and key takes nobody's place. */
function isSame(current: Identity, next: Identity): boolean {
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
