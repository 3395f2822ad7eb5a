/** Rules of section 8 that a Commit shows in public, and those of its secrets. RFC 9420 §7.4–7.6, §12.4. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { EMPTY_BYTES, equalBytes, MAX_UINT64, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import {
  ExtensionType,
  ExternalPub,
  findExtension,
  readExtension,
} from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { encodeContext } from "../../src/group/epoch.ts";
import { cacheKey } from "../../src/group/proposal-entry.ts";
import { validateGroupInfo } from "../../src/group/validate-group-info.ts";
import { externalKeyPair } from "../../src/key-schedule/external-init.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import type { UpdatePath } from "../../src/tree/nodes.ts";
import { leafIndex, nodeOfLeaf } from "../../src/tree/tree-math.ts";
import { authenticates, expectRule, refuses, unchanged } from "../support/assertions.ts";
import {
  flipped,
  forgeCommit,
  forgeExternalCommit,
  newKeyPair,
  type PathForgery,
} from "../support/forge.ts";
import {
  ABLE,
  acceptedList,
  add,
  CUSTOM_PROPOSAL,
  cachedFrom,
  EXTENDED,
  extend,
  goesOn,
  knowing,
  leftOut,
  notCommitted,
  psk,
  pskId,
  publicGroup,
  publicGroupRefuses,
  refusedEverywhere,
  refusedList,
  reInit,
  remove,
  same,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import {
  capabilitiesFor,
  join,
  newClient,
  newSigner,
  Party,
  provider,
} from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import { commitIn } from "../support/wire.ts";

const NAMES = ["alice", "bob", "carol", "dave"];
const EXTENDED_GROUP = { extensions: EXTENDED, client: ABLE, environment: knowing() };

afterEach(() => {
  vi.restoreAllMocks();
});

function pathIn(bytes: Uint8Array): UpdatePath {
  const { path } = commitIn(bytes);
  if (path === undefined) throw new Error("a path was expected");
  return path;
}

describe("valn1204", () => {
  test("[R O] a Commit with an illegal list is refused, though all else is right", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [remove(1), remove(1)], "valn0304");
    await refusedList(group, [add(await newClient("erin")), reInit()], "valn0309");
    await refusedList(group, [remove(0)], "valn0303");
  });

  test("[R O] ok: a legal list", async () => {
    const group = await TestGroup.of(NAMES);
    const made = await forgeCommit(group.party("alice"), {
      proposals: [remove(3), add(await newClient("erin"))],
    });
    await publicGroup(group).process(made.bytes, group.environment);
    const bob = group.party("bob");
    await bob.receive(made.bytes);
    authenticates(bob.epoch, made.next);
  });
});

describe("valn1205", () => {
  const id = pskId("key");
  const secret = new Secret(utf8("the external secret"));

  test("[C] we commit no PSK that we lack", async () => {
    const group = await TestGroup.of(NAMES);
    await notCommitted(group, [psk(id)], "valn1205", { code: "MISSING_PSK" });
    const cached = await cachedFrom(group.party("bob"), psk(id));
    await leftOut(group, cached, "valn1205");
  });

  test("[R] a Commit with PSKs that we lack waits, and says which", async () => {
    const group = await TestGroup.of(NAMES);
    const list = [psk(id), psk(pskId("other"))];
    const psks = [
      { id, secret },
      { id: pskId("other"), secret },
    ];
    const made = await forgeCommit(group.party("alice"), { proposals: list, psks });
    const bob = group.party("bob");
    const error = await refuses(bob, () => bob.receive(made.bytes), "valn1205", {
      code: "MISSING_PSK",
    });
    expect(error.details["missing"]).toEqual([id, pskId("other")]);
    expect(error.retryable).toBe(true);
    bob.environment = withPsks();
    await bob.receive(made.bytes);
    authenticates(bob.epoch, made.next);
  });

  test("[X] an external joiner names no PSK that it lacks", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("erin");
    const make = () => group.createExternalJoin(client, { psks: [id] });
    await refuses(client, make, "valn1205", { code: "MISSING_PSK" });
  });

  test("[C R X] ok: PSKs that all have", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    await acceptedList(group, [psk(id)], { forcePath: false });
    await group.externalJoin("erin", await newClient("erin"), { psks: [id] });
    same(group);
  });
});

describe("valn1206", () => {
  const lists: readonly [
    string,
    (group: TestGroup) => Promise<Parameters<typeof refusedList>[1]>,
  ][] = [
    ["nothing", async () => []],
    ["an Update", async (group) => [(await updateBy(group.party("bob"))).cached]],
    ["a Remove", async () => [remove(1)]],
    ["new extensions", async () => [extend([])]],
    ["an Add and a Remove", async () => [add(await newClient("erin", ABLE)), remove(1)]],
    ["a registered type", async () => [customProposal(CUSTOM_PROPOSAL, utf8("x"))]],
  ];

  test.each(lists)("[R O] a Commit of %s without a path is refused", async (_, list) => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    await refusedList(group, await list(group), "valn1206", { forgery: { path: false } });
  });

  test.each(lists.filter(([says]) => says !== "an Update"))(
    "[C] a Commit of %s gets its path, wanted or not",
    async (_, list) => {
      const group = await TestGroup.of(NAMES, { ...EXTENDED_GROUP, extensions: [] });
      const proposals = (await list(group)) as readonly Proposal[];
      const { summary } = await group.createCommit("alice", { proposals, forcePath: false });
      expect(summary.hasPath).toBe(true);
    },
  );

  test("[C R O] ok: Add, PreSharedKey and ReInit go with and without a path", async () => {
    for (const forcePath of [true, false]) {
      const group = await TestGroup.of(NAMES, { environment: withPsks() });
      const list = [add(await newClient("erin")), psk(pskId("key"))];
      const { commit } = await group.createCommit("alice", { proposals: list, forcePath });
      expect(commitIn(commit).path !== undefined).toBe(forcePath);
      await acceptedList(group, list, { forcePath });
      await acceptedList(group, [reInit()], { forcePath });
    }
  });
});

interface PathCase {
  readonly rule: RuleId;
  readonly says: string;
  readonly path: (member: Party) => PathForgery | Promise<PathForgery>;
}

const BROKEN_PATHS: readonly PathCase[] = [
  {
    rule: "mk-72",
    says: "a node less",
    path: () => ({ alterNodes: (nodes) => nodes.slice(0, -1) }),
  },
  {
    rule: "mk-72",
    says: "a node more",
    path: () => ({ alterNodes: (nodes) => [...nodes, nodes[0]!] }),
  },
  { rule: "mk-72", says: "no nodes", path: () => ({ alterNodes: () => [] }) },
  {
    rule: "valn1101",
    says: "a ciphertext less",
    path: () => ({
      alterNodes: (nodes) =>
        nodes.map((node, i) => ({
          ...node,
          encryptedPathSecret: node.encryptedPathSecret.slice(i === nodes.length - 1 ? 1 : 0),
        })),
    }),
  },
  {
    rule: "valn1101",
    says: "a ciphertext more",
    path: () => ({
      alterNodes: ([first, ...others]) => {
        const { encryptedPathSecret } = first!;
        const longer = [...encryptedPathSecret, encryptedPathSecret[0]!];
        return [{ ...first!, encryptedPathSecret: longer }, ...others];
      },
    }),
  },
  {
    rule: "valn0110",
    says: "valn1207 a leaf of an Update",
    path: () => ({ leaf: { origin: { source: "update" } } }),
  },
  {
    rule: "valn0113",
    says: "valn1207 a leaf without its own credential type",
    path: () => ({ leaf: { capabilities: { ...capabilitiesFor(1), credentials: [2] } } }),
  },
  {
    rule: "valn0102",
    says: "valn1207 a leaf with a wrong signature",
    path: () => ({ alterLeafSignature: (signature) => flipped(signature, -1) }),
  },
  {
    rule: "valn0102",
    says: "valn1207 a leaf for another position",
    path: () => ({ leafBinding: { leafIndex: 6 } }),
  },
  {
    rule: "valn0102",
    says: "valn1207 a leaf for another group",
    path: () => ({ leafBinding: { groupId: utf8("another group") } }),
  },
  {
    rule: "valn1209",
    says: "the key of a leaf",
    path: ({ epoch }) => ({
      alterKeys: (keys) => [...keys.slice(0, -1), epoch.tree.leaf(leafIndex(2))!.encryptionKey],
    }),
  },
  {
    rule: "valn1209",
    says: "the key of a parent node",
    path: ({ epoch }) => {
      const parents = [...epoch.tree.nodes()].flatMap(([, node]) =>
        node.type === "parent" ? [node.parent.encryptionKey] : [],
      );
      return { alterKeys: (keys) => [...keys.slice(0, -1), parents.at(-1)!] };
    },
  },
  {
    rule: "mk-73",
    says: "one key in two nodes",
    path: () => ({ alterKeys: (keys) => keys.map(() => keys[0]!) }),
  },
  {
    rule: "mk-73",
    says: "one key in leaf and node",
    path: async () => {
      const { publicKey } = await newKeyPair();
      return {
        leaf: { encryptionKey: publicKey },
        alterKeys: ([, ...others]) => [publicKey, ...others],
      };
    },
  },
  {
    rule: "mk-74",
    says: "a wrong parent hash",
    path: () => ({ alterParentHash: (hash) => flipped(hash, 0) }),
  },
  { rule: "mk-74", says: "no parent hash", path: () => ({ alterParentHash: () => EMPTY_BYTES }) },
];

describe.each(BROKEN_PATHS)("$rule $says in a path", ({ rule, path }) => {
  test("[R O] is refused in a member's Commit", async () => {
    const group = await TestGroup.of(NAMES);
    const forgery = { path: await path(group.party("alice")) };
    await refusedList(group, [], rule, { forgery });
  });

  test("[R O] is refused in an external commit", async () => {
    const group = await TestGroup.of(NAMES);
    // Past a blank leaf, so that the joiner's path has more than the root.
    for (const name of ["erin", "frank"]) {
      await group.add("alice", new Map([[name, await newClient(name)]]));
    }
    await group.commit("alice", { proposals: [remove(3)] });
    const member = group.party("alice");
    const made = await forgeExternalCommit(await newClient("grace"), member, {
      path: await path(member),
    });
    await refusedEverywhere(group, "grace", made.bytes, rule);
    await goesOn(group);
  });
});

describe("a path of a Commit", () => {
  test("valn1101 [R O] does not reach the leaves that the Commit adds", async () => {
    const group = await TestGroup.of(NAMES);
    const list = [add(await newClient("erin"))];
    await refusedList(group, list, "valn1101", { forgery: { path: { includeAdded: true } } });
  });

  test("valn1208 [R O] is refused with the committer's old encryption key", async () => {
    const group = await TestGroup.of(NAMES);
    const { encryptionKey } = group.observer.epoch.tree.leaf(leafIndex(0))!;
    await refusedList(group, [], "valn1208", { forgery: { path: { leaf: { encryptionKey } } } });
  });

  test("valn0112 [R O] is refused with another leaf's key in its own leaf", async () => {
    const group = await TestGroup.of(NAMES);
    const { encryptionKey } = group.observer.epoch.tree.leaf(leafIndex(2))!;
    await refusedList(group, [], "valn0112", { forgery: { path: { leaf: { encryptionKey } } } });
  });

  test("valn1210 [R O] is refused if its leaf drops an extension of the group", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const leaf = { capabilities: capabilitiesFor(1) };
    await refusedList(group, [], "valn1210", { forgery: { path: { leaf } } });
    const client = await newClient("erin");
    const made = await forgeExternalCommit(client, group.party("alice"));
    await refusedEverywhere(group, "erin", made.bytes, "valn1210");
  });

  test("valn1210 [R O] is judged by the extensions that the Commit brings", async () => {
    const group = await TestGroup.of(NAMES, { ...EXTENDED_GROUP, extensions: [] });
    const forgery = { path: { leaf: { capabilities: capabilitiesFor(1) } } };
    await refusedList(group, [extend(EXTENDED)], "valn1210", { forgery });
  });

  test("mk-72 valn1101 valn1207 valn1208 valn1209 mk-73 mk-74 valn1210 [C R O] ok: with every node it needs", async () => {
    const group = await TestGroup.of([...NAMES, "erin"], EXTENDED_GROUP);
    // Blanks a side of the tree: that node of the path is left out, and others have two recipients.
    await acceptedList(group, [remove(3), remove(2), await group.proposeUpdate("bob")]);
    await acceptedList(group, [add(await newClient("frank", ABLE))], { forcePath: true });
  });

  test("mk-72 valn1101 valn1207 valn1209 mk-73 mk-74 valn1210 [X R O] ok: of an external joiner", async () => {
    const group = await TestGroup.of([...NAMES, "erin"], EXTENDED_GROUP);
    const observer = publicGroup(group);
    const { commit } = await group.externalJoin("frank", await newClient("frank", ABLE));
    await observer.process(commit, group.environment);
    same(group);
  });
});

describe("a path of our own", () => {
  const structure = async (path: UpdatePath, group: TestGroup, sender: number): Promise<void> => {
    const { tree } = group.observer.epoch;
    const steps = tree.filteredDirectPath(leafIndex(sender));
    expect(path.nodes).toHaveLength(steps.length);
    for (const [i, { copathChild }] of steps.entries()) {
      const { length } = tree.resolution(copathChild, new Set());
      expect(path.nodes[i]!.encryptedPathSecret).toHaveLength(length);
    }
  };

  test("mk-72 valn1101 mk-74 [C] has one node for each step and one ciphertext for each recipient", async () => {
    const group = await TestGroup.of([...NAMES, "erin"]);
    const { commit } = await group.createCommit("alice");
    await structure(pathIn(commit), group, 0);
    const { origin } = pathIn(commit).leafNode;
    expect(origin.source === "commit" && origin.parentHash.length).toBe(32);
    await publicGroup(group).process(commit, group.environment);
  });

  test("mk-72 valn1101 mk-74 [X] likewise if we join by it", async () => {
    const group = await TestGroup.of([...NAMES, "erin"]);
    const { commit, next } = await group.createExternalJoin(await newClient("frank"));
    expect(next.ownLeaf).toBe(5);
    await structure(pathIn(commit), group, 5);
    await publicGroup(group).process(commit, group.environment);
  });

  test("valn1207 [C] has a leaf that others accept, or is not made", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const make = (leaf: object) => () => group.createCommit("alice", { leaf });
    const unlisted = make({ extensions: EXTENDED });
    await refuses(alice, unlisted, "valn0107", { as: "USE" });
    const nameless = make({ capabilities: { ...capabilitiesFor(1), credentials: [2] } });
    await refuses(alice, nameless, "valn0113", { as: "USE" });
    await refuses(alice, make({ signer: group.party("bob").signer }), "valn0111");
  });

  test("valn1207 [X] has a leaf that members accept, or is not made", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await newClient("erin");
    const { signer } = client;
    const { credential } = client.keyPackage.leafNode;
    const leaf = { credential, capabilities: capabilitiesFor(1), extensions: EXTENDED, signer };
    await refuses(client, () => group.createExternalJoin(client, { leaf }), "valn0107", {
      as: "USE",
    });
  });

  test("valn1210 [C] keeps the extensions of the group supported", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const leaf = { capabilities: capabilitiesFor(1) };
    const make = () => group.createCommit("alice", { leaf });
    await refuses(group.party("alice"), make, "valn1210", { as: "USE" });
  });

  test("valn1210 [X] supports the extensions of the group", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const client = await newClient("erin");
    await refuses(client, () => group.createExternalJoin(client), "valn1210", { as: "USE" });
  });

  /** A generator of keys that repeats itself. */
  function stuck(method: "generateKeyPair" | "deriveKeyPair", publicKey: Uint8Array): void {
    const privateKey = new Uint8Array(32).fill(1);
    vi.spyOn(provider.suite(1), method).mockImplementation(() => ({ publicKey, privateKey }));
  }

  test("valn1208 [C] does not keep the encryption key of our leaf", async () => {
    const group = await TestGroup.of(NAMES);
    stuck("generateKeyPair", group.observer.epoch.tree.leaf(leafIndex(0))!.encryptionKey);
    await refuses(group.party("alice"), () => group.createCommit("alice"), "valn1208");
  });

  test("valn1209 [C] repeats no key of the tree", async () => {
    const group = await TestGroup.of(NAMES);
    stuck("generateKeyPair", group.observer.epoch.tree.leaf(leafIndex(2))!.encryptionKey);
    await refuses(group.party("alice"), () => group.createCommit("alice"), "valn1209");
  });

  test("mk-73 [C] repeats no key of its own", async () => {
    const group = await TestGroup.of(NAMES);
    stuck("deriveKeyPair", (await newKeyPair()).publicKey);
    await refuses(group.party("alice"), () => group.createCommit("alice"), "mk-73");
  });

  test("valn1209 mk-73 [X] repeats no key if we join by it", async () => {
    const group = await TestGroup.of([...NAMES, "erin"]);
    const client = await newClient("frank");
    const groupInfo = await group.groupInfo("alice");
    const make = () => group.createExternalJoin(client, { groupInfo });
    stuck("deriveKeyPair", group.observer.epoch.tree.leaf(leafIndex(2))!.encryptionKey);
    await refuses(client, make, "valn1209");
    stuck("deriveKeyPair", client.keyPackage.initKey);
    await refuses(client, make, "mk-73");
  });
});

