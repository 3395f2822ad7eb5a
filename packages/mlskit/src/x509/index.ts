/** X.509 credentials: an authentication service, credentials, and signing requests. */
export {
  x509AuthenticationService,
  type X509Options,
} from "./authentication-service.ts";
export type { AlternativeNames, Certificate, CertifiedKey, NameAttribute } from "./certificate.ts";
export { readCertificate, x509Credential } from "./credential.ts";
export type { CertificatePath } from "./path-validation.ts";
export {
  type Verification,
  type VerificationContext,
  verifyGroupInfo,
  verifyMembers,
} from "./verification-state.ts";
export {
  createSigningRequest,
  type SigningRequestOptions,
  NameAttributeType,
} from "./signing-request.ts";
