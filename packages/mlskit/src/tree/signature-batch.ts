/** Signature checks collected for one batch, each knowing which rule it enforces. RFC 9420 §5.1.2. */
import type { SuiteCrypto, VerifyJob } from "../crypto/crypto-provider.ts";
import { CryptoError, type ErrorDetails } from "../errors.ts";

/** A signature to verify, and what to say if it does not. */
export interface SignatureJob extends VerifyJob {
  readonly rule: "valn0102" | "valn0203";
  /** "leaf node", "key package": what was signed. */
  readonly what: string;
  readonly details?: ErrorDetails | undefined;
}

/** Verifies all signatures in one batch. @throws CryptoError `SIGNATURE_INVALID` for the first bad one */
export async function verifySignatures(
  crypto: SuiteCrypto,
  jobs: readonly SignatureJob[],
): Promise<void> {
  if (jobs.length === 0) return;
  const results = await crypto.verifyMany(jobs);
  for (const [i, job] of jobs.entries()) {
    checkResult(job, results[i], job.details);
  }
}

/** What one result of a batch means. @throws CryptoError `SIGNATURE_INVALID` unless it is true */
export function checkResult(
  { rule, what }: SignatureJob,
  isValid: boolean | undefined,
  details: ErrorDetails | undefined,
): void {
  if (isValid === true) return;
  const [code, message] = ["SIGNATURE_INVALID", `the signature of a ${what} is invalid`] as const;
  if (rule === "valn0102") throw new CryptoError(code, message, { rule: "valn0102", details });
  throw new CryptoError(code, message, { rule: "valn0203", details });
}
