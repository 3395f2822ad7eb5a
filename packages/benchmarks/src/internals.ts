/**
 * mlskit's group functions, which are below its public API. The benchmark times them to tell what the
 * protocol costs from what storage and the client add. Only this file knows where they are: types by
 * the path `#mlskit/*` of tsconfig.json, code from the built library next door.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { dirname, join } from "node:path";

const manifest: string = createRequire(import.meta.url).resolve("mlskit/package.json");

function load<T>(path: string): Promise<T> {
  return import(pathToFileURL(join(dirname(manifest), "dist", path)).href) as Promise<T>;
}

export type { Environment } from "#mlskit/group/environment.js";
export type { CachedProposal } from "#mlskit/group/proposal-entry.js";
export type { Epoch } from "#mlskit/group/epoch.js";
export type { KeyPackageBundle } from "#mlskit/group/join-by-welcome.js";
export type { Proposal } from "#mlskit/messages/proposal.js";
export type {
  CryptoProvider,
  SealJob,
  Signer,
  SuiteCrypto,
  VerifyJob,
} from "#mlskit/crypto/crypto-provider.js";
export type { WireTypes } from "#mlskit/codec/index.js";
export type { StoredRecord } from "#mlskit/storage/storage.js";
export type { Secret } from "#mlskit/crypto/secret.js";

export const codec: typeof import("#mlskit/codec/index.js") = await load("codec/index.js");
export const signers: typeof import("#mlskit/crypto/signer.js") = await load("crypto/signer.js");
export const secrets: typeof import("#mlskit/crypto/secret.js") = await load("crypto/secret.js");
export const messages: typeof import("#mlskit/framing/mls-message.js") =
  await load("framing/mls-message.js");
export const padding: typeof import("#mlskit/framing/padding.js") =
  await load("framing/padding.js");
export const proposals: typeof import("#mlskit/group/proposal-message.js") = await load(
  "group/proposal-message.js",
);
export const epochs: typeof import("#mlskit/group/epoch.js") = await load("group/epoch.js");
export const application: typeof import("#mlskit/group/application-message.js") = await load(
  "group/application-message.js",
);
export const content: typeof import("#mlskit/group/content.js") = await load("group/content.js");
export const commits: typeof import("#mlskit/group/create-commit.js") =
  await load("group/create-commit.js");
export const creation: typeof import("#mlskit/group/create-group.js") =
  await load("group/create-group.js");
export const environments: typeof import("#mlskit/group/environment.js") =
  await load("group/environment.js");
export const groupInfos: typeof import("#mlskit/group/group-info-creation.js") = await load(
  "group/group-info-creation.js",
);
export const externalJoins: typeof import("#mlskit/group/join-by-external-commit.js") = await load(
  "group/join-by-external-commit.js",
);
export const joins: typeof import("#mlskit/group/join-by-welcome.js") = await load(
  "group/join-by-welcome.js",
);
export const pastEpochs: typeof import("#mlskit/group/past-epoch.js") =
  await load("group/past-epoch.js");
export const processing: typeof import("#mlskit/group/process-commit.js") =
  await load("group/process-commit.js");
export const clientConfig: typeof import("#mlskit/client/state/config.js") =
  await load("client/state/config.js");
export const clientJoins: typeof import("#mlskit/client/joining/join.js") =
  await load("client/joining/join.js");
export const recordKeys: typeof import("#mlskit/client/records/record-keys.js") = await load(
  "client/records/record-keys.js",
);
export const readGroups: typeof import("#mlskit/client/records/read-group.js") = await load(
  "client/records/read-group.js",
);
export const writeGroups: typeof import("#mlskit/client/records/write-group.js") = await load(
  "client/records/write-group.js",
);
export const keyPackages: typeof import("#mlskit/key-packages/create-key-package.js") = await load(
  "key-packages/create-key-package.js",
);
export const references: typeof import("#mlskit/key-packages/key-package.js") = await load(
  "key-packages/key-package.js",
);
export const providers: typeof import("#mlskit/providers/node.js") =
  await load("providers/node.js");
export const treeMath: typeof import("#mlskit/tree/tree-math.js") = await load("tree/tree-math.js");
export const trees: typeof import("#mlskit/tree/ratchet-tree.js") =
  await load("tree/ratchet-tree.js");
export const treeHashes: typeof import("#mlskit/tree/tree-hash.js") =
  await load("tree/tree-hash.js");
export const parentHashes: typeof import("#mlskit/tree/parent-hash.js") =
  await load("tree/parent-hash.js");
export const leaves: typeof import("#mlskit/tree/leaf-node.js") = await load("tree/leaf-node.js");
