/** Arbitrary values of every type that travels. RFC 9420 in its own order. */
import fc from "fast-check";
import { type Codec, encode, opaque, withEncoding } from "../../src/codec/index.ts";
import { Credential } from "../../src/credentials/credential.ts";
import { AppDataDictionary, ComponentData } from "../../src/drafts/app-data-dictionary.ts";
import { AppDataUpdate } from "../../src/drafts/app-data-update.ts";
import {
  type Extension,
  Extensions,
  ExternalSenders,
  RequiredCapabilities,
} from "../../src/extensions/extension.ts";
import { AuthenticatedContent } from "../../src/framing/authenticated-content.ts";
import {
  Content,
  FramedContent,
  type FramedContentAuthData,
  FramedContentFields,
  Sender,
} from "../../src/framing/framed-content.ts";
import { MlsMessage, PrivateMessage, PublicMessage } from "../../src/framing/mls-message.ts";
import { KeyPackage, KeyPackageFields } from "../../src/key-packages/key-package.ts";
import { GroupContext } from "../../src/key-schedule/group-context.ts";
import { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import { Commit, ProposalOrRef } from "../../src/messages/commit.ts";
import { GroupInfo } from "../../src/messages/group-info.ts";
import { Proposal } from "../../src/messages/proposal.ts";
import { EncryptedGroupSecrets, GroupSecrets, Welcome } from "../../src/messages/welcome.ts";
import {
  Capabilities,
  HpkeCiphertext,
  LeafNode,
  LeafNodeFields,
  LeafNodeOrigin,
  Lifetime,
  ParentNode,
  RatchetTreeNodes,
  TreeNode,
  UpdatePath,
  UpdatePathNode,
} from "../../src/tree/nodes.ts";

/** Types outside the RFC that readers of these values are told about. */
export const CUSTOM_PROPOSAL = 0xf0f0;
export const CUSTOM_CREDENTIAL = 0xf0f1;

/** Many lengths around the boundary at which the header grows. */
const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 62, maxLength: 66 }) },
);
const uint16 = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 1, 0x0a0a, 0xeaea, 0xffff));
const uint32 = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0xffff_ffff));
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
);
const list = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 3 });
const absent = fc.constant(undefined);
const version = fc.constant(1);

const extensions: fc.Arbitrary<readonly Extension[]> = fc.uniqueArray(
  fc.record({ type: uint16, data: bytes }),
  { maxLength: 3, selector: ({ type }) => type },
);

const credential: fc.Arbitrary<Credential> = fc.oneof(
  fc.record({ type: fc.constant("basic" as const), identity: bytes }),
  fc.record({ type: fc.constant("x509" as const), certificates: list(bytes) }),
  fc.record({
    type: fc.constant("custom" as const),
    credentialType: fc.constant(CUSTOM_CREDENTIAL),
    body: bytes.map((body) => encode(opaque, body)),
  }),
);

const capabilities: fc.Arbitrary<Capabilities> = fc.record({
  versions: list(uint16),
  cipherSuites: list(uint16),
  extensions: list(uint16),
  proposals: list(uint16),
  credentials: list(uint16),
});

const lifetime: fc.Arbitrary<Lifetime> = fc.record({ notBefore: uint64, notAfter: uint64 });

const origin: fc.Arbitrary<LeafNodeOrigin> = fc.oneof(
  fc.record({ source: fc.constant("keyPackage" as const), lifetime }),
  fc.record({ source: fc.constant("update" as const) }),
  fc.record({ source: fc.constant("commit" as const), parentHash: bytes }),
);

const leafNode: fc.Arbitrary<LeafNode> = fc
  .record({
    encryptionKey: bytes,
    signatureKey: bytes,
    credential,
    capabilities,
    origin,
    extensions,
    signature: bytes,
  })
  .map((fields) => withEncoding(LeafNodeFields, fields));

const parentNode: fc.Arbitrary<ParentNode> = fc.record({
  encryptionKey: bytes,
  parentHash: bytes,
  unmergedLeaves: list(uint32),
});

const treeNode: fc.Arbitrary<TreeNode> = fc.oneof(
  fc.record({ type: fc.constant("leaf" as const), leaf: leafNode }),
  fc.record({ type: fc.constant("parent" as const), parent: parentNode }),
);

const hpkeCiphertext: fc.Arbitrary<HpkeCiphertext> = fc.record({
  kemOutput: bytes,
  ciphertext: bytes,
});

const pathNode: fc.Arbitrary<UpdatePathNode> = fc.record({
  encryptionKey: bytes,
  encryptedPathSecret: list(hpkeCiphertext),
});

const updatePath: fc.Arbitrary<UpdatePath> = fc.record({ leafNode, nodes: list(pathNode) });

