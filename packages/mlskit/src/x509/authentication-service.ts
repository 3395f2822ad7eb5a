/** An authentication service for X.509 credentials. RFC 9420 §5.3, §5.3.1. */
import { bytesKey, equalBytes } from "../codec/index.ts";
import type {
  AuthenticationService,
  CredentialContext,
  Identity,
  Verdict,
} from "../credentials/authentication-service.ts";
import type { CryptoProvider, MaybePromise } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { Distrust } from "./distrust.ts";
import {
  type CertificatePath,
  type KnownSignatures,
  type PathRules,
  validatePath,
} from "./path-validation.ts";

export interface X509Options {
  /** Verifies signatures. */
  readonly provider: CryptoProvider;
  /** Trusted certificates, DER. */
  readonly roots: readonly Uint8Array[];
  /**
   * The name under which a certificate speaks: what may replace what is decided by it. Undefined
   * refuses the certificate. Default: the subject, which then must not be empty.
   */
  readonly name?: ((certificate: Certificate) => Uint8Array | undefined) | undefined;
  /**
   * Bytes that tell one client of a name from its others. Default: the signature key, so that
   * several devices may have certificates for one name.
   */
  readonly clientId?: ((certificate: Certificate) => Uint8Array) | undefined;
  /** Asked for every path that is otherwise good. Default: nothing is ever revoked. */
  readonly checkRevocation?:
    | ((path: CertificatePath, context: CredentialContext) => MaybePromise<Verdict>)
    | undefined;
  /** Object identifier of the extended key usage that restricted certificates must have. */
  readonly purpose?: string | undefined;
  /** Certificates that a chain may have. Default: 8. */
  readonly maximumLength?: number | undefined;
  /** Judges credentials of other types, for mixed groups. Default: they are refused. */
  readonly otherwise?: AuthenticationService | undefined;
}

/**
 * Accepts chains that lead to one of the roots and are valid at `context.now`, the injected clock. A
 * certificate may replace another one with the same name.
 *
 * @throws UsageError `INVALID_CERTIFICATE` if a root is malformed
 */
export function x509AuthenticationService(options: X509Options): AuthenticationService {
  const { provider, purpose, otherwise, clientId } = options;
  const maximumLength = options.maximumLength ?? 8;
  const rules: PathRules = { provider, roots: parseRoots(options.roots), purpose, maximumLength };
  const name = options.name ?? subjectOf;
  const service: AuthenticationService = {
    expiresAt: (identity) => {
      if (identity.credential.type !== "x509") return otherwise?.expiresAt?.(identity);
      return earliestEnd(identity.credential.certificates);
    },
    validate: async (identities, context) => {
      const known: KnownSignatures = new Set();
      const others = await verdictsOfOthers(identities, context, otherwise);
      const verdicts: Verdict[] = [];
      for (const identity of identities) {
        verdicts.push(others.get(identity) ?? (await judge(identity, context, known)));
      }
      return verdicts;
    },
    isSuccessor: (current, next, context) => {
      if (current.credential.type !== "x509" && next.credential.type !== "x509") {
        return otherwise?.isSuccessor(current, next, context) ?? NOT_X509;
      }
      return asVerdict(() => {
        const [before, after] = [nameOf(current), nameOf(next)];
        if (!equalBytes(before, after)) throw new Distrust("the certificates have other names");
      });
    },
  };
  const judge = (
    { credential, signatureKey }: Identity,
    context: CredentialContext,
    known: KnownSignatures,
  ): Promise<Verdict> =>
    asVerdictAsync(async () => {
      if (credential.type !== "x509") throw new Distrust(NOT_X509.reason);
      const { certificates } = credential;
      const path = await validatePath(certificates, signatureKey, context.now, rules, known);
      if (name(path[0]) === undefined) throw new Distrust("the certificate has no suitable name");
      const verdict = (await options.checkRevocation?.(path, context)) ?? true;
      if (verdict !== true) throw new Distrust(verdict.reason);
    });
  const nameOf = (identity: Identity): Uint8Array => {
    const found = name(endEntityOf(identity));
    if (found === undefined) throw new Distrust("the certificate has no suitable name");
    return found;
  };
  if (clientId === undefined && otherwise?.clientId === undefined) return service;
  return {
    ...service,
    clientId: (identity) => {
      if (identity.credential.type !== "x509") {
        return otherwise?.clientId?.(identity) ?? identity.signatureKey;
      }
      return clientId?.(endEntityOf(identity)) ?? identity.signatureKey;
    },
  };
}

const NOT_X509 = { reason: "the credential is no X.509 certificate chain" } as const;

function parseRoots(roots: readonly Uint8Array[]): readonly Certificate[] {
  const parsed = new Map<string, Certificate>();
  for (const root of roots) {
    try {
      parsed.set(bytesKey(root), parseCertificate(root));
    } catch (cause) {
      throw new UsageError("INVALID_CERTIFICATE", "a root is no certificate that can be used", {
        cause,
      });
    }
  }
  return [...parsed.values()];
}

function subjectOf({ subject, attributes }: Certificate): Uint8Array | undefined {
  return attributes.length === 0 ? undefined : subject;
}

/** A chain is good as long as all its certificates are. Undefined if one cannot be read. */
function earliestEnd(certificates: readonly Uint8Array[]): bigint | undefined {
  try {
    const ends = certificates.map((certificate) => parseCertificate(certificate).notAfter);
    return ends.reduce((earliest, end) => (end < earliest ? end : earliest));
  } catch (error) {
    if (error instanceof Distrust) return undefined;
    throw error;
  }
}

function endEntityOf({ credential }: Identity): Certificate {
  const [encoded] = credential.type === "x509" ? credential.certificates : [];
  if (encoded === undefined) throw new Distrust(NOT_X509.reason);
  return parseCertificate(encoded);
}

/** One question for all credentials of other types, if somebody answers for them. */
async function verdictsOfOthers(
  identities: readonly Identity[],
  context: CredentialContext,
  otherwise: AuthenticationService | undefined,
): Promise<ReadonlyMap<Identity, Verdict>> {
  const others = identities.filter(({ credential }) => credential.type !== "x509");
  const found = new Map<Identity, Verdict>();
  if (otherwise === undefined || others.length === 0) return found;
  const verdicts = await otherwise.validate(others, context);
  for (const [i, identity] of others.entries()) {
    found.set(identity, verdicts[i] ?? { reason: "the credential was not judged" });
  }
  return found;
}

function asVerdict(run: () => void): Verdict {
  try {
    run();
    return true;
  } catch (error) {
    return verdictOf(error);
  }
}

async function asVerdictAsync(run: () => Promise<void>): Promise<Verdict> {
  try {
    await run();
    return true;
  } catch (error) {
    return verdictOf(error);
  }
}

function verdictOf(error: unknown): Verdict {
  if (error instanceof Distrust) return { reason: error.reason };
  throw error;
}
