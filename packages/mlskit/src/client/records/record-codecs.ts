/** How records are encoded. The first byte of every record is its format version. */
import {
  type Codec,
  copyBytes,
  decodeInPlace,
  fromUtf8,
  lendEncoding,
  mapped,
  opaque,
  optional,
  RFC_TYPES,
  type SkipBody,
  skipOpaque,
  struct,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
  vector,
  type WireTypes,
} from "../../codec/index.ts";
import { Credential } from "../../credentials/credential.ts";
import { Secret } from "../../crypto/index.ts";
import { DecodeError, MlsError, StorageError } from "../../errors.ts";
import { type Extension, Extensions } from "../../extensions/extension.ts";
import { Sender } from "../../framing/framed-content.ts";
import type { CommitSummary } from "../../group/commit-summary.ts";
import { KeyPackage } from "../../key-packages/key-package.ts";
import { GroupContext } from "../../key-schedule/group-context.ts";
import { PreSharedKeyId } from "../../key-schedule/pre-shared-key.ts";
import { Proposal, type ReInit } from "../../messages/proposal.ts";
import type { HashRatchet, MessageKey } from "../../secret-tree/hash-ratchet.ts";
import { LeafNode } from "../../tree/nodes.ts";
import type { BufferedMessage, UpdateRecord } from "../state/group-state.ts";
import type { HandOut } from "../state/hand-out.ts";

const FORMAT_VERSION = 1;

/**
 * For reading what was accepted when it was stored: types that are not registered any more are read
 * as one `opaque<V>`, so that a store outlives a change of configuration.
 */
export function storedTypes(registered: WireTypes): WireTypes {
  return {
    proposals: withDefault(registered.proposals),
    credentials: withDefault(registered.credentials),
    psks: withDefault(registered.psks ?? new Map()),
  };
}

function withDefault(types: ReadonlyMap<number, SkipBody>): ReadonlyMap<number, SkipBody> {
  const map = new Map(types);
  const known = map.get.bind(map);
  map.get = (type) => known(type) ?? skipOpaque;
  return map;
}

export function encodeRecord<T>(codec: Codec<T>, value: T): Uint8Array {
  return lendEncoding((writer) => {
    writer.uint8(FORMAT_VERSION);
    codec.write(writer, value);
  }, copyBytes);
}

/** @throws StorageError `STORAGE_VERSION` for a newer format, `STORAGE_FAILED` for a broken record */
export function decodeRecord<T>(
  codec: Codec<T>,
  bytes: Uint8Array,
  types: WireTypes = storedTypes(RFC_TYPES),
): T {
  if (bytes.length > 0 && bytes[0] !== FORMAT_VERSION) {
    throw new StorageError("STORAGE_VERSION", "a record was written by a later release", {
      details: { version: bytes[0] },
    });
  }
  try {
    if (bytes.length === 0) throw new DecodeError("a record is empty");
    return decodeInPlace(codec, bytes.subarray(1), "record", types);
  } catch (cause) {
    if (!(cause instanceof MlsError)) throw cause;
    throw new StorageError("STORAGE_FAILED", "a record is damaged", { cause });
  }
}

/** Bytes that have an encoding of their own. */
export const RAW: Codec<Uint8Array> = {
  write: (writer, value) => writer.bytes(value),
  read: (reader) => reader.rest(),
};

/** Read once: the record, which is the reader's own, does not keep it. */
export const secret: Codec<Secret> = mapped(
  opaque,
  (bytes) => {
    const copy = Secret.copyOf(bytes);
    bytes.fill(0);
    return copy;
  },
  (value) => value.bytes,
);

export interface PskRecord {
  /** The id, in hex. */
  readonly name: string;
  readonly psk: Secret;
}

/** An external PSK. */
export const pskRecord: Codec<PskRecord> = struct<PskRecord>({
  name: mapped(opaque, fromUtf8, utf8),
  psk: secret,
});

export const flag: Codec<boolean> = mapped(
  uint8,
  (value) => value === 1,
  (value) => (value ? 1 : 0),
);

/** JSON for plain data such as the configuration. */
export function json<T>(): Codec<T> {
  return mapped(
    opaque,
    (bytes) => {
      try {
        return JSON.parse(fromUtf8(bytes)) as T;
      } catch (cause) {
        throw new DecodeError("not JSON", { cause });
      }
    },
    (value) => utf8(JSON.stringify(value)),
  );
}

const messageKey: Codec<MessageKey> = struct({ generation: uint32, key: secret, nonce: secret });

export const ratchetRecord: Codec<HashRatchet> = struct({
  generation: uint32,
  secret,
  skipped: vector(messageKey),
  floor: uint32,
});

