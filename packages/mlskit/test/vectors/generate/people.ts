/** Clients with all of their private keys, which the files must contain. */
import { utf8 } from "../../../src/codec/index.ts";
import { createSigner } from "../../../src/crypto/index.ts";
import type { KeyPackageBundle } from "../../../src/group/join-by-welcome.ts";
import { createKeyPackage } from "../../../src/key-packages/create-key-package.ts";
import type { Capabilities } from "../../../src/tree/nodes.ts";
import type { Source } from "./random.ts";

/** The clock at which own vectors are valid, as in the manifest. */
export const OWN_CLOCK = "2023-03-15T00:00:00Z";
const NOW = BigInt(Date.parse(OWN_CLOCK)) / 1000n;
const DAY = 86_400n;

export interface Person extends KeyPackageBundle {
  readonly signaturePrivateKey: Uint8Array;
}

/** An extension and a proposal type that nobody knows, as RFC 9420 §13.5 asks for. */
export const GREASE = 0x3a3a;

export function capabilitiesFor(suite: number): Capabilities {
  return {
    versions: [1],
    cipherSuites: [suite, 0x1a1a],
    extensions: [GREASE],
    proposals: [GREASE],
    credentials: [1, GREASE],
  };
}

export async function makePerson({ crypto }: Source, name: string): Promise<Person> {
  const keys = await crypto.generateSignatureKeyPair();
  const signer = createSigner(crypto, keys);
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential: { type: "basic", identity: utf8(name) },
    capabilities: capabilitiesFor(crypto.suite.id),
    lifetime: { notBefore: NOW - DAY, notAfter: NOW + 84n * DAY },
    leafExtensions: [{ type: GREASE, data: utf8(name) }],
  });
  return { keyPackage, ...privateKeys, signer, signaturePrivateKey: keys.privateKey };
}
