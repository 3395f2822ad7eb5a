/** Rules of section 4: what a leaf says, on every way it takes. RFC 9420 §7.2, §7.3. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, fromHex, MAX_UINT64, skipOpaque, utf8 } from "../../src/codec/index.ts";
import { makeExtension, RequiredCapabilities } from "../../src/extensions/extension.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import type { Capabilities } from "../../src/tree/nodes.ts";
import { agree, expectRule, refuses } from "../support/assertions.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import { flipped, forgeCommit, forgeExternalCommit, type LeafChanges } from "../support/forge.ts";
import { capabilitiesFor, type ClientOptions, newClient } from "../support/parties.ts";
import { TestGroup, type TestGroupOptions } from "../support/test-group.ts";
import {
  believed,
  forgedUpdate,
  notAdded,
  outsider,
  refusedAsAdd,
  refusedAsPath,
  refusedAsTree,
  refusedAsUpdate,
  type WorldOptions,
  world,
} from "./carriers.ts";
import { commitWith } from "./commits.ts";

const NAMES = ["alice", "bob", "carol"];
const capabilities = (changes: Partial<Capabilities>): LeafChanges => ({
  capabilities: { ...capabilitiesFor(1), ...changes },
});
const lifetime = (notBefore: bigint, notAfter: bigint): LeafChanges => ({
  origin: { source: "keyPackage", lifetime: { notBefore, notAfter } },
});
const EXPIRED = lifetime(NOW - 1000n, NOW - 1n);
const strict = (maximumLifetime = DEFAULT_LIMITS.maximumLifetime) =>
  testEnvironment({ limits: { ...DEFAULT_LIMITS, strictLifetimes: true, maximumLifetime } });
const extension = (type: number, data = EMPTY_BYTES): LeafChanges => ({
  extensions: [{ type, data }],
});

const REQUIRED = makeExtension(3, RequiredCapabilities, {
  extensionTypes: [0x1111],
  proposalTypes: [0x2222],
  credentialTypes: [1],
});
const ABLE: ClientOptions = {
  capabilities: { extensions: [0x1111], proposals: [0x2222] },
};

interface LeafCase {
  readonly rule: RuleId;
  readonly says: string;
  readonly leaf: LeafChanges;
  readonly group?: TestGroupOptions;
  readonly tree?: WorldOptions;
}

/** Violations that every leaf can commit, wherever it stands. */
const ANYWHERE: readonly LeafCase[] = [
  {
    rule: "valn0103",
    says: "a required extension is not listed",
    leaf: capabilities({ proposals: [0x2222] }),
    group: { extensions: [REQUIRED], client: ABLE },
    tree: { context: { extensions: [REQUIRED] }, client: ABLE },
  },
  {
    rule: "valn0103",
    says: "a required proposal is not listed",
    leaf: capabilities({ extensions: [0x1111] }),
    group: { extensions: [REQUIRED], client: ABLE },
    tree: { context: { extensions: [REQUIRED] }, client: ABLE },
  },
  {
    rule: "valn0107",
    says: "an extension of its own is not listed",
    leaf: extension(0x3333),
  },
  {
    rule: "valn0113",
    says: "the type of its own credential is not listed",
    leaf: capabilities({ credentials: [2] }),
  },
  {
    rule: "mk-49",
    says: "the protocol version is not listed",
    leaf: capabilities({ versions: [2] }),
  },
  {
    rule: "valn1601",
    says: "an extension of the group context stands in a leaf",
    leaf: extension(5, fromHex("00")),
  },
];

describe.each(ANYWHERE)("$rule $says", ({ rule, leaf, group: options, tree }) => {
  test("[C] and no Add is made", async () => {
    const group = await TestGroup.of(NAMES, options);
    await notAdded(group, await outsider({ leaf }), rule);
  });

  test("[RO] in an Add", async () => {
    const group = await TestGroup.of(NAMES, options);
    await refusedAsAdd(group, await outsider({ leaf }), rule);
  });

  test("[RO] in an Update", async () => {
    const group = await TestGroup.of(NAMES, options);
    await refusedAsUpdate(group, { changes: leaf }, rule);
  });

  test("[RO] in a path", async () => {
    const group = await TestGroup.of(NAMES, options);
    await refusedAsPath(group, leaf, rule);
  });

  test("[JXO] in a tree", async () => {
    await refusedAsTree({ ...tree, bob: { leaf } }, rule);
  });
});

