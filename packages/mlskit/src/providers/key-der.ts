/** DER around raw keys, whose lengths are fixed: what stands before them. RFC 8410 §7, RFC 5915 §3, RFC 5480 §2. */

export type OkpCurve = "X25519" | "X448" | "Ed25519" | "Ed448";
/** NIST curves under OpenSSL's names. */
export type EcCurve = "prime256v1" | "secp384r1" | "secp521r1";

/** PKCS #8 OneAsymmetricKey. */
export const X25519_PKCS8 = "302e020100300506032b656e04220420";
export const X448_PKCS8 = "3046020100300506032b656f043a0438";
export const ED25519_PKCS8 = "302e020100300506032b657004220420";
export const ED448_PKCS8 = "3047020100300506032b6571043b0439";

export const OKP_PRIVATE: Readonly<Record<OkpCurve, string>> = {
  X25519: X25519_PKCS8,
  X448: X448_PKCS8,
  Ed25519: ED25519_PKCS8,
  Ed448: ED448_PKCS8,
};

/** SubjectPublicKeyInfo. */
export const EC_PUBLIC: Readonly<Record<EcCurve, string>> = {
  prime256v1: "3059301306072a8648ce3d020106082a8648ce3d030107034200",
  secp384r1: "3076301006072a8648ce3d020106052b81040022036200",
  secp521r1: "30819b301006072a8648ce3d020106052b8104002303818600",
};

/** PKCS #8 with an ECPrivateKey: what stands before its private key, and between that and the public one. */
export const EC_PRIVATE: Readonly<Record<EcCurve, readonly [string, string]>> = {
  prime256v1: [
    "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420",
    "a144034200",
  ],
  secp384r1: [
    "3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430",
    "a164036200",
  ],
  secp521r1: [
    "3081ee020100301006072a8648ce3d020106052b810400230481d63081d30201010442",
    "a1818903818600",
  ],
};