const keyPackage: fc.Arbitrary<KeyPackage> = fc
  .record({
    version,
    cipherSuite: uint16,
    initKey: bytes,
    leafNode,
    extensions,
    signature: bytes,
  })
  .map((fields) => withEncoding(KeyPackageFields, fields));

const groupContext: fc.Arbitrary<GroupContext> = fc.record({
  version,
  cipherSuite: uint16,
  groupId: bytes,
  epoch: uint64,
  treeHash: bytes,
  confirmedTranscriptHash: bytes,
  extensions,
});

const pskId: fc.Arbitrary<PreSharedKeyId> = fc.oneof(
  fc.record({ type: fc.constant("external" as const), pskId: bytes, nonce: bytes }),
  fc.record({
    type: fc.constant("resumption" as const),
    usage: fc.constantFrom("application" as const, "reinit" as const, "branch" as const),
    groupId: bytes,
    epoch: uint64,
    nonce: bytes,
  }),
);

const proposal: fc.Arbitrary<Proposal> = fc.oneof(
  fc.record({ type: fc.constant("add" as const), keyPackage }),
  fc.record({ type: fc.constant("update" as const), leafNode }),
  fc.record({ type: fc.constant("remove" as const), removed: uint32 }),
  fc.record({ type: fc.constant("psk" as const), psk: pskId }),
  fc.record({
    type: fc.constant("reInit" as const),
    groupId: bytes,
    version: uint16,
    cipherSuite: uint16,
    extensions,
  }),
  fc.record({ type: fc.constant("externalInit" as const), kemOutput: bytes }),
  fc.record({ type: fc.constant("groupContextExtensions" as const), extensions }),
  fc.record({
    type: fc.constant("custom" as const),
    proposalType: fc.constant(CUSTOM_PROPOSAL),
    body: bytes.map((body) => encode(opaque, body)),
  }),
);

const proposalOrRef: fc.Arbitrary<ProposalOrRef> = fc.oneof(
  fc.record({ type: fc.constant("proposal" as const), proposal }),
  fc.record({ type: fc.constant("reference" as const), reference: bytes }),
);

const commit: fc.Arbitrary<Commit> = fc.record({
  proposals: list(proposalOrRef),
  path: fc.oneof(absent, updatePath),
});

const sender: fc.Arbitrary<Sender> = fc.oneof(
  fc.record({ type: fc.constant("member" as const), leafIndex: uint32 }),
  fc.record({ type: fc.constant("external" as const), senderIndex: uint32 }),
  fc.record({ type: fc.constant("newMemberProposal" as const) }),
  fc.record({ type: fc.constant("newMemberCommit" as const) }),
);

const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ contentType: fc.constant("application" as const), applicationData: bytes }),
  fc.record({ contentType: fc.constant("proposal" as const), proposal }),
  fc.record({ contentType: fc.constant("commit" as const), commit }),
);

const framedContent: fc.Arbitrary<FramedContent> = fc
  .record({ groupId: bytes, epoch: uint64, sender, authenticatedData: bytes, content })
  .map((fields) => withEncoding(FramedContentFields, fields));

const authFor = ({ content: { contentType } }: FramedContent) => {
  const confirmationTag = contentType === "commit" ? bytes : absent;
  return fc.record({ signature: bytes, confirmationTag }) as fc.Arbitrary<FramedContentAuthData>;
};

const authenticatedContent: fc.Arbitrary<AuthenticatedContent> = framedContent.chain((framed) =>
  fc.record({
    wireFormat: fc.constantFrom("publicMessage" as const, "privateMessage" as const),
    content: fc.constant(framed),
    auth: authFor(framed),
  }),
);

const publicMessage: fc.Arbitrary<PublicMessage> = framedContent.chain((framed) =>
  fc.record({
    content: fc.constant(framed),
    auth: authFor(framed),
    membershipTag: framed.sender.type === "member" ? bytes : absent,
  }),
);

const privateMessage: fc.Arbitrary<PrivateMessage> = fc.record({
  groupId: bytes,
  epoch: uint64,
  contentType: fc.constantFrom("application" as const, "proposal" as const, "commit" as const),
  authenticatedData: bytes,
  encryptedSenderData: bytes,
  ciphertext: bytes,
});

const groupSecrets: fc.Arbitrary<GroupSecrets> = fc.record({
  joinerSecret: bytes,
  pathSecret: fc.oneof(absent, bytes),
  psks: list(pskId),
});

const encryptedSecrets: fc.Arbitrary<EncryptedGroupSecrets> = fc.record({
  newMember: bytes,
  encryptedGroupSecrets: hpkeCiphertext,
});

