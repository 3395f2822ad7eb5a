/** A group as it was stored. The tree's chunks are decoded only when they are needed. */
import { cacheKey } from "../../group/proposal-entry.ts";
import { decode, toHex, uint64, type WireTypes } from "../../codec/index.ts";
import type { CryptoProvider, Secret, Signer, SuiteCrypto } from "../../crypto/index.ts";
import { StateError } from "../../errors.ts";
import { GroupContext } from "../../key-schedule/group-context.ts";
import type { HashRatchet, RatchetKind } from "../../secret-tree/hash-ratchet.ts";
import { type RatchetEntry, SecretTree } from "../../secret-tree/secret-tree.ts";
import { isTreeStored, readOutsideTree, type TreeSource } from "../state/outside-tree.ts";
import type { StoredRecord, Storage } from "../../storage/storage.ts";
import type { RatchetTree } from "../../tree/ratchet-tree.ts";
import { allChunks, treeFromChunks } from "../../tree/stored-chunks.ts";
import { leafIndex } from "../../tree/tree-math.ts";
import { DEFAULT_CONFIG, type GroupConfig } from "../state/config.ts";
import { epochFromRecord } from "./epoch-records.ts";
import {
  type BufferedMessage,
  byArrival,
  type GroupState,
  type StoredPastEpoch,
  type StoredProposal,
} from "../state/group-state.ts";
import type { HandOut } from "../state/hand-out.ts";
import {
  bufferedRecord,
  decodeRecord,
  handOutRecord,
  headRecord,
  type PastRecord,
  pastRecord,
  proposalRecord,
  RAW,
  ratchetRecord,
  secret,
  seenRecord,
} from "./record-codecs.ts";
import { decodePending } from "./pending-record.ts";
import { GroupKeys } from "./record-keys.ts";
import { statusOf } from "./write-group.ts";

export interface LoadedGroup {
  readonly state: GroupState;
  /** Of the group's version record. */
  readonly version: number;
}

export interface LoadContext {
  readonly storage: Storage;
  readonly provider: CryptoProvider;
  readonly types: WireTypes;
  /** @throws StateError `SIGNER_NOT_FOUND` */
  signer(publicKey: Uint8Array): Promise<Signer>;
  readonly tree?: TreeSource | undefined;
}

/** Undefined if there is no such group. */
export async function readGroup(
  context: LoadContext,
  handle: number,
): Promise<LoadedGroup | undefined> {
  const keys = new GroupKeys(handle);
  const rows = sortRows(keys, await context.storage.list(keys.prefix));
  const { head, version } = rows;
  if (head === undefined || version === undefined) return undefined;
  const { types } = context;
  const record = decodeRecord(headRecord<GroupConfig>(), head, types);
  const crypto = context.provider.suite(record.epoch.context.cipherSuite);
  // What was stored before a setting existed has its default.
  const config = { ...DEFAULT_CONFIG, ...record.config };
  const status = statusOf(record.status);
  const isInside = isTreeStored({ config, status });
  const tree = isInside
    ? treeFromChunks(crypto, record.epoch.leafCount, rows.chunks, types)
    : await readOutsideTree(context.tree, crypto, record.epoch.context, types);
  const number = record.epoch.context.epoch;
  const secretTree = rows.secretTree(crypto, number, record.epoch.leafCount);
  const { signatureKey } = record.epoch;
  // Nothing is signed any more in a group that is over, and its identity may be gone.
  const signer =
    status === "inactive" ? noSigner(crypto, signatureKey) : await context.signer(signatureKey);
  const epoch = epochFromRecord(
    crypto,
    { ...record.epoch, ...record.exporter },
    tree,
    secretTree,
    signer,
  );
  const state: GroupState = {
    handle,
    status,
    epoch,
    config,
    reInit: record.reInit,
    isLeaving: record.isLeaving,
    joinCommit: record.joinCommit,
    replaces: record.replaces,
    queued: record.queued,
    frozenUpTo: rows.frozen === undefined ? undefined : decodeRecord(uint64, rows.frozen),
    ownUpdate: record.ownUpdate,
    proposals: await readProposals(context, rows.proposals, signer),
    setAside: await readProposals(context, rows.setAside, signer),
    pending:
      rows.pending === undefined
        ? undefined
        : await decodePending(
            rows.pending,
            crypto,
            isInside ? rows.chunks : allChunks(tree),
            types,
            context.signer,
          ),
    handOuts: readHandOuts(rows.handOuts, types),
    past: readPast(crypto, rows, tree, types),
    resumptionPsks: rows.resumptionPsks,
    buffer: rows.buffer,
    seen: { hashes: rows.seen, next: Math.max(-1, ...rows.seen.keys()) + 1 },
  };
  return { state, version };
}

