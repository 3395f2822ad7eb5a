/** Whether a chain leads from an end entity to a root. RFC 5280 §6.1, RFC 9420 §5.3. */
import { bytesKey, equalBytes } from "../codec/index.ts";
import type { CryptoProvider } from "../crypto/index.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { checkSignature, schemeOfKey } from "./certificate-signature.ts";
import { Distrust } from "./distrust.ts";

/** A chain that was found good, end entity first; the last certificate is the trusted root. */
export type CertificatePath = readonly [endEntity: Certificate, ...issuers: Certificate[]];

export interface PathRules {
  readonly provider: CryptoProvider;
  readonly roots: readonly Certificate[];
  /** Object identifier that an end entity with restricted purposes must have among them. */
  readonly purpose: string | undefined;
  /** Certificates that a chain may have. */
  readonly maximumLength: number;
}

/** Signatures that were found good, so that shared authorities are verified once for a whole tree. */
export type KnownSignatures = Set<string>;

/**
 * The chain must be in order; its root may be left out.
 *
 * @throws Distrust
 */
export async function validatePath(
  chain: readonly Uint8Array[],
  signatureKey: Uint8Array,
  now: bigint,
  rules: PathRules,
  known: KnownSignatures,
): Promise<CertificatePath> {
  if (chain.length > rules.maximumLength) throw new Distrust("the chain is too long");
  const [endEntity, ...rest] = chain.map(parseCertificate);
  if (endEntity === undefined) throw new Distrust("the chain is empty");
  checkEndEntity(endEntity, signatureKey, rules.purpose);
  let failure: Distrust | undefined;
  for (const path of anchored([endEntity, ...rest], rules.roots)) {
    try {
      await checkPath(path, now, rules, known);
      return path;
    } catch (error) {
      if (!(error instanceof Distrust)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new Distrust("the chain does not lead to a trusted root");
}

async function checkPath(
  path: CertificatePath,
  now: bigint,
  { provider }: PathRules,
  known: KnownSignatures,
): Promise<void> {
  for (const certificate of path) checkValidity(certificate, now);
  for (const [at, certificate] of path.entries()) {
    const issuer = path[at + 1];
    if (issuer === undefined) break;
    checkIssuer(issuer, path, at + 1);
    if (!equalBytes(certificate.issuer, issuer.subject)) {
      throw new Distrust("a certificate names another issuer than the next in the chain");
    }
    await checkSignatureOnce(certificate, issuer, provider, known);
  }
}

/**
 * The chain up to its first trusted certificate, with the root put in if it was left out: one path for
 * each root of that name, since an authority that changes its key keeps its name.
 */
function anchored(
  path: CertificatePath,
  roots: readonly Certificate[],
): readonly CertificatePath[] {
  const [endEntity, ...issuers] = path;
  const isRoot = ({ encoded }: Certificate): boolean =>
    roots.some((root) => equalBytes(root.encoded, encoded));
  // A root among the end entities is trusted for its own sake.
  if (isRoot(endEntity)) return [[endEntity]];
  const at = issuers.findIndex(isRoot);
  if (at !== -1) return [[endEntity, ...issuers.slice(0, at + 1)]];
  const last = issuers.at(-1) ?? endEntity;
  return roots
    .filter(({ subject }) => equalBytes(subject, last.issuer))
    .map((root): CertificatePath => [endEntity, ...issuers, root]);
}

/** RFC 9420 §5.3: the key in the leaf is that of the end entity, and it is there for signing. */
function checkEndEntity(
  { publicKey, keyUsage, purposes }: Certificate,
  signatureKey: Uint8Array,
  purpose: string | undefined,
): void {
  if (schemeOfKey(publicKey) === undefined) {
    throw new Distrust("the end entity has a key of a kind that MLS does not use");
  }
  if (!equalBytes(publicKey.bytes, signatureKey)) {
    throw new Distrust("the end entity has another key than the leaf");
  }
  if (keyUsage?.signs === false) throw new Distrust("the end entity's key is not for signing");
  if (purpose === undefined || purposes === undefined) return;
  if (!purposes.includes(purpose) && !purposes.includes(ANY_PURPOSE)) {
    throw new Distrust("the end entity's certificate is for other purposes");
  }
}

const ANY_PURPOSE = "2.5.29.37.0";

function checkValidity({ notBefore, notAfter }: Certificate, now: bigint): void {
  if (now < notBefore) throw new Distrust("a certificate is not valid yet");
  if (now > notAfter) throw new Distrust("a certificate has expired");
}

/** `at` is the issuer's place in the path. RFC 5280 §6.1.4 (k) to (n). */
function checkIssuer(issuer: Certificate, path: CertificatePath, at: number): void {
  const { isAuthority, keyUsage, pathLength } = issuer;
  if (!isAuthority) throw new Distrust("an issuer is not a certification authority");
  if (keyUsage?.certifies === false) throw new Distrust("an issuer's key is not for certificates");
  // Certificates that an authority issued to itself do not count.
  const below = path.slice(1, at).filter(({ subject, issuer: by }) => !equalBytes(subject, by));
  if (pathLength !== undefined && below.length > pathLength) {
    throw new Distrust("there are more authorities in the chain than one of them allows");
  }
}

async function checkSignatureOnce(
  certificate: Certificate,
  issuer: Certificate,
  provider: CryptoProvider,
  known: KnownSignatures,
): Promise<void> {
  const key = `${bytesKey(issuer.publicKey.encoded)} ${bytesKey(certificate.encoded)}`;
  if (known.has(key)) return;
  await checkSignature(provider, certificate, issuer.publicKey);
  known.add(key);
}
