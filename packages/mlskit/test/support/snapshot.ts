/** The whole state of something that lives in a test, as plain data that can be compared. */
import { Client, coreOfClient } from "../../src/client/client.ts";
import { accessOf, type Group } from "../../src/client/group.ts";
import { writeGroup } from "../../src/client/records/write-group.ts";
import { encode, toHex } from "../../src/codec/index.ts";
import type { Secret } from "../../src/crypto/index.ts";
import type { Epoch, PublicEpoch } from "../../src/group/epoch.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import type { ProposalCache } from "../../src/group/proposal-entry.ts";
import { Proposal } from "../../src/messages/proposal.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import { SecretTree } from "../../src/secret-tree/secret-tree.ts";
import { Observer, Party } from "./parties.ts";

/** Anything whose state can be laid open without waiting. */
export type Subject = Party | Observer | PublicGroup | Epoch | SecretTree | KeyPackageBundle;

/** Everything that the subject holds. */
export function snapshot(subject: Subject): unknown {
  if (subject instanceof Party) {
    const { epoch, cache, past, isMember, bundle } = subject;
    const retired = past.map(({ context, senderDataSecret, secretTree }) => {
      return [context.epoch, hex(senderDataSecret), secretTreeOf(secretTree)];
    });
    return [isMember, epochOf(epoch), cacheOf(cache), retired, snapshot(bundle)];
  }
  if (subject instanceof Observer) return [publicEpochOf(subject.epoch), cacheOf(subject.cache)];
  if (subject instanceof PublicGroup) return toHex(subject.snapshot());
  if (subject instanceof SecretTree) return secretTreeOf(subject);
  if ("keyPackage" in subject) {
    const { keyPackage, initKey, encryptionKey } = subject;
    return [toHex(keyPackage.encoded), hex(initKey), hex(encryptionKey)];
  }
  return epochOf(subject);
}

/** {@link snapshot}, of clients too: their memory and their store. What cannot be read stays so. */
export async function stateOf(subject: object): Promise<unknown> {
  try {
    if (subject instanceof Client) return await clientOf(subject);
    return snapshot(subject as Subject);
  } catch (error) {
    return String(error);
  }
}

async function clientOf(client: Client): Promise<unknown> {
  const records = await coreOfClient(client).storage.list("");
  const groups = await client.groups();
  return {
    store: records.map(({ key, value, version }) => `${key} ${version} ${toHex(value)}`),
    memory: groups.map(memoryOf),
  };
}

/** What a store would have to hold to say all that memory says. */
function memoryOf(group: Group): readonly string[] {
  const records: string[] = [];
  const sink = {
    put: (key: string, value: Uint8Array) => void records.push(`${key} ${toHex(value)}`),
    delete: () => undefined,
  };
  writeGroup(sink, undefined, accessOf(group).peek());
  // A state that was read again holds the same in another order.
  return records.sort();
}

function publicEpochOf(epoch: PublicEpoch): unknown {
  return {
    context: toHex(epoch.contextBytes),
    tree: toHex(epoch.tree.encode()),
    treeHash: toHex(epoch.tree.treeHash()),
    confirmationTag: toHex(epoch.confirmationTag),
    interimTranscriptHash: toHex(epoch.interimTranscriptHash),
  };
}

function epochOf(epoch: Epoch): unknown {
  return {
    ...(publicEpochOf(epoch) as object),
    ownLeaf: epoch.ownLeaf,
    privateKeys: [...epoch.privateKeys].map(([node, key]) => [node, hex(key)]),
    secrets: Object.entries(epoch.secrets).map(([name, secret]) => [name, hex(secret)]),
    secretTree: secretTreeOf(epoch.secretTree),
    signer: toHex(epoch.signer.publicKey),
  };
}

function secretTreeOf(secretTree: SecretTree): unknown {
  const nodes = [...secretTree.nodes()].map(([node, secret]) => [node, hex(secret)]);
  const ratchets = [...secretTree.ratchets()].map(({ leaf, kind, ratchet }) => {
    const { generation, secret, skipped, floor } = ratchet;
    const kept = skipped.map((key) => [key.generation, hex(key.key), hex(key.nonce)]);
    return { leaf, kind, generation, secret: hex(secret), floor, kept };
  });
  return { nodes, ratchets, skipped: secretTree.skippedKeyCount };
}

function cacheOf(cache: ProposalCache): unknown {
  return [...cache.values()].map(({ proposal, sender, reference, ownUpdate }) => [
    toHex(encode(Proposal, proposal)),
    sender,
    toHex(reference),
    ownUpdate === undefined ? undefined : hex(ownUpdate.leafPrivateKey),
  ]);
}

function hex(secret: Secret): string {
  return toHex(secret.bytes);
}