describe("the secrets of a path", () => {
  const spoil = (alter: (bytes: Uint8Array) => Uint8Array, part: "kemOutput" | "ciphertext") => ({
    alterNodes: (nodes: UpdatePath["nodes"]) =>
      nodes.map((node) => ({
        ...node,
        encryptedPathSecret: node.encryptedPathSecret.map((sealed) => ({
          ...sealed,
          [part]: alter(sealed[part]),
        })),
      })),
  });
  const undecryptable: readonly [string, PathForgery][] = [
    ["a damaged ciphertext", spoil((it) => flipped(it, 0), "ciphertext")],
    ["a short ciphertext", spoil((it) => it.slice(0, 3), "ciphertext")],
    ["a foreign KEM output", spoil((it) => flipped(it, 1), "kemOutput")],
    ["a short KEM output", spoil((it) => it.slice(1), "kemOutput")],
    ["a KEM output of zeros", spoil((it) => new Uint8Array(it.length), "kemOutput")],
    ["another group context", { alterContext: (it) => flipped(it, -1) }],
  ];

  test.each(undecryptable)("mk-75 [R] %s is refused by all it is meant for", async (_, path) => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [], "mk-75", { forgery: { path }, observer: false });
  });

  test("mk-75 [R] the context is the one after the proposals", async () => {
    const group = await TestGroup.of(NAMES);
    const { contextBytes } = group.observer.epoch;
    const forgery = { path: { alterContext: () => contextBytes } };
    await refusedList(group, [], "mk-75", { forgery, observer: false });
  });

  test("mk-76 [R] a secret that does not lead to the announced keys is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const forgery = { path: { alterSecret: (it: Uint8Array) => flipped(it, 0) } };
    await refusedList(group, [], "mk-76", { forgery, observer: false });
  });

  test("mk-76 [R] whoever gets a wrong secret refuses, at whatever level it is", async () => {
    const group = await TestGroup.of(NAMES);
    const alterSecret = (secret: Uint8Array, at: number) =>
      at === 0 ? flipped(secret, 0) : secret;
    const { bytes } = await forgeCommit(group.party("alice"), { path: { alterSecret } });
    await refusedEverywhere(group, "alice", bytes, "mk-76", { by: ["bob"], observer: false });
  });

  test("mk-76 [R] an announced root key that nobody derives is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const { publicKey } = await newKeyPair();
    const alterKeys = (keys: readonly Uint8Array[]) => [...keys.slice(0, -1), publicKey];
    await refusedList(group, [], "mk-76", { forgery: { path: { alterKeys } }, observer: false });
  });

  test("mk-75 mk-76 mk-77 [R] ok: every member derives every key above it", async () => {
    const group = await TestGroup.of([...NAMES, "erin", "frank", "grace"]);
    const made = await forgeCommit(group.party("dave"), { proposals: [remove(1)] });
    for (const party of group.members) {
      if (party.name === "dave") continue;
      await party.receive(made.bytes);
      if (!party.isMember) continue;
      authenticates(party.epoch, made.next);
      for (const [node, secret] of party.epoch.privateKeys) {
        const known = made.path!.privateKeys.get(node);
        if (known !== undefined) expect(toHex(secret.bytes)).toBe(toHex(known.bytes));
      }
    }
  });
});