export interface MetaRecord {
  readonly instance: Uint8Array;
  readonly nextHandle: number;
}

export const metaRecord: Codec<MetaRecord> = struct({ instance: opaque, nextHandle: uint32 });

export interface IdentityRecord {
  readonly cipherSuite: number;
  readonly credential: Credential;
  readonly publicKey: Uint8Array;
  /** Absent if the key lives outside, behind a Signer of the application. */
  readonly privateKey: Secret | undefined;
  /** Position among the identities of the client, in the order in which they were made. */
  readonly order: number;
}

export const identityRecord: Codec<IdentityRecord> = struct<IdentityRecord>({
  cipherSuite: uint16,
  credential: Credential,
  publicKey: opaque,
  privateKey: optional(secret),
  order: uint32,
});

export interface KeyPackageRecord {
  readonly keyPackage: KeyPackage;
  readonly initKey: Secret;
  readonly encryptionKey: Secret;
  readonly createdAt: bigint;
  /** Handed to a Welcome that failed; no longer offered. */
  readonly isSuspect: boolean;
}

export const keyPackageRecord: Codec<KeyPackageRecord> = struct({
  keyPackage: KeyPackage,
  initKey: secret,
  encryptionKey: secret,
  createdAt: uint64,
  isSuspect: flag,
});

/** How much waits in the buffer of a group, and since when. */
export interface BufferedRecord {
  readonly size: number;
  readonly oldest: bigint;
}

export const bufferedTotalRecord: Codec<BufferedRecord> = struct<BufferedRecord>({
  size: uint32,
  oldest: uint64,
});

export interface ProposalRecord {
  readonly proposal: Proposal;
  readonly sender: Sender;
  readonly reference: Uint8Array;
  readonly bytes: Uint8Array | undefined;
  readonly isPublic: boolean;
  readonly leafPrivateKey: Secret | undefined;
}

export const proposalRecord: Codec<ProposalRecord> = struct<ProposalRecord>({
  proposal: Proposal,
  sender: Sender,
  reference: opaque,
  bytes: optional(opaque),
  isPublic: flag,
  leafPrivateKey: optional(secret),
});

const privateKeysRecord: Codec<readonly { node: number; key: Secret }[]> = vector(
  struct({ node: uint32, key: secret }),
);

const reInit: Codec<ReInit> = mapped(
  struct({ groupId: opaque, version: uint16, cipherSuite: uint16, extensions: Extensions }),
  (fields): ReInit => ({ type: "reInit", ...fields }),
  (value) => value,
);

/** An epoch without its tree and ratchets, which have records of their own. */
export interface EpochRecord {
  readonly context: GroupContext;
  readonly confirmationTag: Uint8Array;
  readonly interimTranscriptHash: Uint8Array;
  readonly leafCount: number;
  readonly ownLeaf: number;
  readonly signatureKey: Uint8Array;
  readonly privateKeys: readonly { node: number; key: Secret }[];
  readonly senderDataSecret: Secret;
  readonly exporterSecret: Secret;
  readonly externalSecret: Secret;
  readonly confirmationKey: Secret;
  readonly membershipKey: Secret;
  readonly resumptionPsk: Secret;
  readonly epochAuthenticator: Secret;
  readonly initSecret: Secret;
}

const epochRecord: Codec<EpochRecord> = struct({
  context: GroupContext,
  confirmationTag: opaque,
  interimTranscriptHash: opaque,
  leafCount: uint32,
  ownLeaf: uint32,
  signatureKey: opaque,
  privateKeys: privateKeysRecord,
  senderDataSecret: secret,
  exporterSecret: secret,
  externalSecret: secret,
  confirmationKey: secret,
  membershipKey: secret,
  resumptionPsk: secret,
  epochAuthenticator: secret,
  initSecret: secret,
});

/** What is left of an epoch's exporter tree: its root while that is untouched, nodes afterwards. */
export interface ExporterRecord {
  readonly applicationExportSecret: Secret;
  readonly exporterTree: readonly { node: number; key: Secret }[] | undefined;
}

/** The last field of records that earlier builds ended without: nothing can be exported then. */
const exporterRecord: Codec<ExporterRecord | undefined> = atEnd(
  struct({ applicationExportSecret: secret, exporterTree: optional(privateKeysRecord) }),
);

/* @__NO_SIDE_EFFECTS__ */
export function atEnd<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write(writer, value) {
      if (value !== undefined) codec.write(writer, value);
    },
    read: (reader) => (reader.remaining === 0 ? undefined : codec.read(reader)),
  };
}