const welcome: fc.Arbitrary<Welcome> = fc.record({
  cipherSuite: uint16,
  secrets: list(encryptedSecrets),
  encryptedGroupInfo: bytes,
});

/** GroupInfo keeps its encoding, whose fields are written one after the other. */
const groupInfo: fc.Arbitrary<GroupInfo> = fc
  .record({ groupContext, extensions, confirmationTag: bytes, signer: uint32, signature: bytes })
  .map((fields) =>
    withEncoding(
      {
        write(writer, value) {
          GroupContext.write(writer, value.groupContext);
          Extensions.write(writer, value.extensions);
          writer.opaque(value.confirmationTag);
          writer.uint32(value.signer);
          writer.opaque(value.signature);
        },
        read: () => fields,
      },
      fields,
    ),
  );

const mlsMessage: fc.Arbitrary<MlsMessage> = fc.oneof(
  fc.record({ wireFormat: fc.constant("publicMessage" as const), message: publicMessage }),
  fc.record({ wireFormat: fc.constant("privateMessage" as const), message: privateMessage }),
  fc.record({ wireFormat: fc.constant("welcome" as const), message: welcome }),
  fc.record({ wireFormat: fc.constant("groupInfo" as const), message: groupInfo }),
  fc.record({ wireFormat: fc.constant("keyPackage" as const), message: keyPackage }),
);

const componentData: fc.Arbitrary<ComponentData> = fc.record({ componentId: uint16, data: bytes });

const appDataUpdate: fc.Arbitrary<AppDataUpdate> = fc.record({
  componentId: uint16,
  operation: fc.oneof(
    fc.record({ op: fc.constant("update" as const), update: bytes }),
    fc.record({ op: fc.constant("remove" as const) }),
  ),
});

export interface WireType<T = unknown> {
  readonly name: string;
  readonly codec: Codec<T>;
  readonly values: fc.Arbitrary<T>;
}

const wireType = <T>(name: string, codec: Codec<T>, values: fc.Arbitrary<T>): WireType =>
  ({ name, codec, values }) as unknown as WireType;

export const WIRE_TYPES: readonly WireType[] = [
  wireType("Credential", Credential, credential),
  wireType("Extensions", Extensions, extensions),
  wireType(
    "RequiredCapabilities",
    RequiredCapabilities,
    fc.record({
      extensionTypes: list(uint16),
      proposalTypes: list(uint16),
      credentialTypes: list(uint16),
    }),
  ),
  wireType(
    "ExternalSenders",
    ExternalSenders,
    list(fc.record({ signatureKey: bytes, credential })),
  ),
  wireType("Capabilities", Capabilities, capabilities),
  wireType("Lifetime", Lifetime, lifetime),
  wireType("LeafNodeSource", LeafNodeOrigin, origin),
  wireType("LeafNode", LeafNode, leafNode),
  wireType("ParentNode", ParentNode, parentNode),
  wireType("TreeNode", TreeNode, treeNode),
  wireType("RatchetTree", RatchetTreeNodes, list(fc.oneof(absent, treeNode))),
  wireType("HPKECiphertext", HpkeCiphertext, hpkeCiphertext),
  wireType("UpdatePathNode", UpdatePathNode, pathNode),
  wireType("UpdatePath", UpdatePath, updatePath),
  wireType("KeyPackage", KeyPackage, keyPackage),
  wireType("GroupContext", GroupContext, groupContext),
  wireType("PreSharedKeyID", PreSharedKeyId, pskId),
  wireType("Proposal", Proposal, proposal),
  wireType("ProposalOrRef", ProposalOrRef, proposalOrRef),
  wireType("Commit", Commit, commit),
  wireType("Sender", Sender, sender),
  wireType("Content", Content, content),
  wireType("FramedContent", FramedContent, framedContent),
  wireType("AuthenticatedContent", AuthenticatedContent, authenticatedContent),
  wireType("PublicMessage", PublicMessage, publicMessage),
  wireType("PrivateMessage", PrivateMessage, privateMessage),
  wireType("GroupSecrets", GroupSecrets, groupSecrets),
  wireType("EncryptedGroupSecrets", EncryptedGroupSecrets, encryptedSecrets),
  wireType("Welcome", Welcome, welcome),
  wireType("GroupInfo", GroupInfo, groupInfo),
  wireType("MLSMessage", MlsMessage, mlsMessage),
  wireType("ComponentData", ComponentData, componentData),
  wireType("AppDataUpdate", AppDataUpdate, appDataUpdate),
  wireType(
    "AppDataDictionary",
    AppDataDictionary,
    fc
      .uniqueArray(componentData, { maxLength: 3, selector: ({ componentId }) => componentId })
      .map((all) => [...all].sort((a, b) => a.componentId - b.componentId)),
  ),
];
