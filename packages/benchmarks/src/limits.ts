/**
 * The cryptography that no implementation can do without: for each operation the calls that RFC 9420
 * demands of whoever performs it, on a group of this shape. Encoding, bookkeeping and memory are not
 * in it, nor is anything that can be known beforehand: the own key package's reference, tree hashes
 * that did not change, signatures that were verified before.
 */

/** What is known about the group that an operation meets. */
export interface Shape {
  /** Leaves that are not blank, and leaf slots of the full tree. RFC 9420 §4.1. */
  readonly members: number;
  readonly slots: number;
  /** Non-blank parents. */
  readonly parents: number;
  /** Nodes of the committer's filtered direct path, and members of the resolutions beside it. */
  readonly path: number;
  readonly seals: number;
  /** Nodes of that path above the receiver too. */
  readonly shared: number;
  /** Nodes that are hashed anew: the direct paths of all leaves that changed, with these leaves. */
  readonly changed: number;
}

/** Bytes that went in and came out. */
export interface Lengths {
  readonly commit: number;
  /** A Welcome, whose bulk is the encrypted GroupInfo; or a plain GroupInfo. */
  readonly groupInfo: number;
}

export type Primitive =
  | "hash"
  | "hmac"
  | "sign"
  | "verify"
  | "generateKeyPair"
  | "deriveKeyPair"
  | "seal"
  | "open"
  | "sendExport"
  | "aeadSeal"
  | "aeadOpen";

/**
 * `count` calls on inputs of `size` bytes; for HPKE that is the `info`, because what is sealed is
 * always small. Signatures and seals of one step may run side by side.
 */
export interface Step {
  readonly call: Primitive;
  readonly count: number;
  readonly size: number;
  readonly why: string;
  /** Signatures per key; 1 unless said otherwise. */
  readonly perKey?: number;
  /** With public keys that this process has not met before, which it has to read first. */
  readonly newKeys?: boolean;
}