test("valn0103 [CRO] ok: what is required is listed, or a default type", async () => {
  const everyDefault = makeExtension(3, RequiredCapabilities, {
    extensionTypes: [0x1111, 1, 2, 3, 4, 5],
    proposalTypes: [0x2222, 1, 2, 3, 4, 5, 6, 7],
    credentialTypes: [1],
  });
  const group = await TestGroup.of(NAMES, { extensions: [everyDefault], client: ABLE });
  await group.proposeUpdate("bob");
  await group.add("alice", new Map([["dave", await newClient("dave", ABLE)]]));
  await agree(group);
});

test("valn0103 [C] our own leaf does not lose what is required", async () => {
  const group = await TestGroup.of(NAMES, { extensions: [REQUIRED], client: ABLE });
  const leaf = { capabilities: capabilitiesFor(1) };
  await expectRule(() => group.createCommit("alice", { leaf }), "valn0103", { as: "USE" });
  await expectRule(() => group.proposeUpdate("alice", leaf), "valn0103", { as: "USE" });
});

test("valn0107 valn0113 mk-49 valn1601 [CRJXO] ok: leaves with extensions they list", async () => {
  const leafExtensions = [
    { type: 1, data: fromHex("026162") },
    { type: 0x3333, data: utf8("anything") },
  ];
  const client = { leafExtensions, capabilities: { extensions: [0x3333] } };
  const group = await TestGroup.of(NAMES, { client });
  await group.proposeUpdate("bob");
  await group.commit("carol");
  await agree(group);
  await believed({ client });
});

test("mk-49 [CRJXO] ok: a leaf that does not list the suite in use is accepted from others", async () => {
  const leaf = capabilities({ cipherSuites: [] });
  const group = await TestGroup.of(NAMES);
  const client = await outsider({ leaf });
  await group.add("alice", new Map([["mallory", client]]));
  const { cached } = await forgedUpdate(group, { changes: leaf });
  for (const party of group.members) party.remember(cached);
  await group
    .party("carol")
    .receive((await forgeCommit(group.party("alice"), { path: { leaf } })).bytes);
  await believed({ bob: { leaf } });
});

test("mk-49 [C] our own leaves list version and suite", async () => {
  for (const lacking of [{ versions: [] }, { cipherSuites: [] }]) {
    await expectRule(() => newClient("alice", { capabilities: lacking }), "mk-49", { as: "USE" });
  }
});

test("valn0107 valn0113 valn1601 [C] our own leaves keep to it", async () => {
  const make = (options: ClientOptions) => () => newClient("alice", options);
  const listed = { extensions: [0x3333] };
  await expectRule(make({ capabilities: { credentials: [2] } }), "valn0113", { as: "USE" });
  await expectRule(make({ leafExtensions: [{ type: 0x3334, data: EMPTY_BYTES }] }), "valn0107", {
    as: "USE",
  });
  const misplaced = { leafExtensions: [{ type: 4, data: EMPTY_BYTES }], capabilities: listed };
  await expectRule(make(misplaced), "valn1601", { as: "USE" });
});

describe("signatures", () => {
  const alter = (signature: Uint8Array): Uint8Array => flipped(signature, 40);

  test("valn0102 [CRO] a key package whose leaf is signed wrongly", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await outsider({ alterLeafSignature: alter });
    await notAdded(group, client, "valn0102");
    await refusedAsAdd(group, client, "valn0102");
  });

  test("valn0102 [RO] an Update signed wrongly, for another group, or another position", async () => {
    const group = await TestGroup.of(NAMES);
    const { groupId } = group.party("alice").epoch.context;
    for (const forgery of [
      { alterSignature: alter },
      { binding: { groupId: utf8("another"), leafIndex: 1 } },
      { binding: { groupId, leafIndex: 2 } },
    ]) {
      await refusedAsUpdate(group, forgery, "valn0102");
    }
  });

  test("valn0102 [RO] a path leaf signed wrongly, for another group, or another position", async () => {
    const group = await TestGroup.of(NAMES);
    for (const path of [
      { alterLeafSignature: alter },
      { leafBinding: { groupId: utf8("another") } },
      { leafBinding: { leafIndex: 1 } },
    ]) {
      const { bytes } = await forgeCommit(group.party("alice"), { path });
      for (const party of [group.party("bob"), group.observer]) {
        await refuses(party, () => party.receive(bytes), "valn0102");
      }
    }
  });

  test("valn0102 [JXO] a tree with a leaf signed wrongly", async () => {
    await refusedAsTree({ bob: { alterLeafSignature: alter } }, "valn0102");
  });

  test("valn0102 [CRJXO] ok: leaves from key packages, Updates and paths", async () => {
    const group = await TestGroup.of(NAMES);
    await group.proposeUpdate("bob");
    await group.commit("alice");
    await group.add("carol", new Map([["dave", await newClient("dave")]]));
    await group.externalJoin("erin", await newClient("erin"));
    await agree(group);
  });
});

