/** OpenMLS, compiled to WebAssembly, as a member: suite 3, handshakes encrypted. */
import { type Group, MlsClient } from "mls-ts";
import { fromUtf8 } from "../../src/bytes.ts";
import { EXPORT, type Party } from "./party.ts";

export const OPENMLS_SUITE = 3;

/** The package speaks of key packages without the MLSMessage around them. RFC 9420 §6. */
const KEY_PACKAGE_HEADER: readonly number[] = [0, 1, 0, 5];

export function openMlsParty(name: string): Party {
  const client = new MlsClient(name);
  let current: Group | undefined;
  const group = (): Group => {
    if (current === undefined) throw new Error(`${name} is in no group`);
    return current;
  };
  return {
    name,
    isOurs: false,
    keyPackage: async () => new Uint8Array([...KEY_PACKAGE_HEADER, ...client.keyPackage()]),
    create: async (groupId) => {
      current = client.createGroup(fromUtf8(groupId));
    },
    join: async (welcome, ratchetTree) => {
      if (ratchetTree === undefined) throw new Error("the tree is expected beside the Welcome");
      current = client.joinGroup(welcome, ratchetTree);
    },
    add: async (keyPackage) => {
      const made = group().add(keyPackage.slice(KEY_PACKAGE_HEADER.length));
      const { proposal, commit, welcome, ratchetTree } = made;
      return { messages: [proposal, commit], welcome, ratchetTree };
    },
    write: async (text) => group().send(text),
    read: async (message) => group().receiveText(message) ?? undefined,
    exported: async () => group().exportKey(EXPORT.label, EXPORT.context, EXPORT.length),
  };
}
