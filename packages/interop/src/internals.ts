/**
 * Parts of mlskit below its public API. The server takes apart messages that belong to no group, and
 * hands out private keys, which the harness asks for and no application should; the driver looks
 * into what servers make. Only this file knows where the parts are: types by the path `#mlskit/*` of
 * tsconfig.json, code from the built library next door.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const manifest: string = createRequire(import.meta.url).resolve("mlskit/package.json");

function load<T>(path: string): Promise<T> {
  return import(pathToFileURL(join(dirname(manifest), "dist", path)).href) as Promise<T>;
}

export type { MlsMessage, PublicMessage } from "#mlskit/framing/mls-message.js";
export type { KeyPackage } from "#mlskit/key-packages/key-package.js";
export type { GroupInfo } from "#mlskit/messages/group-info.js";
export type { LeafNode } from "#mlskit/tree/nodes.js";

export const codec: typeof import("#mlskit/codec/index.js") = await load("codec/index.js");
export const messages: typeof import("#mlskit/framing/mls-message.js") =
  await load("framing/mls-message.js");
export const publicMessages: typeof import("#mlskit/framing/public-message.js") = await load(
  "framing/public-message.js",
);
export const trees: typeof import("#mlskit/tree/ratchet-tree.js") =
  await load("tree/ratchet-tree.js");
export const records: typeof import("#mlskit/client/records/record-codecs.js") = await load(
  "client/records/record-codecs.js",
);
export const secrets: typeof import("#mlskit/crypto/secret.js") = await load("crypto/secret.js");
export const labels: typeof import("#mlskit/crypto/labels.js") = await load("crypto/labels.js");
export const references: typeof import("#mlskit/key-packages/key-package.js") = await load(
  "key-packages/key-package.js",
);
export const keySchedule: typeof import("#mlskit/key-schedule/key-schedule.js") = await load(
  "key-schedule/key-schedule.js",
);
export const preSharedKeys: typeof import("#mlskit/key-schedule/pre-shared-key.js") = await load(
  "key-schedule/pre-shared-key.js",
);
export const welcomes: typeof import("#mlskit/messages/welcome.js") =
  await load("messages/welcome.js");
export const groupInfos: typeof import("#mlskit/messages/group-info.js") =
  await load("messages/group-info.js");
export const recordKeys: typeof import("#mlskit/client/records/record-keys.js") = await load(
  "client/records/record-keys.js",
);