describe("credential types", () => {
  const types = {
    proposals: new Map(),
    credentials: new Map([[9, skipOpaque]]),
    extensions: new Set<number>(),
  };
  const environment = testEnvironment({ types });
  const custom = { type: "custom", credentialType: 9, body: fromHex("0178") } as const;
  const stranger: ClientOptions = { credential: custom, capabilities: { credentials: [9, 1] } };

  test("valn0104 [CRO] a credential that a member does not support is not added", async () => {
    const group = await TestGroup.of(NAMES, { environment });
    const client = await newClient("mallory", stranger);
    await notAdded(group, client, "valn0104");
    await refusedAsAdd(group, client, "valn0104");
    const changes = { credential: custom, ...capabilities({ credentials: [9, 1] }) };
    await refusedAsPath(group, changes, "valn0104");
    const { cached } = await forgedUpdate(group, { changes });
    await commitWith(group, cached, "valn0104");
  });

  test("valn0104 [CRO] nor is a client that does not support the members' credentials", async () => {
    const client: ClientOptions = { capabilities: { credentials: [1, 9] } };
    const group = await TestGroup.of(NAMES, { environment, client });
    const mallory = await newClient("m", { ...stranger, capabilities: { credentials: [9] } });
    await notAdded(group, mallory, "valn0104");
    await refusedAsAdd(group, mallory, "valn0104");
  });

  test("valn0104 [JXO] a tree whose members cannot all verify each other", async () => {
    const leaf = { credential: custom, ...capabilities({ credentials: [9, 1] }) };
    await refusedAsTree({ environment, bob: { leaf } }, "valn0104");
  });

  test("valn0104 [X] a joiner whose credential the members do not support", async () => {
    const { external, joiner } = await world({ environment, joiner: stranger });
    await refuses(joiner, external, "valn0104");
  });

  test("valn0104 [C] our own leaf does not take on a credential that others do not support", async () => {
    const group = await TestGroup.of(NAMES, { environment });
    const leaf = { credential: custom, ...capabilities({ credentials: [9, 1] }) };
    await expectRule(() => group.createCommit("alice", { leaf }), "valn0104");
  });

  test("valn0104 [CRO] ok: a member that takes on another type together with its support", async () => {
    const group = await TestGroup.of(["alice"], { environment });
    const client: ClientOptions = { capabilities: { credentials: [1, 9] } };
    const others = new Map([
      ["bob", await newClient("bob", client)],
      ["carol", await newClient("carol", client)],
    ]);
    await group.add("alice", others);
    const leaf = { credential: custom, ...capabilities({ credentials: [1, 9] }) };
    await group.commit("alice", { leaf: { ...leaf } });
    await agree(group);
    const alone = await TestGroup.of(["alice"], { environment });
    await alone.commit("alice", { leaf: { ...leaf, ...capabilities({ credentials: [9] }) } });
  });

  test("valn0104 [CRJXO] ok: a mixed group in which all list both types", async () => {
    const client: ClientOptions = { capabilities: { credentials: [1, 9] } };
    const group = await TestGroup.of(NAMES, { environment, client });
    await group.add("bob", new Map([["mallory", await newClient("mallory", stranger)]]));
    await group.externalJoin("joiner", await newClient("joiner", stranger));
    await agree(group);
    await believed({ environment, client, joiner: stranger });
  });
});

