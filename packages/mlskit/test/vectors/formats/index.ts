/** All formats, and which of them a file is in. */
import type { Format } from "../format.ts";
import { isObject } from "../value.ts";
import { cryptoBasics } from "./crypto-basics.ts";
import { deserialization } from "./deserialization.ts";
import { keySchedule } from "./key-schedule.ts";
import { messageProtection } from "./message-protection.ts";
import { messages } from "./messages.ts";
import { passiveClient } from "./passive-client.ts";
import { pskSecrets } from "./psk-secret.ts";
import { secretTree } from "./secret-tree.ts";
import { transcriptHashes } from "./transcript-hashes.ts";
import { treeMath } from "./tree-math.ts";
import { treeOperations } from "./tree-operations.ts";
import { treeValidation } from "./tree-validation.ts";
import { treekem } from "./treekem.ts";
import { welcome } from "./welcome.ts";

export const FORMATS: readonly Format[] = [
  treeMath,
  deserialization,
  cryptoBasics,
  secretTree,
  messageProtection,
  keySchedule,
  pskSecrets,
  transcriptHashes,
  welcome,
  treeOperations,
  treeValidation,
  treekem,
  messages,
  passiveClient,
];

/** The format with this name; names of files and of their variants are good, too. */
export function formatNamed(name: string): Format | undefined {
  const plain = name.replaceAll("_", "-");
  return FORMATS.find(({ type }) => {
    const wanted = type.replaceAll("_", "-");
    return plain === wanted || plain.startsWith(`${wanted}-`) || plain.startsWith(`${wanted}.`);
  });
}

/** By the file's name; if that says nothing, by the keys of its first case. */
export function guessFormat(name: string, document: unknown): Format | undefined {
  const named = formatNamed(name);
  if (named !== undefined) return named;
  const first: unknown = Array.isArray(document) ? document[0] : undefined;
  if (!isObject(first)) return undefined;
  return FORMATS.find(({ keys }) => {
    return keys.length === Object.keys(first).length && keys.every((key) => key in first);
  });
}
