/** What to answer when a message turned out to be something else. */
import { MlsError, type Outcome } from "mlskit";

/** The library's own error if there is one; nothing is swallowed. */
export function unexpected(expected: string, outcome: Outcome): Error {
  if ("error" in outcome) return outcome.error;
  return new Error(`${expected} was expected, this is: ${outcome.kind}`);
}

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