describe("the authentication service", () => {
  const refusing = testEnvironment({
    authenticationService: {
      validate: (identities) =>
        identities.map(({ credential }) => {
          const isMallory =
            credential.type === "basic" && credential.identity.join() === utf8("mallory").join();
          return isMallory ? { reason: "a stranger" } : true;
        }),
      isSuccessor: () => ({ reason: "somebody else" }),
    },
  });
  const mallory: LeafChanges = { credential: { type: "basic", identity: utf8("mallory") } };
  const eve: LeafChanges = { credential: { type: "basic", identity: utf8("eve") } };

  test("valn0101 [C] a credential that is refused is not added and starts no group", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    group.party("alice").environment = refusing;
    await notAdded(group, await outsider(), "valn0101", { code: "CREDENTIAL_REJECTED" });
    await expectRule(() => TestGroup.of(["mallory"], { environment: refusing }), "valn0101");
    const leaf = { credential: mallory.credential! };
    await expectRule(() => group.createCommit("alice", { leaf }), "valn0101");
  });

  test("valn0101 [R] in Add, Update and path, alone and committed", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob, carol] = NAMES.map((name) => group.party(name));
    carol!.environment = refusing;
    const { keyPackage } = await outsider();
    const add = { type: "add", keyPackage } as const;
    const commits = [
      await forgeCommit(alice!, { proposals: [add] }),
      await forgeCommit(bob!, { path: { leaf: mallory } }),
      await forgeExternalCommit(await outsider(), alice!),
    ];
    for (const { bytes } of commits) {
      await refuses(carol!, () => carol!.receive(bytes), "valn0101");
    }
    const { bytes } = await forgedUpdate(group, { changes: mallory });
    await refuses(carol!, () => carol!.receive(bytes), "valn0101");
  });

  test("valn0101 [JX] in the tree of a group that is joined", async () => {
    const { join, external, joiner } = await world({
      environment: refusing,
      bob: { leaf: mallory },
    });
    await refuses(joiner, join, "valn0101");
    await refuses(joiner, external, "valn0101");
  });

  test("mk-48 [C] we do not become somebody that others would not accept", async () => {
    const group = await TestGroup.of(NAMES);
    group.party("alice").environment = refusing;
    const leaf = { credential: eve.credential! };
    await expectRule(() => group.createCommit("alice", { leaf }), "mk-48");
    await expectRule(() => group.proposeUpdate("alice", leaf), "mk-48");
  });

  test("mk-48 [R] no stranger takes a member's place by Update, path or external commit", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob, carol] = NAMES.map((name) => group.party(name));
    carol!.environment = refusing;
    const update = await forgedUpdate(group, { changes: eve });
    const resync = await forgeExternalCommit(await newClient("bob"), alice!, {
      proposals: (externalInit) => [externalInit, { type: "remove", removed: 1 }],
    });
    const path = await forgeCommit(bob!, { path: { leaf: eve } });
    for (const { bytes } of [update, resync, path]) {
      await refuses(carol!, () => carol!.receive(bytes), "mk-48", { code: "CREDENTIAL_REJECTED" });
    }
  });

  test("mk-48 [X] a joiner does not replace a leaf that is not its own", async () => {
    const environment = testEnvironment({
      authenticationService: {
        ...refusing.authenticationService,
        validate: (all) => all.map(() => true),
      },
    });
    const group = await TestGroup.of(NAMES, { environment });
    const client = await newClient("bob");
    const resync = () => 1;
    await expectRule(() => group.createExternalJoin(client, { resync }), "mk-48");
  });

  test("valn0101 mk-48 [CRJX] ok: credentials and successors that are accepted", async () => {
    const group = await TestGroup.of(NAMES);
    await group.proposeUpdate("bob", { credential: eve.credential });
    await group.commit("alice", { leaf: { credential: mallory.credential } });
    await group.externalJoin("carol", await newClient("carol 2"), { resync: () => 2 });
    await agree(group);
  });
});