/** By operation. Operations without an entry, such as storing and loading, have no limit. */
export const LIMITS: Readonly<Record<string, (shape: Shape, lengths: Lengths) => Step[]>> = {
  add: (shape, lengths) => [
    ...firstEpoch(),
    ...addedMembers(shape.members - 1),
    ...newPath(shape),
    treeHash(2 * shape.slots - 1),
    ...ownContent(lengths),
    ...newEpoch(lengths),
    ...welcome(shape.members - 1, lengths),
  ],
  join: ({ members, slots, parents, shared }, { groupInfo }) => [
    step("open", 1, groupInfo, "GroupSecrets, with the encrypted GroupInfo as context, §12.4.3.1"),
    step("hmac", 4, 60, "welcome_secret, key and nonce, §12.4.3.1"),
    step("aeadOpen", 1, groupInfo, "GroupInfo, §12.4.3.1"),
    ...foreignTree(members - 1, slots, parents, groupInfo),
    step("hmac", Math.max(0, 2 * shared - 1), 60, "path secrets from the Welcome, §7.4, §12.4.3.1"),
    step("deriveKeyPair", shared, 32, "key pairs of these nodes, §7.4"),
    step("hmac", 1, 200, "epoch_secret, §8"),
    ...epochSecrets(),
    step("hash", 1, 70, "interim transcript hash, §8.2"),
  ],
  commit: (shape, lengths) => [
    ...newPath(shape),
    treeHash(shape.changed),
    ...ownContent(lengths),
    ...newEpoch(lengths),
  ],
  process: (shape, lengths) => [
    ...foreignContent(lengths.commit),
    ...foreignPath(shape),
    treeHash(shape.changed),
    ...newEpoch(lengths),
  ],
  addOne: (shape, lengths) => [
    ...addedMembers(1).map(withNewKeys),
    ...newPath(shape),
    treeHash(shape.changed),
    ...ownContent(lengths),
    ...newEpoch(lengths),
    ...welcome(1, lengths).map(withNewKeys),
  ],
  processAdd: (shape, lengths) => [
    ...foreignContent(lengths.commit),
    ...addedMembers(1),
    ...foreignPath(shape),
    treeHash(shape.changed),
    ...newEpoch(lengths),
  ],
  removeOne: (shape, lengths) => [
    ...newPath(shape),
    treeHash(shape.changed),
    ...ownContent(lengths),
    ...newEpoch(lengths),
  ],
  processRemove: (shape, lengths) => [
    ...foreignContent(lengths.commit),
    ...foreignPath(shape),
    treeHash(shape.changed),
    ...newEpoch(lengths),
  ],
  addBare: (shape, lengths) => [
    firstRatchets(shape),
    ...ownPrivateContent(500),
    proposalReference(),
    ...addedMembers(1).map(withNewKeys),
    treeHash(shape.changed),
    ...ownPrivateContent(lengths.commit),
    ...newEpoch(lengths),
    ...welcome(1, lengths).map(withNewKeys),
  ],
  processAddBare: (shape, lengths) => [
    firstRatchets(shape),
    ...foreignPrivateContent(500),
    proposalReference(),
    ...addedMembers(1),
    ...foreignPrivateContent(lengths.commit),
    treeHash(shape.changed),
    ...newEpoch(lengths),
  ],
  propose: () => [
    step("generateKeyPair", 1, 32, "new leaf key, §7.4"),
    step("sign", 2, 300, "leaf and content, §7.2, §6.1"),
    proposalReference(),
    step("hmac", 1, 400, "membership tag, §6.2"),
  ],
  update: (shape, lengths) => [
    ...foreignContent(400),
    step("verify", 1, 200, "leaf of the proposal, §7.3"),
    proposalReference(),
    ...newPath(shape),
    treeHash(shape.changed),
    ...ownContent(lengths),
    ...newEpoch(lengths),
  ],
  processUpdate: (shape, lengths) => [
    ...foreignContent(lengths.commit),
    ...foreignPath(shape),
    treeHash(shape.changed),
    ...newEpoch(lengths),
  ],
  externalJoin: ({ members, slots, parents, ...shape }, lengths) => [
    ...foreignTree(members, slots, parents, lengths.groupInfo),
    step("hash", 1, 70, "interim transcript hash of the epoch before, §8.2"),
    step("sendExport", 1, 0, "external init, §8.3"),
    ...newPath(shape),
    treeHash(shape.changed),
    step("sign", 1, lengths.commit, "content, §6.1"),
    ...newEpoch(lengths),
  ],
  send: () => ownPrivateContent(1100),
  receive: () => foreignPrivateContent(1100),
};

/** §11: secrets of a group of one. */
function firstEpoch(): Step[] {
  return [treeHash(1), ...epochSecrets(), step("hash", 1, 70, "interim transcript hash, §8.2")];
}

function addedMembers(count: number): Step[] {
  return [
    { ...step("verify", 2 * count, 250, "key packages and their leaves, §7.3, §10.1"), perKey: 2 },
  ];
}

/** §7.4, §7.5: new keys from the leaf to the root, each sent to whoever is beside the path. */
function newPath({ path, seals }: Pick<Shape, "path" | "seals">): Step[] {
  return [
    step("generateKeyPair", 1, 32, "new leaf key, §7.4"),
    step("hmac", 2 * path, 60, "path and node secrets, commit secret, §7.4"),
    step("deriveKeyPair", path, 32, "key pairs of the path, §7.4"),
    step("hash", path, 100, "parent hashes, §7.9"),
    step("sign", 1, 250, "own leaf, §7.2"),
    step("seal", seals, 170, "path secrets for the resolutions, §7.5, §7.6"),
  ];
}

function foreignPath({ path, shared }: Shape): Step[] {
  return [
    step("verify", 1, 250, "leaf of the path, §7.3"),
    step("hash", path, 100, "parent hashes, §7.9"),
    step("open", 1, 170, "path secret, §7.5, §7.6"),
    step("hmac", 2 * shared, 60, "path and node secrets, commit secret, §7.4"),
    step("deriveKeyPair", shared, 32, "key pairs of the shared path, to compare, §7.5"),
  ];
}