describe("mk-77", () => {
  const wrong = [
    ["a flipped bit", { alterConfirmationTag: (tag?: Uint8Array) => flipped(tag!, 5) }],
    ["a missing byte", { alterConfirmationTag: (tag?: Uint8Array) => tag!.slice(1) }],
    ["another init secret", { initSecret: new Secret(new Uint8Array(32).fill(3)) }],
  ] as const;

  test.each(wrong)("[R] a tag with %s is refused, with and without a path", async (_, forgery) => {
    const group = await TestGroup.of(NAMES);
    const list = [add(await newClient("erin"))];
    for (const more of [{}, { path: false }] as const) {
      await refusedList(group, list, "mk-77", {
        forgery: { ...forgery, ...more },
        observer: false,
      });
    }
    const { bytes } = await forgeCommit(group.party("alice"), {
      ...forgery,
      wireFormat: "privateMessage",
    });
    await refusedEverywhere(group, "alice", bytes, "mk-77");
    await goesOn(group);
  });
});

test("mk-77 [R] zeros do not stand in for a PSK, nor does one that differs", async () => {
  const group = await TestGroup.of(NAMES, { environment: withPsks() });
  const id = pskId("key");
  const proposals = [psk(id)];
  for (const psks of [[], [{ id, secret: new Secret(new Uint8Array(32)) }]]) {
    const { bytes } = await forgeCommit(group.party("alice"), { proposals, psks });
    await refusedEverywhere(group, "alice", bytes, "mk-77", { observer: false });
  }
});