function noSigner({ suite }: SuiteCrypto, publicKey: Uint8Array): Signer {
  const sign = (): never => {
    throw new StateError("GROUP_INACTIVE", "we are no member of this group any more", {
      rule: "mk-46",
    });
  };
  return { publicKey, scheme: suite.signature.scheme, sign };
}

interface Rows {
  readonly head: Uint8Array | undefined;
  readonly version: number | undefined;
  readonly pending: Uint8Array | undefined;
  readonly handOuts: ReadonlyMap<bigint, Uint8Array>;
  readonly frozen: Uint8Array | undefined;
  readonly chunks: { level: number; id: number; bytes: Uint8Array }[];
  readonly proposals: { number: number; value: Uint8Array }[];
  readonly setAside: { number: number; value: Uint8Array }[];
  readonly past: Map<bigint, Uint8Array>;
  readonly resumptionPsks: Map<bigint, Secret>;
  readonly seen: Map<number, string>;
  readonly buffer: Map<string, BufferedMessage>;
  secretTree(crypto: SuiteCrypto, epoch: bigint, leafCount: number): SecretTree;
}

function sortRows(keys: GroupKeys, records: readonly StoredRecord[]): Rows {
  const chunks: Rows["chunks"] = [];
  const proposals: Rows["proposals"] = [];
  const setAside: Rows["setAside"] = [];
  const handOuts = new Map<bigint, Uint8Array>();
  const past: Rows["past"] = new Map();
  const resumptionPsks: Rows["resumptionPsks"] = new Map();
  const seen: Rows["seen"] = new Map();
  const buffer: [string, BufferedMessage][] = [];
  const nodes = new Map<bigint, [number, Secret][]>();
  const ratchets = new Map<bigint, RatchetEntry[]>();
  let head: Uint8Array | undefined;
  let version: number | undefined;
  let pending: Uint8Array | undefined;
  let frozen: Uint8Array | undefined;
  for (const record of records) {
    const name = record.key.slice(keys.prefix.length);
    const [first = "", second = ""] = name.slice(1).split(".");
    switch (name[0]) {
      case "v":
        version = record.version;
        break;
      case "h":
        head = record.value;
        break;
      case "c":
        pending = record.value;
        break;
      case "w":
        handOuts.set(BigInt(first), record.value);
        break;
      case "f":
        frozen = record.value;
        break;
      case "t":
        chunks.push({
          level: Number(first),
          id: Number(second),
          bytes: decodeRecord(RAW, record.value),
        });
        break;
      case "n":
        push(nodes, BigInt(first), [Number(second), decodeRecord(secret, record.value)]);
        break;
      case "r":
        push(
          ratchets,
          BigInt(first),
          ratchetEntry(second, decodeRecord(ratchetRecord, record.value)),
        );
        break;
      case "x":
        past.set(BigInt(first), record.value);
        break;
      case "k":
        resumptionPsks.set(BigInt(first), decodeRecord(secret, record.value));
        break;
      case "p":
        proposals.push({ number: Number(first), value: record.value });
        break;
      case "d":
        setAside.push({ number: Number(first), value: record.value });
        break;
      case "b":
        buffer.push([name.slice(1), decodeRecord(bufferedRecord, record.value)]);
        break;
      case "s":
        {
          const { number, hash } = decodeRecord(seenRecord, record.value);
          seen.set(number, toHex(hash));
        }
        break;
      default:
        break;
    }
  }
  for (const list of [proposals, setAside]) list.sort((a, b) => a.number - b.number);
  return {
    head,
    version,
    pending,
    handOuts,
    frozen,
    chunks,
    proposals,
    setAside,
    past,
    resumptionPsks: new Map([...resumptionPsks].sort(([a], [b]) => (a < b ? -1 : 1))),
    seen,
    buffer: new Map(buffer.sort(byArrival)),
    secretTree: (crypto, epoch, leafCount) =>
      SecretTree.restore(crypto, leafCount, nodes.get(epoch) ?? [], ratchets.get(epoch) ?? []),
  };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function ratchetEntry(name: string, ratchet: HashRatchet): RatchetEntry {
  const kind: RatchetKind = name.endsWith("h") ? "handshake" : "application";
  return { leaf: Number(name.slice(0, -1)), kind, ratchet };
}

async function readProposals(
  { types, signer }: LoadContext,
  rows: Rows["proposals"],
  current: Signer,
): Promise<ReadonlyMap<string, StoredProposal>> {
  const proposals = new Map<string, StoredProposal>();
  for (const { number, value } of rows) {
    const record = decodeRecord(proposalRecord, value, types);
    const { proposal, sender, reference, bytes, isPublic, leafPrivateKey } = record;
    const wireFormat = isPublic ? "publicMessage" : "privateMessage";
    let ownUpdate: StoredProposal["ownUpdate"];
    if (leafPrivateKey !== undefined && proposal.type === "update") {
      const isSame = toHex(proposal.leafNode.signatureKey) === toHex(current.publicKey);
      const updateSigner = isSame ? current : await signer(proposal.leafNode.signatureKey);
      ownUpdate = { leafPrivateKey, signer: updateSigner };
    }
    const kept = { proposal, sender, reference, bytes, wireFormat } as const;
    proposals.set(cacheKey(reference), { ...kept, number, ownUpdate });
  }
  return proposals;
}

/** By epoch; decoded when somebody asks, for they may hold as many leaves as the tree. */
export function readHandOuts(
  rows: ReadonlyMap<bigint, Uint8Array>,
  types: WireTypes,
): readonly HandOut[] {
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([epoch, value]) => {
    // Of what format it is has to be known at once.
    decodeRecord(RAW, value);
    let decoded: HandOut | undefined;
    const read = (): HandOut => (decoded ??= decodeRecord(handOutRecord, value, types));
    return {
      epoch,
      get confirmationTag() {
        return read().confirmationTag;
      },
      get summary() {
        return read().summary;
      },
      get welcomes() {
        return read().welcomes;
      },
      get groupInfo() {
        return read().groupInfo;
      },
      get ratchetTree() {
        return read().ratchetTree;
      },
    };
  });
}

