/** The dictionary of components that several objects carry. draft-ietf-mls-extensions §4. */
import { type Codec, opaque, struct, uint16, vector } from "../codec/index.ts";
import { type Extension, makeExtension, readExtension } from "../extensions/extension.ts";
import { check } from "../rules.ts";

/** The extension's code point, in KeyPackage, LeafNode, GroupContext and GroupInfo. */
export const APP_DATA_DICTIONARY = 0x0006;

/** Components that the draft defines. */
export const ComponentId = {
  appComponents: 0x0001,
  safeAad: 0x0002,
  contentMediaTypes: 0x0003,
  lastResortKeyPackage: 0x0004,
} as const;

export interface ComponentData {
  readonly componentId: number;
  readonly data: Uint8Array;
}

export const ComponentData: Codec<ComponentData> = struct({ componentId: uint16, data: opaque });

/** In ascending order of component ids, each at most once. */
export type AppDataDictionary = readonly ComponentData[];

const entries: Codec<readonly ComponentData[]> = vector(ComponentData);

export const AppDataDictionary: Codec<AppDataDictionary> = {
  write(writer, dictionary) {
    checkOrder(dictionary);
    entries.write(writer, dictionary);
  },
  read(reader) {
    const dictionary = entries.read(reader);
    checkOrder(dictionary);
    return dictionary;
  },
};

function checkOrder(dictionary: AppDataDictionary): void {
  let previous = -1;
  for (const { componentId } of dictionary) {
    check(
      componentId > previous,
      "mk-118",
      "INVALID_PROPOSAL",
      "the components of a dictionary are not in ascending order",
      { componentId },
    );
    previous = componentId;
  }
}

/** The dictionary of a list of extensions, if it has one. @throws DecodeError, ValidationError */
export function readDictionary(extensions: readonly Extension[]): AppDataDictionary | undefined {
  return readExtension(extensions, APP_DATA_DICTIONARY, AppDataDictionary);
}

/** The data of one component, if it is there. */
export function componentData(
  extensions: readonly Extension[],
  componentId: number,
): Uint8Array | undefined {
  const dictionary = readDictionary(extensions);
  return dictionary?.find((entry) => entry.componentId === componentId)?.data;
}

export function dictionaryExtension(dictionary: AppDataDictionary): Extension {
  return makeExtension(APP_DATA_DICTIONARY, AppDataDictionary, dictionary);
}

/** The dictionary with the data of one component replaced, added, or, if undefined, taken out. */
export function withComponent(
  dictionary: AppDataDictionary,
  componentId: number,
  data: Uint8Array | undefined,
): AppDataDictionary {
  const others = dictionary.filter((entry) => entry.componentId !== componentId);
  if (data === undefined) return others;
  return [...others, { componentId, data }].sort((a, b) => a.componentId - b.componentId);
}