describe("mk-78", () => {
  const beyondReach = {
    path: {
      alterSecret: (secret: Uint8Array) => flipped(secret, 0),
      alterContext: (context: Uint8Array) => flipped(context, 0),
    },
    alterConfirmationTag: (tag?: Uint8Array) => flipped(tag!, 0),
  };

  test.each(["publicMessage", "privateMessage"] as const)(
    "[R] a %s that removes us ends the group, whatever its secrets are",
    async (wireFormat) => {
      const group = await TestGroup.of(NAMES);
      const { bytes } = await forgeCommit(group.party("alice"), {
        proposals: [remove(1)],
        wireFormat,
        ...beyondReach,
      });
      const bob = group.party("bob");
      const received = await bob.receive(bytes);
      expect(received.kind === "commit" && received.staged.next).toBeUndefined();
      expect(received.kind === "commit" && received.staged.summary.removed).toMatchObject([
        { leafIndex: 1 },
      ]);
      expect(bob.isMember).toBe(false);
      const carol = group.party("carol");
      await refuses(carol, () => carol.receive(bytes), "mk-75");
    },
  );

  test("[R O] whoever is removed needs none of the PSKs", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => group.party(name));
    const proposals = [remove(1), psk(pskId("bob has it not"))];
    const { bytes } = await forgeCommit(alice!, { proposals });
    await refuses(carol!, () => carol!.receive(bytes), "valn1205");
    await publicGroup(group).process(bytes, group.environment);
    const received = await bob!.receive(bytes);
    expect(received.kind === "commit" && received.staged.summary.removed).toMatchObject([
      { leafIndex: 1 },
    ]);
    expect(bob!.isMember).toBe(false);
  });

  test("[R] what a removed member can check, it checks", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const bob = group.party("bob");
    const flip = (bytes?: Uint8Array): Uint8Array => flipped(bytes!, -1);
    const cases: readonly [RuleId, Parameters<typeof forgeCommit>[1]][] = [
      ["valn1203", { proposals: [remove(1)], alterSignature: flip }],
      ["valn1202", { proposals: [remove(1)], publicly: { alterMembershipTag: flip } }],
      ["valn0701", { proposals: [remove(1), remove(77)] }],
      ["valn1206", { proposals: [remove(1)], path: false }],
      ["mk-72", { proposals: [remove(1)], path: { alterNodes: () => [] } }],
      ["mk-74", { proposals: [remove(1)], path: { alterParentHash: () => EMPTY_BYTES } }],
      ["valn0102", { proposals: [remove(1)], path: { alterLeafSignature: flip } }],
    ];
    for (const [rule, forgery] of cases) {
      const { bytes } = await forgeCommit(alice, forgery);
      await refuses(bob, () => bob.receive(bytes), rule);
      expect(bob.isMember).toBe(true);
    }
    await goesOn(group);
  });
});

