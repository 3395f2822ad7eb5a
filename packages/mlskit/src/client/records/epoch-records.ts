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
  const { context, confirmationTag, interimTranscriptHash, privateKeys } = record;
  return {
    crypto,
    context,
    contextBytes: encodeContext(context),
    tree,
    confirmationTag,
    interimTranscriptHash,
    ownLeaf: leafIndex(record.ownLeaf),
    privateKeys: new Map(privateKeys.map(({ node, key }) => [node, key])),
    secrets: {
      senderDataSecret: record.senderDataSecret,
      exporterSecret: record.exporterSecret,
      externalSecret: record.externalSecret,
      confirmationKey: record.confirmationKey,
      membershipKey: record.membershipKey,
      resumptionPsk: record.resumptionPsk,
      epochAuthenticator: record.epochAuthenticator,
      initSecret: record.initSecret,
      applicationExportSecret: record.applicationExportSecret ?? new Secret(new Uint8Array(0)),
    },
    exporterTree:
      record.exporterTree === undefined
        ? undefined
        : new Map(record.exporterTree.map(({ node, key }) => [node, key])),
    secretTree,
    signer,
  };
}

/** The encryption secret of an epoch that has not begun: the root of its untouched secret tree. */
export function untouchedSecret(epoch: Epoch): Secret {
  const [first] = epoch.secretTree.nodes();
  if (first === undefined) throw new InternalError("the epoch has begun");
  return first[1];
}
