/** X.509 credentials: an authentication service, credentials, and signing requests. */
export {
  x509AuthenticationService,
  type X509Options,
} from "./authentication-service.ts";
export type { AlternativeNames, Certificate, CertifiedKey } from "./certificate.ts";
export { readCertificate, x509Credential } from "./credential.ts";
export type { CertificatePath } from "./path-validation.ts";
export {
  createSigningRequest,
  type SigningRequestOptions,
  SubjectAttribute,
  type SubjectAttributes,
} from "./signing-request.ts";
