/** Credentials: who stands behind a signature key. RFC 9420 §5.3. */
import {
  type Codec,
  opaque,
  Reader,
  struct,
  uint16,
  union,
  vector,
  type Writer,
} from "../codec/index.ts";
import { UnsupportedError } from "../errors.ts";

export const CredentialType = { basic: 1, x509: 2 } as const;

/** `opaque identity<V>`: meaningful to the application only. */
export interface BasicCredential {
  readonly type: "basic";
  readonly identity: Uint8Array;
}

/** A DER certificate chain, end entity first. */
export interface X509Credential {
  readonly type: "x509";
  readonly certificates: readonly Uint8Array[];
}

/** A registered credential type of the application. */
export interface CustomCredential {
  readonly type: "custom";
  readonly credentialType: number;
  /** Everything after the type, as on the wire: one encoded `opaque<V>` unless registered otherwise. */
  readonly body: Uint8Array;
}

export type Credential = BasicCredential | X509Credential | CustomCredential;

const certificates: Codec<readonly Uint8Array[]> = vector(
  opaque as Codec<Uint8Array>,
  ({ maximumCertificates }) => maximumCertificates,
);

export const Credential: Codec<Credential> = union<"type", Credential>(
  "type",
  uint16,
  {
    basic: [CredentialType.basic, struct({ identity: opaque })],
    x509: [CredentialType.x509, struct({ certificates })],
  },
  {
    code: (credential) => credential.credentialType,
    write: (writer: Writer, credential) => writer.bytes(credential.body),
    read(reader: Reader, credentialType) {
      const skip = reader.types.credentials.get(credentialType);
      if (skip === undefined) {
        throw new UnsupportedError(
          "UNSUPPORTED_TYPE",
          `credential type ${credentialType} is not registered`,
          {
            rule: "mk-11",
            details: { credentialType },
          },
        );
      }
      const start = reader.offset;
      skip(reader);
      return { type: "custom", credentialType, body: reader.since(start) };
    },
  },
);

/** Code point of a credential's type. RFC 9420 §17.5. */
export function credentialTypeOf(credential: Credential): number {
  return credential.type === "custom" ? credential.credentialType : CredentialType[credential.type];
}
