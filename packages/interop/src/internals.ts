/**
 * Parts of mlskit below its public API that the server cannot do without: taking apart messages
 * that belong to no group, and handing out private keys, which the harness asks for and no
 * application should. Only this file knows where they are: types by the path `#mlskit/*` of
 * tsconfig.json, code from the built library next door.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const manifest: string = createRequire(import.meta.url).resolve("mlskit/package.json");

function load<T>(path: string): Promise<T> {
  return import(pathToFileURL(join(dirname(manifest), "dist", path)).href) as Promise<T>;
}

export type { GroupInfo } from "#mlskit/messages/group-info.js";
export type { KeyPackage } from "#mlskit/key-packages/key-package.js";
export type { MlsMessage, PublicMessage } from "#mlskit/framing/mls-message.js";

export const codec: typeof import("#mlskit/codec/index.js") = await load("codec/index.js");
export const messages: typeof import("#mlskit/framing/mls-message.js") =
  await load("framing/mls-message.js");
export const publicMessages: typeof import("#mlskit/framing/public-message.js") = await load(
  "framing/public-message.js",
);
export const trees: typeof import("#mlskit/tree/ratchet-tree.js") =
  await load("tree/ratchet-tree.js");
export const records: typeof import("#mlskit/client/record-codecs.js") =
  await load("client/record-codecs.js");
export const recordKeys: typeof import("#mlskit/client/record-keys.js") =
  await load("client/record-keys.js");