describe("lifetimes", () => {
  test("valn0105 [CS] a client whose key package has expired is neither proposed nor added", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await outsider({ leaf: EXPIRED });
    await notAdded(group, client, "valn0105");
    const { keyPackage } = client;
    await expectRule(() => group.propose("alice", { type: "add", keyPackage }), "valn0105");
    const early = await outsider({ leaf: lifetime(NOW + 1n, NOW + 1000n) });
    await notAdded(group, early, "valn0105");
  });

  test("valn0105 [CS] ok: on the first and on the last second", async () => {
    const group = await TestGroup.of(NAMES);
    const last = await outsider({ leaf: lifetime(NOW - 10n, NOW) });
    await group.propose("alice", { type: "add", keyPackage: last.keyPackage });
    const first = await newClient("first", { lifetime: { notBefore: NOW, notAfter: NOW } });
    await group.add("alice", new Map([["first", first]]), { pending: [] });
  });

  test("valn0106 [RJO] an expired leaf that others sent is accepted by default, and reported", async () => {
    const group = await TestGroup.of(NAMES);
    const { keyPackage } = await outsider({ leaf: EXPIRED });
    const proposals = [{ type: "add", keyPackage } as const];
    const { bytes } = await forgeCommit(group.party("alice"), { proposals });
    const notice = { notices: [expect.objectContaining({ rule: "valn0106" })] };
    expect(await group.observer.receive(bytes)).toMatchObject({ list: notice });
    expect(await group.party("bob").receive(bytes)).toMatchObject({ staged: notice });
    const { join, external, observe } = await world({ bob: { leaf: EXPIRED } });
    expect(await join()).toMatchObject(notice);
    expect(await external()).toMatchObject(notice);
    expect(await observe()).toMatchObject(notice);
  });

  test("valn0106 [RJO] and refused in strict mode", async () => {
    const group = await TestGroup.of(NAMES);
    group.party("bob").environment = strict();
    group.observer.environment = strict();
    const client = await outsider({ leaf: EXPIRED });
    const { keyPackage } = client;
    const { bytes } = await forgeCommit(group.party("alice"), {
      proposals: [{ type: "add", keyPackage }],
    });
    for (const party of [group.party("bob"), group.observer]) {
      await refuses(party, () => party.receive(bytes), "valn0106", { as: "VAL" });
    }
    await refusedAsTree({ bob: { leaf: EXPIRED }, environment: strict() }, "valn0106", {
      as: "VAL",
    });
  });

  test("mk-54 [CRO] a lifetime that ends before it begins", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await outsider({ leaf: lifetime(NOW + 1n, NOW - 1n) });
    await notAdded(group, client, "mk-54");
    await refusedAsAdd(group, client, "mk-54");
    const inverted = { lifetime: { notBefore: NOW, notAfter: NOW - 1n } };
    await expectRule(() => newClient("alice", inverted), "mk-54", { as: "USE" });
  });

  test("mk-54 [JXO] in a tree", async () => {
    await refusedAsTree({ bob: { leaf: lifetime(2n, 1n) } }, "mk-54");
  });

  test("mk-54 [CRJXO] ok: a lifetime of one second", async () => {
    const leaf = lifetime(NOW, NOW);
    const group = await TestGroup.of(NAMES);
    await group.add("alice", new Map([["mallory", await outsider({ leaf })]]));
    await believed({ bob: { leaf } });
  });

  const LONG = lifetime(0n, MAX_UINT64);

  test("mk-55 [CRJX] a lifetime beyond the maximum: ours and what we add always, else if strict", async () => {
    const group = await TestGroup.of(NAMES);
    const client = await outsider({ leaf: LONG });
    await notAdded(group, client, "mk-55");
    const { keyPackage } = client;
    const { bytes } = await forgeCommit(group.party("alice"), {
      proposals: [{ type: "add", keyPackage }],
    });
    const bob = group.party("bob");
    bob.environment = strict();
    await refuses(bob, () => bob.receive(bytes), "mk-55");
    await refusedAsTree({ bob: { leaf: LONG }, environment: strict() }, "mk-55");
  });

  test("mk-55 mk-56 [RJX] ok: the longest there can be, where no maximum is asked of others", async () => {
    const group = await TestGroup.of(NAMES);
    const { keyPackage } = await outsider({ leaf: LONG });
    const proposals = [{ type: "add", keyPackage } as const];
    const { bytes } = await forgeCommit(group.party("alice"), { proposals });
    await group.deliver(bytes, "alice");
    await believed({ bob: { leaf: LONG } });
  });

  test("mk-56 [CSRJX] no operation looks at another clock than the one it is given", async () => {
    const real = Date.now;
    Date.now = () => {
      throw new Error("the system's clock was read");
    };
    try {
      const limits = { ...DEFAULT_LIMITS, maximumLifetime: undefined };
      const environment = testEnvironment({ limits });
      const group = await TestGroup.of(NAMES, { environment });
      const forever = { notBefore: 0n, notAfter: MAX_UINT64 };
      const dave = await newClient("dave", { lifetime: forever });
      await group.propose("bob", { type: "add", keyPackage: dave.keyPackage });
      await group.commit("alice");
      await group.externalJoin("erin", await newClient("erin"));
      await agree(group);
    } finally {
      Date.now = real;
    }
  });
});