function treeHash(nodes: number): Step {
  return step("hash", nodes, 200, "tree hashes of all nodes that changed, §7.8");
}

function proposalReference(): Step {
  return step("hash", 1, 500, "proposal reference, §5.2");
}

function ownContent({ commit }: Pick<Lengths, "commit">): Step[] {
  return [
    step("sign", 1, commit, "content, §6.1"),
    step("hmac", 1, commit, "membership tag, §6.2"),
  ];
}

function foreignContent(length: number): Step[] {
  return [
    step("hmac", 1, length, "membership tag, §6.2"),
    step("verify", 1, length, "content, §6.1"),
  ];
}

/** §6.3: a PrivateMessage; what is signed holds the group's context too. */
function ownPrivateContent(length: number): Step[] {
  return [
    step("hmac", 3, 60, "key, nonce and next secret of the ratchet, §9.1"),
    step("sign", 1, length + 100, "content, §6.1"),
    step("aeadSeal", 1, length, "content, §6.3.1"),
    step("hmac", 2, 60, "key and nonce of the sender data, §6.3.2"),
    step("aeadSeal", 1, 12, "sender data, §6.3.2"),
  ];
}

function foreignPrivateContent(length: number): Step[] {
  return [
    step("hmac", 2, 60, "key and nonce of the sender data, §6.3.2"),
    step("aeadOpen", 1, 12, "sender data, §6.3.2"),
    step("hmac", 3, 60, "key, nonce and next secret of the ratchet, §9.1"),
    step("aeadOpen", 1, length, "content, §6.3.1"),
    step("verify", 1, length + 100, "content, §6.1"),
  ];
}

/** What a sender's first message of an epoch takes; both children, because a used secret is deleted. */
function firstRatchets({ slots }: Pick<Shape, "slots">): Step {
  return step("hmac", 2 * Math.log2(slots) + 2, 60, "down to both ratchets of the leaf, §9, §9.2");
}

/** §8: from the Commit to the next epoch. */
function newEpoch({ commit }: Lengths): Step[] {
  return [
    step("hash", 1, commit, "confirmed transcript hash, §8.2"),
    step("hash", 1, 70, "interim transcript hash, §8.2"),
    step("hmac", 4, 150, "from init_secret to epoch_secret, §8"),
    ...epochSecrets(),
  ];
}

function epochSecrets(): Step[] {
  return [
    step("hmac", 9, 40, "secrets of the epoch, §8, Table 4"),
    step("hmac", 1, 32, "confirmation tag, §6.1"),
  ];
}

/** §12.4.3.1: for `count` new members. */
function welcome(count: number, { groupInfo }: Lengths): Step[] {
  return [
    step("hmac", 3, 60, "welcome_secret, key and nonce, §12.4.3.1"),
    step("sign", 1, groupInfo, "GroupInfo, §12.4.3"),
    step("aeadSeal", 1, groupInfo, "GroupInfo, §12.4.3.1"),
    step("hash", count, 350, "key package references, §5.2, §12.4.3.1"),
    step(
      "seal",
      count,
      groupInfo,
      "GroupSecrets, with the encrypted GroupInfo as context, §12.4.3.1",
    ),
  ];
}

/** §7.3, §7.9.2, §12.4.3.1: what makes a tree trustworthy that somebody else sends. */
function foreignTree(leaves: number, slots: number, parents: number, size: number): Step[] {
  return [
    step("verify", 1, size, "GroupInfo, §12.4.3"),
    treeHash(2 * slots - 1),
    step("hash", parents, 100, "parent hashes, §7.9.2"),
    step("verify", leaves, 250, "leaves of the others, §7.3"),
  ];
}

/** Only who adds meets them first: all others in this process find them read. */
function withNewKeys(one: Step): Step {
  return { ...one, newKeys: true };
}

function step(call: Primitive, count: number, size: number, why: string): Step {
  return { call, count, size, why };
}
