/**
 * Catalogue M-TST-05 as an application sees it: clients of the testing kit, a member in the hands of
 * the test, and what it forges. Nothing here comes from elsewhere than public entry points.
 */
import { describe, expect, test } from "vitest";
import {
  createCommit,
  createKeyPackage,
  createSigner,
  DEFAULT_LIMITS,
  type Environment,
  type Epoch,
  type KeyPackageBundle,
  noPadding,
  openWelcome,
  stageJoin,
} from "../../src/group/index.ts";
import {
  type AuthenticationService,
  type Client,
  defaultProvider,
  MlsError,
  type Storage,
} from "../../src/index.ts";
import { PublicGroup } from "../../src/observer/index.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import {
  type CommitForgery,
  type ContentForgery,
  type ExternalCommitForgery,
  flipped,
  forgeCommit,
  forgeExternalCommit,
  forgeGroupInfo,
  forgeKeyPackage,
  forgeMessage,
  forgeProposal,
  forgeWelcome,
  type GroupInfoForgery,
  groupInfoMessage,
  type KeyPackageForgery,
  type Nodes,
  nodesOf,
  type PathForgery,
  type WelcomeForgery,
  withParent,
} from "../../src/testing/forge/index.ts";
import { commitAndBroadcast, type TestGroup, testGroup } from "../../src/testing/index.ts";
import {
  decode,
  decodeMlsMessage,
  encodeMlsMessage,
  KeyPackage,
  type Proposal,
} from "../../src/wire.ts";

const provider = defaultProvider();
const crypto = provider.suite(1);
const EMPTY = new Uint8Array();
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const capabilities = {
  versions: [1],
  cipherSuites: [1],
  extensions: [],
  proposals: [],
  credentials: [1],
};
const flip = (bytes: Uint8Array): Uint8Array => flipped(bytes, 1);

/** Three clients, a fourth at the door, and mallory, the member who forges. */
interface World {
  readonly group: TestGroup;
  readonly epoch: Epoch;
  readonly environment: Environment;
  readonly dave: Client;
  readonly daveStorage: Storage;
  readonly daveBundle: Pick<KeyPackageBundle, "keyPackage">;
  /** Into which mallory would add dave. */
  readonly next: Epoch;
  /** A key package of somebody else. */
  readonly stranger: KeyPackageBundle;
}

async function newBundle(name: string, now: bigint): Promise<KeyPackageBundle> {
  const signer = createSigner(crypto, await crypto.generateSignatureKeyPair());
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential: { type: "basic", identity: text(name) },
    capabilities,
    lifetime: { notBefore: now - 60n, notAfter: now + 86_400n },
  });
  return { keyPackage, ...privateKeys, signer };
}