export interface HeadRecord<Config> {
  readonly status: number;
  readonly epoch: EpochRecord;
  readonly config: Config;
  readonly reInit: ReInit | undefined;
  readonly isLeaving: boolean;
  readonly joinCommit: Uint8Array | undefined;
  readonly replaces: number | undefined;
  readonly queued: readonly Proposal[];
  readonly ownUpdate: UpdateRecord;
  readonly exporter: ExporterRecord | undefined;
}

export function headRecord<Config>(): Codec<HeadRecord<Config>> {
  return struct<HeadRecord<Config>>({
    status: uint8,
    epoch: epochRecord,
    config: json<Config>(),
    reInit: optional(reInit),
    isLeaving: flag,
    joinCommit: optional(opaque),
    replaces: optional(uint32),
    queued: vector(Proposal),
    ownUpdate: struct({ updatedAt: uint64, messages: uint32, sawRemoval: flag }),
    exporter: exporterRecord,
  });
}

export interface PastRecord {
  readonly groupId: Uint8Array;
  readonly contextBytes: Uint8Array;
  readonly leafCount: number;
  readonly ownLeaf: number;
  readonly senderDataSecret: Secret;
  readonly endedAt: bigint;
  readonly changes: readonly {
    leaf: number;
    member: { credential: Credential; signatureKey: Uint8Array } | undefined;
  }[];
}

export const pastRecord: Codec<PastRecord> = struct<PastRecord>({
  groupId: opaque,
  contextBytes: opaque,
  leafCount: uint32,
  ownLeaf: uint32,
  senderDataSecret: secret,
  endedAt: uint64,
  changes: vector(
    struct<PastRecord["changes"][number]>({
      leaf: uint32,
      member: optional(struct({ credential: Credential, signatureKey: opaque })),
    }),
  ),
});

const extensionsCodec: Codec<readonly Extension[]> = Extensions;

const summaryCodec: Codec<CommitSummary> = struct<CommitSummary>({
  epoch: uint64,
  committer: uint32,
  isExternal: flag,
  hasPath: flag,
  added: vector(struct({ leafIndex: uint32, leaf: LeafNode, by: Sender })),
  removed: vector(struct({ leafIndex: uint32, leaf: LeafNode, by: Sender })),
  updated: vector(struct({ leafIndex: uint32, before: LeafNode, after: LeafNode })),
  psks: vector(PreSharedKeyId),
  extensions: optional(extensionsCodec),
  reInit: optional(reInit),
  custom: vector(
    mapped(
      struct({ proposal: Proposal, sender: Sender }),
      ({ proposal, sender }) => {
        if (proposal.type !== "custom")
          throw new StorageError("STORAGE_FAILED", "a record is damaged");
        return { proposal, sender };
      },
      (value) => value,
    ),
  ),
});

const welcomesCodec: Codec<HandOut["welcomes"]> = vector(
  struct({ bytes: opaque, keyPackageRefs: vector(opaque) }),
);

export const handOutRecord: Codec<HandOut> = struct<HandOut>({
  epoch: uint64,
  confirmationTag: opaque,
  summary: summaryCodec,
  welcomes: welcomesCodec,
  groupInfo: optional(opaque),
  ratchetTree: optional(opaque),
});

export interface PendingRecord {
  readonly commit: Uint8Array;
  readonly confirmationTag: Uint8Array;
  readonly welcomes: HandOut["welcomes"];
  readonly groupInfo: Uint8Array | undefined;
  readonly ratchetTree: Uint8Array | undefined;
  readonly summary: CommitSummary;
  readonly proposals: readonly Proposal[];
  readonly next: EpochRecord;
  readonly encryptionSecret: Secret;
  /** Chunks of the next tree that differ from the current one; without bytes: gone. */
  readonly chunks: readonly { level: number; id: number; bytes: Uint8Array | undefined }[];
  /** Of the next epoch. */
  readonly exporter: ExporterRecord | undefined;
}

export const pendingRecord: Codec<PendingRecord> = struct<PendingRecord>({
  commit: opaque,
  confirmationTag: opaque,
  welcomes: welcomesCodec,
  groupInfo: optional(opaque),
  ratchetTree: optional(opaque),
  summary: summaryCodec,
  proposals: vector(Proposal),
  next: epochRecord,
  encryptionSecret: secret,
  chunks: vector(
    struct<PendingRecord["chunks"][number]>({ level: uint8, id: uint32, bytes: optional(opaque) }),
  ),
  exporter: exporterRecord,
});

export const bufferedRecord: Codec<BufferedMessage> = struct<BufferedMessage>({
  bytes: opaque,
  receivedAt: uint64,
  number: atEnd(uint32),
});

/** Hashes of a handshake message that took effect; numbers run on, while storage slots are used again. */
export const seenRecord: Codec<{ readonly number: number; readonly hash: Uint8Array }> = struct({
  number: uint32,
  hash: opaque,
});