describe("mk-79", () => {
  test("[R] a Commit in our name that we do not have pending is refused", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const { bytes } = await forgeCommit(alice, { proposals: [remove(3)] });
    await refuses(alice, () => alice.receive(bytes), "mk-79", { code: "OWN_COMMIT_MISMATCH" });
    const hidden = await forgeCommit(alice, { wireFormat: "privateMessage" });
    expect(await unchanged(alice, () => alice.receive(hidden.bytes))).toEqual({ kind: "own" });
    await goesOn(group);
  });
});

describe("mk-80", () => {
  test("[C] making Commits leaves the epoch as it was, and a rival's can be followed", async () => {
    const group = await TestGroup.of(NAMES);
    await group.proposeUpdate("alice");
    const alice = group.party("alice");
    for (const wireFormat of ["publicMessage", "privateMessage"] as const) {
      await unchanged(alice, () => group.createCommit("alice", { wireFormat }));
      await unchanged(alice, () => group.createCommit("alice", { proposals: [remove(1)] }));
    }
    await group.commit("bob", { forcePath: true });
    same(group);
  });
});

describe("mk-83", () => {
  test("[R] an Update of ours whose key is gone cannot be followed", async () => {
    const group = await TestGroup.of(NAMES);
    const cached = await group.proposeUpdate("bob");
    const bob = group.party("bob");
    const { bytes, next } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    bob.cache.set(cacheKey(cached.reference), { ...cached, ownUpdate: undefined });
    await refuses(bob, () => bob.receive(bytes), "mk-83");
    bob.remember(cached);
    await bob.receive(bytes);
    authenticates(bob.epoch, next);
  });

  test.each([0, 1])("[R] ok: of two Updates of ours number %i is committed", async (at) => {
    const group = await TestGroup.of(NAMES);
    const signer = await newSigner();
    const updates = [
      await group.proposeUpdate("bob"),
      await group.proposeUpdate("bob", { signer }),
    ];
    await acceptedList(group, [updates[at]!]);
    const bob = group.party("bob");
    const own = bob.epoch.privateKeys.get(nodeOfLeaf(leafIndex(1)))!;
    expect(toHex(own.bytes)).toBe(toHex(updates[at]!.ownUpdate!.leafPrivateKey.bytes));
    expect(bob.signer === signer).toBe(at === 1);
    await group.commit("bob");
    await group.commit("alice");
    same(group);
  });
});

