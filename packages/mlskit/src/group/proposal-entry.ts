/** Proposals on their way into a Commit. RFC 9420 §12.2, §12.4. */
import { bytesKey, encode } from "../codec/index.ts";
import type { Secret, Signer, SuiteCrypto } from "../crypto/index.ts";
import { makeProposalRef } from "../crypto/hash-reference.ts";
import { AuthenticatedContent } from "../framing/authenticated-content.ts";
import type { Sender } from "../framing/framed-content.ts";
import type { Proposal } from "../messages/proposal.ts";

/** What we keep of an Update of ours until somebody commits it. */
export interface OwnUpdate {
  readonly leafPrivateKey: Secret;
  /** The signer of the new leaf. */
  readonly signer: Signer;
}

export interface ProposalEntry {
  readonly proposal: Proposal;
  readonly sender: Sender;
  /** ProposalRef if it is committed by reference; undefined by value. */
  readonly reference: Uint8Array | undefined;
  readonly ownUpdate?: OwnUpdate | undefined;
}

/** What may be shown of a proposal: not the keys of an Update of ours. Catalogue M-EXP-09. */
export function withoutKeys<T extends ProposalEntry>(entry: T): Omit<T, "ownUpdate"> {
  const { ownUpdate: _, ...shown } = entry;
  return shown;
}

/** A proposal that was sent on its own in the current epoch. */
export interface CachedProposal extends ProposalEntry {
  readonly reference: Uint8Array;
}

/** Proposals of the current epoch by {@link bytesKey} of their reference, in order of arrival. */
export type ProposalCache = ReadonlyMap<string, CachedProposal>;

export function cacheKey(reference: Uint8Array): string {
  return bytesKey(reference);
}

/** ProposalRef of a proposal message. RFC 9420 §5.2. */
export function proposalRef(crypto: SuiteCrypto, authenticated: AuthenticatedContent): Uint8Array {
  return makeProposalRef(crypto, encode(AuthenticatedContent, authenticated));
}

/**
 * One or more proposals of a list are at fault. The committer drops what it may and tries again; a
 * receiver rejects the Commit with the error inside.
 */
export class ProposalFault extends Error {
  readonly fault: unknown;
  /** Positions in the list, preferred ones first; without {@link surplus} of them the fault is gone. */
  readonly offenders: readonly number[];
  readonly surplus: number;

  constructor(fault: unknown, offenders: readonly number[], surplus = 1) {
    super("a proposal is at fault");
    this.fault = fault;
    this.offenders = offenders;
    this.surplus = surplus;
  }
}

/** Runs a check and names the proposals to blame if it fails. */
export function blaming<T>(offenders: readonly number[], run: () => T): T {
  try {
    return run();
  } catch (fault) {
    throw new ProposalFault(fault, offenders);
  }
}
