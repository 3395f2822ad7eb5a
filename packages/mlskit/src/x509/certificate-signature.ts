/** Whether a certificate was signed with a key. RFC 5280 §4.1.1.3. */
import { equalBytes } from "../codec/index.ts";
import { CIPHER_SUITES, type CipherSuite, type CryptoProvider } from "../crypto/index.ts";
import { derToFixed } from "../crypto/ecdsa-der.ts";
import { EC_PUBLIC_KEY, ECDSA_HASHES, RSA_HASHES, RSA_KEY, SCHEMES } from "./algorithms.ts";
import type { Certificate, CertifiedKey } from "./certificate.ts";
import { Distrust } from "./distrust.ts";

type SignatureName = CipherSuite["signature"]["name"];

/** The scheme of MLS that goes with this key. Undefined for RSA and for curves MLS does not use. */
export function schemeOfKey({ algorithm, parameters }: CertifiedKey): SignatureName | undefined {
  for (const [name, scheme] of Object.entries(SCHEMES)) {
    if (scheme.key !== algorithm) continue;
    const { curve } = scheme;
    const isSameCurve =
      curve === undefined
        ? parameters === undefined
        : parameters !== undefined && equalBytes(parameters, curve);
    if (isSameCurve) return name as SignatureName;
  }
  return undefined;
}

/**
 * Schemes of MLS are verified by the provider, so that they work wherever the group does; RSA, and
 * elliptic curves with another hash than MLS pairs with them, by WebCrypto.
 *
 * @throws Distrust if the signature is wrong or of an unknown kind
 */
export async function checkSignature(
  provider: CryptoProvider,
  { signatureAlgorithm, signedPart, signature }: Certificate,
  key: CertifiedKey,
): Promise<void> {
  const scheme = schemeOfKey(key);
  const isOfMls = scheme !== undefined && SCHEMES[scheme].signature === signatureAlgorithm;
  const crypto = isOfMls ? suiteWith(provider, scheme) : undefined;
  const isValid =
    crypto === undefined
      ? await verifyByWebCrypto(signatureAlgorithm, key, signedPart, signature)
      : await crypto.verify(key.bytes, signedPart, signature);
  if (!isValid) throw new Distrust("the signature of a certificate is wrong");
}

function suiteWith(provider: CryptoProvider, scheme: SignatureName) {
  const suite = CIPHER_SUITES.find(({ id, signature }) => {
    return signature.name === scheme && provider.suites.includes(id);
  });
  return suite === undefined ? undefined : provider.suite(suite.id);
}

async function verifyByWebCrypto(
  signatureAlgorithm: string,
  key: CertifiedKey,
  signedPart: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const parameters = webParameters(signatureAlgorithm, key);
  if (parameters === undefined) throw new Distrust("a signature algorithm is not supported");
  const { algorithm, scalarSize } = parameters;
  const value = scalarSize === undefined ? signature : derToFixed(signature, scalarSize);
  if (value === undefined) return false;
  const { subtle } = globalThis.crypto;
  try {
    const imported = await subtle.importKey("spki", copy(key.encoded), algorithm, false, [
      "verify",
    ]);
    return await subtle.verify(algorithm, imported, copy(value), copy(signedPart));
  } catch {
    return false;
  }
}

interface WebParameters {
  readonly algorithm: {
    readonly name: string;
    readonly hash: string;
    readonly namedCurve?: string;
  };
  /** Of elliptic curves, whose signatures are r || s here. */
  readonly scalarSize: number | undefined;
}

function webParameters(signatureAlgorithm: string, key: CertifiedKey): WebParameters | undefined {
  const rsaHash = RSA_HASHES[signatureAlgorithm];
  if (key.algorithm === RSA_KEY && rsaHash !== undefined) {
    return {
      algorithm: { name: "RSASSA-PKCS1-v1_5", hash: rsaHash },
      scalarSize: undefined,
    };
  }
  const hash = ECDSA_HASHES[signatureAlgorithm];
  const scheme = schemeOfKey(key);
  if (key.algorithm !== EC_PUBLIC_KEY || hash === undefined || scheme === undefined) {
    return undefined;
  }
  const curve = CURVES[scheme];
  if (curve === undefined) return undefined;
  const [namedCurve, scalarSize] = curve;
  return { algorithm: { name: "ECDSA", hash, namedCurve }, scalarSize };
}

const CURVES: Readonly<Partial<Record<SignatureName, readonly [name: string, size: number]>>> = {
  "ecdsa-p256": ["P-256", 32],
  "ecdsa-p384": ["P-384", 48],
  "ecdsa-p521": ["P-521", 66],
};

/** WebCrypto does not take views into shared memory, which a Uint8Array might be. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes);
}