async function newWorld(): Promise<World> {
  const authenticationService: AuthenticationService = {
    validate: (identities) => identities.map(() => true as const),
    isSuccessor: () => true,
  };
  const group = await testGroup({ members: ["alice", "bob", "carol"], authenticationService });
  const environment: Environment = {
    now: group.clock(),
    authenticationService,
    policy: {},
    psks: () => undefined,
    types: { proposals: new Map(), credentials: new Map(), extensions: new Set() },
    limits: DEFAULT_LIMITS,
  };
  const mallory = await newBundle("mallory", environment.now);
  const [alice, ...others] = group.groups;
  const add = [encodeMlsMessage({ wireFormat: "keyPackage", message: mallory.keyPackage })];
  const { welcomes, ratchetTree } = await commitAndBroadcast(alice!, { add }, others);
  const welcome = decodeMlsMessage(welcomes[0]!.bytes);
  if (welcome.wireFormat !== "welcome") throw new Error("a Welcome was expected");
  const opened = await openWelcome(provider, welcome.message, () => mallory, environment);
  const { epoch } = await stageJoin(opened, ratchetTree, environment);
  const { client: dave, storage: daveStorage } = await group.newClient("dave");
  const published = decodeMlsMessage((await dave.createKeyPackage({ grease: false })).bytes);
  if (published.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  const daveBundle = { keyPackage: decode(KeyPackage, published.message.encoded) };
  const stranger = await newBundle("stranger", environment.now);

  const { next } = await createCommit(
    epoch,
    {
      proposals: [{ type: "add", keyPackage: daveBundle.keyPackage }],
      pending: [],
      forcePath: true,
      authenticatedData: EMPTY,
      wireFormat: "publicMessage",
      padding: noPadding,
      ratchetTree: true,
    },
    environment,
  );
  return { group, epoch, environment, dave, daveStorage, daveBundle, next, stranger };
}

const REMOVE: Proposal = { type: "remove", removed: 1 };
const APPLICATION = { contentType: "application", applicationData: text("hello") } as const;
const PRIVATE = { wireFormat: "privateMessage" } as const;
const pskId = (nonce: number) =>
  ({ type: "external", pskId: text("key"), nonce: new Uint8Array(nonce) }) as const;
const psk = (nonce = 32): Proposal => ({ type: "psk", psk: pskId(nonce) });
const extend: Proposal = { type: "groupContextExtensions", extensions: [] };
const init: Proposal = { type: "externalInit", kemOutput: new Uint8Array(32).fill(9) };
const reInit: Proposal = {
  type: "reInit",
  groupId: text("successor"),
  version: 1,
  cipherSuite: 1,
  extensions: [],
};
const add = ({ keyPackage }: Pick<KeyPackageBundle, "keyPackage">): Proposal => ({
  type: "add",
  keyPackage,
});
const extension = { extensions: [{ type: 0x3333, data: EMPTY }] };
const blind = { capabilities: { ...capabilities, credentials: [2] } };

type Make = (world: World) => Uint8Array | Promise<Uint8Array>;
type Row = readonly [rule: RuleId, says: string, forged: Make];

const proposal =
  (what: Proposal, forgery?: ContentForgery): Make =>
  async (world) =>
    (await forgeProposal(world, what, forgery)).bytes;
const message =
  (forgery?: ContentForgery): Make =>
  (world) =>
    forgeMessage(world, APPLICATION, { ...PRIVATE, ...forgery });
const commit =
  (forgery?: CommitForgery | ((world: World) => CommitForgery | Promise<CommitForgery>)): Make =>
  async (world) =>
    (await forgeCommit(world, typeof forgery === "function" ? await forgery(world) : forgery))
      .bytes;
const path = (forgery: PathForgery): Make => commit({ path: forgery });
const list = (...proposals: readonly Proposal[]): Make => commit({ proposals });
const keyPackage =
  (forgery: KeyPackageForgery): Make =>
  async (world) =>
    list(add(await forgeKeyPackage(world.stranger, forgery)))(world);
const externally =
  (forgery?: ExternalCommitForgery): Make =>
  async (world) =>
    (await forgeExternalCommit(world.stranger, world, forgery)).bytes;
const groupInfo =
  (forgery?: GroupInfoForgery): Make =>
  async ({ epoch }) =>
    groupInfoMessage(await forgeGroupInfo(epoch, forgery));
const welcome =
  (forgery?: Omit<WelcomeForgery, "joiners">): Make =>
  async ({ next, daveBundle }) =>
    (await forgeWelcome(next, { joiners: [daveBundle], ...forgery })).bytes;
const tree =
  (alter: (nodes: Nodes) => Nodes): Make =>
  (world) =>
    groupInfo({ nodes: alter(nodesOf(world.epoch.tree)) })(world);

function keyOf(node: Nodes[number]): Uint8Array {
  if (node?.type !== "leaf") throw new Error("a leaf was expected");
  return node.leaf.encryptionKey;
}

/** Everything that is stored, for comparison. */
async function stored({ group, daveStorage }: World): Promise<unknown> {
  const stores = [...group.members.map(({ storage }) => storage), daveStorage];
  return Promise.all(stores.map(async (storage) => storage.list("")));
}

/** The rule that an outcome or an error names; undefined if the object was accepted. */
function brokenBy(value: unknown): string | undefined {
  if (MlsError.is(value)) return value.rule;
  if (value instanceof Error) throw value;
  return typeof value === "object" && value !== null && "error" in value
    ? brokenBy(value.error)
    : undefined;
}

/** What every member says to a message. */
async function toMembers({ group }: World, bytes: Uint8Array): Promise<(string | undefined)[]> {
  return Promise.all(group.groups.map((each) => attempt(() => each.process(bytes))));
}

async function attempt(action: () => Promise<unknown>): Promise<string | undefined> {
  try {
    return brokenBy(await action());
  } catch (error) {
    return brokenBy(error);
  }
}

async function toJoiner({ dave }: World, bytes: Uint8Array): Promise<(string | undefined)[]> {
  return [await attempt(() => dave.join(bytes))];
}

/** To one who would join by itself, and to a delivery service. */
async function toStrangers(
  { dave, environment }: World,
  bytes: Uint8Array,
): Promise<(string | undefined)[]> {
  const watch = () => PublicGroup.start(provider, { groupInfo: bytes }, environment);
  return [await attempt(() => dave.checkGroupInfo(bytes)), await attempt(watch)];
}

interface Area {
  readonly area: string;
  readonly honest: readonly Make[];
  readonly rows: readonly Row[];
  readonly present: (world: World, bytes: Uint8Array) => Promise<(string | undefined)[]>;
}

/** A path node with one ciphertext more. */
const longer: PathForgery = {
  alterNodes: (nodes) =>
    nodes.map((node) => ({
      ...node,
      encryptedPathSecret: [...node.encryptedPathSecret, ...node.encryptedPathSecret],
    })),
};

const AREAS: readonly Area[] = [
  {
    area: "framing",
    present: toMembers,
    honest: [proposal(REMOVE), message()],
    rows: [
      ["valn1301", "a wrong signature", proposal(REMOVE, { alterSignature: flip })],
      [
        "valn1302",
        "a wrong membership tag",
        proposal(REMOVE, { publicly: { alterMembershipTag: (tag) => flip(tag ?? EMPTY) } }),
      ],
      ["mk-26", "no such leaf", proposal(REMOVE, { sender: { type: "member", leafIndex: 77 } })],
      ["mk-28", "application data in public", message({ wireFormat: "publicMessage" })],
      ["mk-29", "a damaged ciphertext", message({ privately: { alterCiphertext: flip } })],
      ["valn1303", "padding", message({ privately: { padding: Uint8Array.of(0, 1) } })],
      ["valn1304", "a wrong signature inside", message({ alterSignature: flip })],
      ["valn1306", "sender data without leaf", message({ privately: { leafIndex: 77 } })],
      [
        "mk-33",
        "no such external sender",
        proposal(REMOVE, { sender: { type: "external", senderIndex: 0 } }),
      ],
    ],
  },
  {
    area: "leaf",
    present: toMembers,
    honest: [commit()],
    rows: [
      ["valn0102", "a wrong signature", path({ alterLeafSignature: flip })],
      ["valn0107", "an unlisted extension", path({ leaf: extension })],
      ["valn0113", "an unlisted credential", path({ leaf: blind })],
      ["valn0110", "another source", path({ leaf: { origin: { source: "update" } } })],
    ],
  },
  {
    area: "key package",
    present: toMembers,
    honest: [keyPackage({})],
    rows: [
      ["valn0201", "another suite", keyPackage({ fields: { cipherSuite: 2 } })],
      ["valn0203", "a wrong signature", keyPackage({ alterSignature: flip })],
      [
        "valn0204",
        "one key for two purposes",
        async (world) => {
          const { encryptionKey } = world.stranger.keyPackage.leafNode;
          return keyPackage({ fields: { initKey: encryptionKey } })(world);
        },
      ],
      [
        "mk-54",
        "a lifetime that ends before it begins",
        keyPackage({
          leaf: { origin: { source: "keyPackage", lifetime: { notBefore: 9n, notAfter: 8n } } },
        }),
      ],
    ],
  },
  {
    area: "proposal list",
    present: toMembers,
    honest: [list(REMOVE), (world) => list(add(world.stranger), REMOVE)(world)],
    rows: [
      ["valn0303", "a Remove of the committer", list({ type: "remove", removed: 3 })],
      ["valn0304", "two Removes of one leaf", list(REMOVE, REMOVE)],
      [
        "valn0305",
        "two Adds of one client",
        (world) => list(add(world.stranger), add(world.stranger))(world),
      ],
      ["valn0308", "two lists of extensions", list(extend, extend)],
      ["valn0309", "a ReInit beside others", list(reInit, REMOVE)],
      ["valn0310", "an ExternalInit by a member", list(init)],
      ["valn0701", "a Remove of nobody", list({ type: "remove", removed: 9 })],
    ],
  },
  {
    area: "PSK",
    present: toMembers,
    honest: [proposal(psk())],
    rows: [
      ["valn0803", "a nonce too short", proposal(psk(31))],
      ["valn0307", "one id twice", list(psk(), psk())],
      ["valn1205", "one that nobody has", list(psk())],
    ],
  },
  {
    area: "commit",
    present: toMembers,
    honest: [commit(), list(REMOVE)],
    rows: [
      ["valn1206", "no path where one is due", commit({ proposals: [REMOVE], path: false })],
      [
        "mk-77",
        "a wrong confirmation tag",
        commit({ alterConfirmationTag: (tag) => flip(tag ?? EMPTY) }),
      ],
    ],
  },
  {
    area: "path",
    present: toMembers,
    honest: [path({})],
    rows: [
      ["mk-72", "a node less", path({ alterNodes: (nodes) => nodes.slice(1) })],
      ["mk-73", "one key in two nodes", path({ alterKeys: (keys) => keys.map(() => keys[0]!) })],
      ["mk-74", "a wrong parent hash", path({ alterParentHash: flip })],
      ["mk-75", "another context", path({ alterContext: flip })],
      ["mk-76", "another secret", path({ alterSecret: flip })],
      ["mk-22", "a secret too short", path({ alterSecret: (secret) => secret.subarray(1) })],
      ["valn1101", "ciphertexts too many", path(longer)],
    ],
  },
  {
    area: "external commit",
    present: toMembers,
    honest: [externally()],
    rows: [
      ["valn0401", "no ExternalInit", externally({ proposals: () => [] })],
      [
        "valn0402",
        "two Removes",
        externally({ proposals: (own) => [own, REMOVE, { type: "remove", removed: 2 }] }),
      ],
      [
        "valn0404",
        "a proposal that is not its to make",
        externally({ proposals: (own) => [own, extend] }),
      ],
      ["valn0405", "no path", externally({ path: false })],
      ["valn0407", "a wrong signature", externally({ alterSignature: flip })],
    ],
  },
  {
    area: "tree",
    present: toStrangers,
    honest: [tree((nodes) => nodes)],
    rows: [
      ["mk-97", "a blank node at the end", tree((nodes) => [...nodes, undefined])],
      [
        "mk-98",
        "unmerged leaves out of order",
        tree((nodes) => withParent(nodes, 3, { unmergedLeaves: [3, 2] })),
      ],
      ["valn1405", "another tree hash", groupInfo({ context: { treeHash: new Uint8Array(32) } })],
      [
        "valn1406",
        "a wrong parent hash",
        tree((nodes) => withParent(nodes, 3, { parentHash: new Uint8Array(32) })),
      ],
      [
        "valn1410",
        "one key twice",
        tree((nodes) => withParent(nodes, 3, { encryptionKey: keyOf(nodes[4]) })),
      ],
    ],
  },
  {
    area: "GroupInfo",
    present: toStrangers,
    honest: [groupInfo()],
    rows: [
      ["valn1402", "a wrong signature", groupInfo({ alterSignature: flip })],
      ["mk-96", "no tree", groupInfo({ alterExtensions: (all) => all.slice(1) })],
      ["mk-15", "an extension twice", groupInfo({ alterExtensions: (all) => [...all, ...all] })],
    ],
  },
  {
    area: "Welcome",
    present: toJoiner,
    honest: [welcome()],
    rows: [
      [
        "mk-93",
        "one for somebody else",
        async ({ next, stranger }) => (await forgeWelcome(next, { joiners: [stranger] })).bytes,
      ],
      ["mk-94", "another suite", welcome({ alterWelcome: (it) => ({ ...it, cipherSuite: 3 }) })],
      [
        "mk-95",
        "secrets that open nothing",
        welcome({ alterSecrets: (it) => ({ ...it, joinerSecret: new Uint8Array(32) }) }),
      ],
      [
        "mk-100",
        "a path secret that does not fit",
        welcome({ pathSecret: () => new Uint8Array(32) }),
      ],
      ["valn1404", "a GroupInfo of another suite", welcome({ context: { cipherSuite: 3 } })],
      ["valn1411", "a wrong confirmation tag", welcome({ alterConfirmationTag: flip })],
    ],
  },
];

describe.each(AREAS)("M-TST-05 $area", ({ honest, rows, present }) => {
  test.each(rows)("M-TST-05 %s: %s", async (rule, _, forged) => {
    const world = await newWorld();
    const before = await stored(world);
    const answers = await present(world, await forged(world));
    expect(answers).toEqual(answers.map(() => rule));
    expect(await stored(world)).toEqual(before);
    const make = honest[0] as Make;
    const accepted = await present(world, await make(world));
    expect(accepted, "the honest one").toEqual(accepted.map(() => undefined));
  });

  test("M-TST-05 ok: without a forgery it is accepted", async () => {
    for (const make of honest) {
      const world = await newWorld();
      const answers = await present(world, await make(world));
      expect(answers).toEqual(answers.map(() => undefined));
    }
  });
});
