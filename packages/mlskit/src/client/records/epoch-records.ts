/** Between an epoch in memory and its records. */
import { InternalError } from "../../errors.ts";
import { Secret, type Signer, type SuiteCrypto } from "../../crypto/index.ts";
import { type Epoch, encodeContext } from "../../group/epoch.ts";
import type { SecretTree } from "../../secret-tree/secret-tree.ts";
import type { RatchetTree } from "../../tree/ratchet-tree.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import type { EpochRecord, ExporterRecord } from "./record-codecs.ts";

export function epochToRecord(epoch: Epoch): EpochRecord & ExporterRecord {
  const { context, confirmationTag, interimTranscriptHash, tree, ownLeaf, signer } = epoch;
  return {
    context,
    confirmationTag,
    interimTranscriptHash,
    leafCount: tree.leafCount,
    ownLeaf,
    signatureKey: signer.publicKey,
    privateKeys: [...epoch.privateKeys].map(([node, key]) => ({ node, key })),
    ...epoch.secrets,
    exporterTree:
      epoch.exporterTree === undefined
        ? undefined
        : [...epoch.exporterTree].map(([node, key]) => ({ node, key })),
  };
}

export function epochFromRecord(
  crypto: SuiteCrypto,
  record: EpochRecord & Partial<ExporterRecord>,
  tree: RatchetTree,
  secretTree: SecretTree,
  signer: Signer,
): Epoch {
  const { context, confirmationTag, interimTranscriptHash, ownLeaf, ...rest } = record;
  const { leafCount: _, signatureKey: _key, privateKeys, exporterTree, ...secrets } = rest;
  const { applicationExportSecret = new Secret(new Uint8Array(0)) } = secrets;
  return {
    crypto,
    context,
    contextBytes: encodeContext(context),
    tree,
    confirmationTag,
    interimTranscriptHash,
    ownLeaf: leafIndex(ownLeaf),
    privateKeys: keysByNode(privateKeys),
    secrets: { ...secrets, applicationExportSecret },
    exporterTree: exporterTree === undefined ? undefined : keysByNode(exporterTree),
    secretTree,
    signer,
  };
}

function keysByNode(keys: EpochRecord["privateKeys"]): ReadonlyMap<number, Secret> {
  return new Map(keys.map(({ node, key }) => [node, key]));
}

/** The encryption secret of an epoch that has not begun: the root of its untouched secret tree. */
export function untouchedSecret(epoch: Epoch): Secret {
  const [first] = epoch.secretTree.nodes();
  if (first === undefined) throw new InternalError("the epoch has begun");
  return first[1];
}
