/** What to answer when a message turned out to be something else. */
import { type Blame, MlsError, type Outcome } from "mlskit";

/** A message that was understood, and that is none of those that the call is for. */
export class UnexpectedOutcome extends Error {}

/** The library's own error if there is one; nothing is swallowed. */
export function unexpected(expected: string, outcome: Outcome): Error {
  if ("error" in outcome) return outcome.error;
  return new UnexpectedOutcome(`${expected} was expected, this is: ${outcome.kind}`);
}

/** Whether a call was refused, rather than that something went wrong in here. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof MlsError) return !OWN_FAULTS.includes(error.blame);
  return error instanceof UnexpectedOutcome;
}

const OWN_FAULTS: readonly Blame[] = ["internal", "provider", "storage"];

/** One line for a status, with the code and the rule where there are any. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof MlsError)) return error.message;
  const rule = error.rule === undefined ? "" : `, rule ${error.rule}`;
  const details = detailsOf(error);
  return `${error.message} [${error.code}${rule}]${details}`;
}

function detailsOf({ details }: MlsError): string {
  const entries = Object.entries(details).filter(([, value]) => typeof value !== "object");
  return entries.length === 0
    ? ""
    : ` ${entries.map(([key, v]) => `${key}=${String(v)}`).join(" ")}`;
}
