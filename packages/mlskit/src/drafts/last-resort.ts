/** Key packages that may be used more than once, in both forms that are around. draft-ietf-mls-extensions. */
import { EMPTY_BYTES } from "../codec/index.ts";
import { type Extension, ExtensionType } from "../extensions/extension.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import { ComponentId, componentData, dictionaryExtension } from "./app-data-dictionary.ts";

/**
 * Whether a key package is marked as a last resort: by the deployed extension 0x000A, or as the
 * component that later revisions of the draft made of it.
 *
 * @throws DecodeError, ValidationError if it has a dictionary that is malformed
 */
export function isMarkedLastResort(keyPackage: Pick<KeyPackage, "extensions">): boolean {
  if (keyPackage.extensions.some(({ type }) => type === ExtensionType.lastResort)) return true;
  return componentData(keyPackage.extensions, ComponentId.lastResortKeyPackage) !== undefined;
}

/** The mark that deployed peers read, for the key package's own extensions. */
export const lastResortExtension: Extension = {
  type: ExtensionType.lastResort,
  data: EMPTY_BYTES,
};

/** The mark as a component, for peers that use dictionaries. */
export function lastResortDictionary(): Extension {
  const mark = { componentId: ComponentId.lastResortKeyPackage, data: EMPTY_BYTES };
  return dictionaryExtension([mark]);
}