describe("mk-84", () => {
  test("[C] a GroupInfo belongs to the new epoch in all its parts, after a change of signer too", async () => {
    const group = await TestGroup.of(NAMES, EXTENDED_GROUP);
    const signer = await newSigner();
    const joiner = await newClient("erin", ABLE);
    const made = await group.createCommit("alice", {
      proposals: [add(joiner)],
      leaf: { signer },
      groupInfo: { externalPub: true },
    });
    const message = decodeMlsMessage(made.groupInfo!);
    if (message.wireFormat !== "groupInfo") throw new Error("a GroupInfo was expected");
    const info = message.message;
    const { crypto, context, tree, secrets } = made.next;
    expect(toHex(encodeContext(info.groupContext))).toBe(toHex(encodeContext(context)));
    expect(info.groupContext.epoch).toBe(group.observer.epoch.context.epoch + 1n);
    expect(equalBytes(info.confirmationTag, made.confirmationTag)).toBe(true);
    expect(tree.leaf(leafIndex(info.signer))!.signatureKey).toEqual(signer.publicKey);
    const { publicKey } = await externalKeyPair(crypto, secrets.externalSecret);
    expect(readExtension(info.extensions, ExtensionType.externalPub, ExternalPub)).toEqual(
      publicKey,
    );
    expect(findExtension(info.extensions, ExtensionType.ratchetTree)).toEqual(tree.encode());
    expect(info.extensions.map(({ type }) => type)).toEqual([2, 4]);
    await validateGroupInfo(crypto, info, group.environment);
    const { groupInfo: welcomed, inviter } = await join(
      made.welcomes[0]!.bytes,
      [joiner],
      group.environment,
    );
    expect(inviter).toBe(0);
    expect(welcomed.groupContext).toEqual(info.groupContext);
    const bob = group.party("bob");
    await bob.receive(made.commit);
    authenticates(bob.epoch, {
      secrets: { ...made.next.secrets, encryptionSecret: new Secret(EMPTY_BYTES) },
    });
  });
});

