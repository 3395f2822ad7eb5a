/** AppDataUpdate: changing the group's dictionary entry by entry. draft-ietf-mls-extensions §4.2. */
import {
  type Codec,
  decodeInPlace,
  encode,
  equalBytes,
  opaque,
  struct,
  uint16,
  uint8,
  union,
} from "../codec/index.ts";
import {
  type Extension,
  ExtensionType,
  findExtension,
  readExtension,
  RequiredCapabilities,
  withExtension,
} from "../extensions/extension.ts";
import type { CustomProposalType } from "../group/environment.ts";
import type { CustomProposal } from "../messages/proposal.ts";
import { check } from "../rules.ts";
import {
  APP_DATA_DICTIONARY,
  type AppDataDictionary,
  dictionaryExtension,
  readDictionary,
  withComponent,
} from "./app-data-dictionary.ts";

/** The draft's code point. */
export const APP_DATA_UPDATE = 0x0008;

export type AppDataOperation =
  | { readonly op: "update"; readonly update: Uint8Array }
  | { readonly op: "remove" };

const AppDataOperation: Codec<AppDataOperation> = union<"op", AppDataOperation>("op", uint8, {
  update: [1, struct({ update: opaque })],
  remove: [2, struct<object>({})],
});

export interface AppDataUpdate {
  readonly componentId: number;
  readonly operation: AppDataOperation;
}

export const AppDataUpdate: Codec<AppDataUpdate> = struct({
  componentId: uint16,
  operation: AppDataOperation,
});

/** What the application knows about one component. Consensus-critical: all members answer alike. */
export interface Component {
  /** The new data, or undefined if the updates are not acceptable. */
  apply(data: Uint8Array | undefined, updates: readonly Uint8Array[]): Uint8Array | undefined;
}

/** A component whose last update is its new data. */
export const replacedByLast: Component = { apply: (_data, updates) => updates.at(-1) };

export function appDataUpdate(update: AppDataUpdate): CustomProposal {
  return { type: "custom", proposalType: APP_DATA_UPDATE, body: encode(AppDataUpdate, update) };
}

/** For `types.proposals` under {@link APP_DATA_UPDATE}, with the components that are known here. */
export function appDataUpdateType(components: ReadonlyMap<number, Component>): CustomProposalType {
  return {
    skip: (reader) => void AppDataUpdate.read(reader),
    requiresPath: false,
    fromExternalSender: true,
    inExternalCommit: "byValue",
    validate: (proposal) => {
      const { componentId } = updateOf(proposal);
      check(
        components.has(componentId),
        "mk-118",
        "INVALID_PROPOSAL",
        "an update names a component that is not known",
        { componentId },
      );
    },
    checkExtensions,
    changeExtensions: (extensions, proposals) => {
      let dictionary = readDictionary(extensions) ?? [];
      for (const [componentId, operations] of byComponent(proposals)) {
        const component = components.get(componentId);
        dictionary = applyOperations(dictionary, componentId, operations, component);
      }
      return withExtension(extensions, dictionaryExtension(dictionary));
    },
  };
}

function updateOf({ body }: CustomProposal): AppDataUpdate {
  return decodeInPlace(AppDataUpdate, body, "AppDataUpdate");
}

/** Where members must support AppDataUpdate, only it may touch the dictionary. */
function checkExtensions(before: readonly Extension[], after: readonly Extension[]): void {
  readDictionary(after);
  const required = readExtension(before, ExtensionType.requiredCapabilities, RequiredCapabilities);
  if (required?.proposalTypes.includes(APP_DATA_UPDATE) !== true) return;
  const [old, now] = [before, after].map((list) => findExtension(list, APP_DATA_DICTIONARY));
  const isKept = old === undefined || now === undefined ? old === now : equalBytes(old, now);
  check(
    isKept,
    "mk-118",
    "INVALID_PROPOSAL",
    "a GroupContextExtensions may not touch the dictionary that AppDataUpdate governs",
  );
}

function byComponent(
  proposals: readonly CustomProposal[],
): ReadonlyMap<number, readonly AppDataOperation[]> {
  const found = new Map<number, AppDataOperation[]>();
  for (const proposal of proposals) {
    const { componentId, operation } = updateOf(proposal);
    const others = found.get(componentId);
    if (others === undefined) found.set(componentId, [operation]);
    else others.push(operation);
  }
  return found;
}

/** One removal of what is there, or updates that the component accepts. */
function applyOperations(
  dictionary: AppDataDictionary,
  componentId: number,
  operations: readonly AppDataOperation[],
  component: Component | undefined,
): AppDataDictionary {
  const data = dictionary.find((entry) => entry.componentId === componentId)?.data;
  const updates: Uint8Array[] = [];
  for (const operation of operations) {
    if (operation.op === "update") updates.push(operation.update);
  }
  const where = { componentId };
  if (updates.length < operations.length) {
    const isAlone = operations.length === 1;
    check(isAlone, "mk-118", "INVALID_PROPOSAL", "a removal stands beside other updates", where);
    const isThere = data !== undefined;
    check(isThere, "mk-118", "INVALID_PROPOSAL", "there is no component to be removed", where);
    return withComponent(dictionary, componentId, undefined);
  }
  const changed = component?.apply(data, updates);
  const isAccepted = changed !== undefined;
  check(isAccepted, "mk-118", "INVALID_PROPOSAL", "the component refuses an update", where);
  return withComponent(dictionary, componentId, changed);
}
