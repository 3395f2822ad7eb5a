/** Signature checks collected for one batch, each knowing which rule it enforces. RFC 9420 §5.1.2. */
import type { SuiteCrypto, VerifyJob } from "../crypto/crypto-provider.ts";
import { CryptoError, type ErrorDetails } from "../errors.ts";
import type { RuleId } from "../rules.ts";

/** A signature to verify, and what to say if it does not. */
export interface SignatureJob extends VerifyJob {
  readonly rule: RuleId;
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
    if (results[i] === true) continue;
    throw new CryptoError("SIGNATURE_INVALID", `the signature of a ${job.what} is invalid`, {
      rule: job.rule,
      details: job.details,
    });
  }
}