describe("mk-85", () => {
  /** Everybody in an epoch with this number. */
  function shift(group: TestGroup, number: bigint): void {
    for (const holder of [...group.members, group.observer]) {
      const context = { ...holder.epoch.context, epoch: number };
      const contextBytes = encodeContext(context);
      if ("bundle" in holder) holder.epoch = { ...holder.epoch, context, contextBytes };
      else holder.epoch = { ...holder.epoch, context, contextBytes };
    }
  }

  test("[C] no Commit is made in the last epoch", async () => {
    const group = await TestGroup.of(NAMES);
    shift(group, MAX_UINT64);
    await refuses(group.party("alice"), () => group.createCommit("alice"), "mk-85");
    await expectRule(async () => group.createExternalJoin(await newClient("erin")), "mk-85");
  });

  test.each([undefined, false] as const)(
    "[R O] no Commit is followed out of the last epoch",
    async (path) => {
      const group = await TestGroup.of(NAMES);
      const { name, bundle, epoch, environment } = group.party("alice");
      const alice = new Party(name, bundle, epoch, environment);
      shift(group, MAX_UINT64);
      const { contextBytes } = group.observer.epoch;
      const { bytes } = await forgeCommit(alice, {
        proposals: [add(await newClient("erin"))],
        epoch: MAX_UINT64,
        signedContext: contextBytes,
        publicly: { taggedContext: contextBytes },
        ...(path === undefined ? {} : { path }),
      });
      for (const name of ["bob", "carol"]) {
        const party = group.party(name);
        await refuses(party, () => party.receive(bytes), "mk-85");
      }
      await publicGroupRefuses(group, bytes, "mk-85");
    },
  );

  test("[C R O] ok: the epoch before the last one has a successor", async () => {
    const group = await TestGroup.of(NAMES);
    shift(group, MAX_UINT64 - 1n);
    await goesOn(group);
    expect(group.observer.epoch.context.epoch).toBe(MAX_UINT64);
  });
});