/** Each past epoch knows how its members differ from the next one's, so the newest come first. */
function readPast(
  crypto: SuiteCrypto,
  rows: Rows,
  tree: RatchetTree,
  types: WireTypes,
): StoredPastEpoch[] {
  const newestFirst = [...rows.past].sort(([a], [b]) => (a < b ? 1 : -1));
  let memberAfter: StoredPastEpoch["member"] = (leaf) => tree.leaf(leafIndex(leaf));
  const past: StoredPastEpoch[] = [];
  for (const [number, value] of newestFirst) {
    const record = decodeRecord(pastRecord, value, types);
    const changes = new Map(record.changes.map(({ leaf, member }) => [leaf, member]));
    const after = memberAfter;
    const member: StoredPastEpoch["member"] = (leaf) =>
      changes.has(leaf) ? changes.get(leaf) : after(leaf);
    memberAfter = member;
    past.push({ ...pastEpoch(crypto, rows, number, record), member, changes: [...changes] });
  }
  return past;
}

function pastEpoch(
  crypto: SuiteCrypto,
  rows: Rows,
  number: bigint,
  record: PastRecord,
): Omit<StoredPastEpoch, "member" | "changes"> {
  const { groupId, contextBytes, ownLeaf, senderDataSecret, endedAt, leafCount } = record;
  const { extensions } = decode(GroupContext, contextBytes, "GroupContext");
  return {
    crypto,
    context: { groupId, epoch: number, extensions },
    contextBytes,
    ownLeaf,
    senderDataSecret,
    secretTree: rows.secretTree(crypto, number, leafCount),
    endedAt,
  };
}
