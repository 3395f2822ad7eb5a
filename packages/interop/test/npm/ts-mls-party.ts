/**
 * ts-mls as a member. Without external joins of its own: its external_pub is the key alone, while
 * RFC 9420 §12.4.3.2 has a struct of an HPKEPublicKey, which §5.1.1 says is `opaque<V>`.
 */
import { p256, p384, p521 } from "@noble/curves/nist.js";
import {
  acceptAll,
  type CiphersuiteImpl,
  ciphersuites,
  type CiphersuiteName,
  type ClientState,
  createApplicationMessage,
  createCommit,
  type CreateCommitResult,
  createGroup,
  createProposal,
  type Credential,
  decodeMlsMessage,
  defaultCapabilities,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  type KeyPackage,
  type Lifetime,
  mlsExporter,
  type MLSMessage,
  type MlsMessageContent,
  type PrivateKeyPackage,
  processMessage,
  type Proposal,
} from "ts-mls";
import { fromUtf8, utf8 } from "../../src/bytes.ts";
import { EXPORT, type Made, type Party } from "./party.ts";

interface OwnKeyPackage {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

export async function tsMlsParty(
  name: string,
  cipherSuite: number,
  isPrivate: boolean,
): Promise<Party> {
  const suite = await suiteOf(cipherSuite);
  let own: OwnKeyPackage | undefined;
  let current: ClientState | undefined;
  const state = (): ClientState => {
    if (current === undefined) throw new Error(`${name} is in no group`);
    return current;
  };
  const newKeyPackage = async (): Promise<OwnKeyPackage> => {
    const credential: Credential = { credentialType: "basic", identity: utf8(name) };
    own = await generateKeyPackageWithKey(
      credential,
      defaultCapabilities(),
      lifetime(),
      [],
      await signatureKeys(suite, cipherSuite),
      suite,
    );
    return own;
  };
  const commit = async (extraProposals: Proposal[]): Promise<Made> => {
    const options = { extraProposals, wireAsPublicMessage: !isPrivate, ratchetTreeExtension: true };
    const made = await createCommit({ state: state(), cipherSuite: suite }, options);
    current = made.newState;
    return { messages: [encodeMlsMessage(made.commit)], welcome: welcomeOf(made) };
  };
  return {
    name,
    isOurs: false,
    keyPackage: async () => {
      const { publicPackage: keyPackage } = await newKeyPackage();
      return encode({ wireformat: "mls_key_package", keyPackage });
    },
    create: async (groupId) => {
      const { publicPackage, privatePackage } = await newKeyPackage();
      current = await createGroup(groupId, publicPackage, privatePackage, [], suite);
    },
    join: async (bytes) => {
      if (own === undefined) throw new Error(`${name} has no key package`);
      const { welcome } = expectWire(bytes, "mls_welcome");
      const { publicPackage, privatePackage } = own;
      current = await joinGroup(welcome, publicPackage, privatePackage, emptyPskIndex, suite);
    },
    add: (bytes) => {
      const { keyPackage } = expectWire(bytes, "mls_key_package");
      return commit([{ proposalType: "add", add: { keyPackage } }]);
    },
    refresh: () => commit([]),
    proposeRemove: async (removed) => {
      const proposal: Proposal = {
        proposalType: "remove",
        remove: { removed: leafOf(state(), removed) },
      };
      const { newState, message } = await createProposal(state(), !isPrivate, proposal, suite);
      current = newState;
      return encodeMlsMessage(message);
    },
    commitProposals: () => commit([]),
    write: async (text) => {
      const sent = await createApplicationMessage(state(), utf8(text), suite);
      current = sent.newState;
      return encode({ wireformat: "mls_private_message", privateMessage: sent.privateMessage });
    },
    read: async (bytes) => {
      const message = decode(bytes);
      if (
        message.wireformat !== "mls_private_message" &&
        message.wireformat !== "mls_public_message"
      ) {
        throw new Error(`a ${message.wireformat} is no message of a group`);
      }
      const result = await processMessage(message, state(), emptyPskIndex, acceptAll, suite);
      current = result.newState;
      return result.kind === "applicationMessage" ? fromUtf8(result.message) : undefined;
    },
    exported: () => {
      const { exporterSecret } = state().keySchedule;
      return mlsExporter(exporterSecret, EXPORT.label, EXPORT.context, EXPORT.length, suite);
    },
  };
}

/** @throws Error if the package does not carry the suite */
export async function suiteOf(cipherSuite: number): Promise<CiphersuiteImpl> {
  const names = Object.keys(ciphersuites) as CiphersuiteName[];
  const name = names.find((key) => ciphersuites[key] === cipherSuite);
  if (name === undefined) throw new Error(`ts-mls has no suite ${cipherSuite}`);
  return getCiphersuiteImpl(getCiphersuiteFromName(name));
}

/** Of its own making they are compressed points; RFC 9420 §5.1.1 wants them uncompressed. */
async function signatureKeys({ signature }: CiphersuiteImpl, cipherSuite: number) {
  const { signKey, publicKey } = await signature.keygen();
  const curve = NIST_CURVES.get(cipherSuite);
  if (curve === undefined) return { signKey, publicKey };
  return { signKey, publicKey: curve.getPublicKey(signKey, false) };
}

const NIST_CURVES = new Map([
  [2, p256],
  [5, p521],
  [7, p384],
]);

/** Its default never ends, which mlskit's limits refuse. */
function lifetime(): Lifetime {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return { notBefore: now - 3600n, notAfter: now + 28n * 86_400n };
}

function welcomeOf({ welcome }: CreateCommitResult): Uint8Array | undefined {
  return welcome === undefined ? undefined : encode({ wireformat: "mls_welcome", welcome });
}

function leafOf({ ratchetTree }: ClientState, name: string): number {
  const at = ratchetTree.findIndex((node) => {
    if (node?.nodeType !== "leaf") return false;
    const { credential } = node.leaf;
    return credential.credentialType === "basic" && fromUtf8(credential.identity) === name;
  });
  if (at === -1) throw new Error(`${name} is no member`);
  return at / 2;
}

function encode(content: MlsMessageContent): Uint8Array {
  return encodeMlsMessage({ version: "mls10", ...content });
}

function decode(bytes: Uint8Array): MLSMessage {
  const decoded = decodeMlsMessage(bytes, 0);
  if (decoded === undefined) throw new Error("ts-mls cannot decode this message");
  return decoded[0];
}

function expectWire<Format extends MLSMessage["wireformat"]>(
  bytes: Uint8Array,
  format: Format,
): Extract<MLSMessage, { wireformat: Format }> {
  const message = decode(bytes);
  if (message.wireformat !== format) throw new Error(`this is a ${message.wireformat}`);
  return message as Extract<MLSMessage, { wireformat: Format }>;
}
