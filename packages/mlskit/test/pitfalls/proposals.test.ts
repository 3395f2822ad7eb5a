/** What went wrong elsewhere with proposals and their selection. RFC 9420 §12.1–12.4. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, equalBytes, toHex, utf8 } from "../../src/codec/index.ts";
import { APP_DATA_DICTIONARY, dictionaryExtension } from "../../src/drafts/app-data-dictionary.ts";
import {
  APP_DATA_UPDATE,
  appDataUpdate,
  appDataUpdateType,
  replacedByLast,
} from "../../src/drafts/app-data-update.ts";
import { SELF_REMOVE, selfRemove, selfRemoveType } from "../../src/drafts/self-remove.ts";
import { MlsError } from "../../src/errors.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { ProposalCandidate, RegisteredTypes } from "../../src/group/environment.ts";
import { createExternalProposal } from "../../src/group/external-proposal.ts";
import { type CachedProposal, cacheKey } from "../../src/group/proposal-entry.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import { isDefaultType } from "../../src/tree/capabilities.ts";
import { expectRule, refuses, unchanged } from "../support/assertions.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import { flipped, forgeCommit, forgeProposal } from "../support/forge.ts";
import { copyOf, newDesk, seat, tell } from "../support/forge-clients.ts";
import {
  ABLE,
  acceptedList,
  add,
  CUSTOM_EXTENSION,
  CUSTOM_PROPOSAL,
  cachedFrom,
  EXTENDED,
  extend,
  externalSenders,
  GREASE,
  goesOn,
  knowing,
  notCommitted,
  psk,
  pskId,
  refusedList,
  reInit,
  remove,
  required,
  same,
  stranger,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import {
  authenticatorOf,
  capabilitiesFor,
  join,
  newClient,
  newSigner,
  Party,
} from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import { commitIn } from "../support/wire.ts";

const NAMES = ["alice", "bob", "carol", "dave"];

describe("prop-1", () => {
  test("poison that a member could have sent keeps nobody from committing, and is reported", async () => {
    const group = await TestGroup.of(NAMES);
    const poison = await cachedFrom(
      group.party("bob"),
      remove(77),
      psk(pskId("nobody has it")),
      psk(pskId("bad nonce", 3)),
      extend(EXTENDED),
      extend([{ type: 1, data: EMPTY_BYTES }]),
      reInit(),
      reInit(0),
      { type: "externalInit", kemOutput: new Uint8Array(32) },
      add(await stranger({ alterSignature: () => new Uint8Array(64) })),
      add(await newClient("twin", { signer: group.party("carol").signer })),
    );
    for (const name of NAMES) {
      for (const each of poison) group.party(name).remember(each);
      const made = await group.createCommit(name, { proposals: [add(await newClient("erin"))] });
      expect(made.unused.map(({ entry }) => toHex(entry.reference!)).sort()).toEqual(
        poison.map(({ reference }) => toHex(reference)).sort(),
      );
      for (const { reason } of made.unused) expect(MlsError.is(reason)).toBe(true);
      for (const party of group.members) {
        if (party.name !== name) await unchanged(party, () => party.epoch.tree.treeHash());
      }
      await group.deliver(made.commit, name);
      group.party(name).enter(made.next);
      group.observer.enter(made.next);
      same(group);
    }
  });

  test("poison by an external sender does not keep a client from sending", async () => {
    const signer = await newSigner();
    const group = await TestGroup.of(["alice", "bob"], { extensions: [externalSenders(signer)] });
    const own = await seat(group, await newDesk("carol"));
    const { context } = group.observer.epoch;
    const { types } = group.environment;
    for (const proposal of [
      remove(77),
      psk(pskId("nobody has it")),
      psk(pskId("bad", 1)),
      extend(EXTENDED),
    ]) {
      const bytes = await createExternalProposal(context, proposal, signer, types);
      await own.process(bytes);
      const sent = await own.send("still here");
      expect((await group.party("bob").receive(sent.bytes)).kind).toBe("application");
    }
    const { commit } = await own.commit();
    await tell(group, commit);
    await own.acceptCommit();
    expect(own.epoch).toBe(group.party("bob").epoch.context.epoch);
  });
});

describe("prop-2", () => {
  test("two members propose the same removal: anyone can commit it, once", async () => {
    for (const committer of ["alice", "bob", "carol"]) {
      const group = await TestGroup.of(NAMES);
      await group.propose("bob", remove(3));
      await group.propose("carol", remove(3));
      const made = await group.commit(committer);
      expect(made.summary.removed).toHaveLength(1);
      expect(made.unused).toHaveLength(1);
      same(group);
    }
  });
});

describe("prop-3", () => {
  test("an Update of ours and a Commit of ours: the Commit has a path and leaves the Update out", async () => {
    const group = await TestGroup.of(NAMES);
    await group.proposeUpdate("alice");
    await group.proposeUpdate("bob");
    const made = await group.commit("alice", { forcePath: false });
    expect(made.summary).toMatchObject({ hasPath: true });
    const updated = new Set(made.summary.updated.map(({ leafIndex }) => leafIndex));
    expect(updated).toEqual(new Set([0, 1]));
    expect(commitIn(made.commit).proposals).toHaveLength(1);
    same(group);
  });
});

describe("prop-4", () => {
  test("a member is replaced by a new client with the same keys and name", async () => {
    const group = await TestGroup.of(NAMES);
    const { signer } = group.party("bob");
    await acceptedList(group, [add(await newClient("bob", { signer })), remove(1)]);
  });
});

describe("prop-5", () => {
  /** Small, and the same on every run. */
  function randomFrom(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  test.each([1, 2, 3, 4, 5, 6])(
    "what a committer accepts, members and joiners accept, seed %i",
    async (seed) => {
      const random = randomFrom(seed);
      const environment = withPsks({ types: knowing().types });
      const group = await TestGroup.of(NAMES, { client: ABLE, environment });
      const erin = await newClient("erin", ABLE);
      const expired = { notBefore: NOW - 20n, notAfter: NOW - 10n };
      const exotic = { capabilities: { ...ABLE.capabilities, credentials: [1, 2] } };
      const pool: (() => Promise<Proposal>)[] = [
        async () => add(erin),
        async () => add(await newClient("erin", { ...ABLE, signer: erin.signer })),
        async () => add(await newClient("frank", ABLE)),
        async () => add(await newClient("unable")),
        async () => add(await newClient("expired", { ...ABLE, lifetime: expired })),
        async () =>
          add(
            await newClient("exotic", {
              ...exotic,
              credential: { type: "x509", certificates: [] },
            }).catch(() => newClient("plain", ABLE)),
          ),
        async () => add(await stranger({ alterSignature: () => new Uint8Array(64) }, ABLE)),
        async () => remove(1 + random(5)),
        async () => remove(3),
        async () => extend(EXTENDED),
        async () => extend([required({ extensionTypes: [CUSTOM_EXTENSION] })]),
        async () => extend([{ type: GREASE, data: EMPTY_BYTES }]),
        async () => psk(pskId("key")),
        async () => psk(pskId("key", 16)),
        async () => customProposal(CUSTOM_PROPOSAL, utf8("x")),
        async () => reInit(),
      ];
      const list: Proposal[] = [];
      for (let i = 0; i < 8; i++) list.push(await pool[random(pool.length)]!());
      const pending = await cachedFrom(group.party("bob"), ...list);
      const made = await group.createCommit("alice", { pending });
      for (const party of group.members) {
        for (const each of pending) party.remember(each);
        if (party.name !== "alice") await party.receive(made.commit);
      }
      for (const { leaf } of made.summary.added) {
        if (!equalBytes(leaf.signatureKey, erin.signer.publicKey)) continue;
        if (!equalBytes(leaf.encoded, erin.keyPackage.leafNode.encoded)) continue;
        const { epoch } = await join(made.welcomes[0]!.bytes, [erin], environment);
        group.parties.set("erin", new Party("erin", erin, epoch, environment));
      }
      group.party("alice").enter(made.next);
      same(group);
    },
  );
});

describe("prop-6", () => {
  test("members that leave or are removed need not support new types", async () => {
    const types: RegisteredTypes = {
      proposals: new Map([
        [SELF_REMOVE, selfRemoveType],
        [CUSTOM_PROPOSAL, {}],
      ]),
      credentials: new Map(),
      extensions: new Set([CUSTOM_EXTENSION]),
    };
    const capabilities = {
      extensions: [CUSTOM_EXTENSION],
      proposals: [CUSTOM_PROPOSAL, SELF_REMOVE],
    };
    const options = { client: { capabilities }, environment: testEnvironment({ types }) };
    const group = await TestGroup.of(["alice", "bob"], options);
    const leaver = await newClient("carol", { capabilities: { proposals: [SELF_REMOVE] } });
    await group.add("alice", new Map([["carol", leaver]]));
    const leaving = await group.propose("carol", selfRemove());
    await acceptedList(group, [
      leaving,
      customProposal(CUSTOM_PROPOSAL, utf8("x")),
      extend(EXTENDED),
    ]);
    expect(group.party("carol").isMember).toBe(false);
  });
});

describe("prop-7", () => {
  test("equal proposals by value are duplicates, and are not merged", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const once = add(await newClient("erin"));
    for (const [rule, proposal] of [
      ["valn0307", psk(pskId("key"))],
      ["valn0304", remove(1)],
      ["valn0305", once],
      ["valn0308", extend([])],
      ["valn0309", reInit()],
    ] as const) {
      await notCommitted(group, [proposal, proposal], rule);
      await refusedList(group, [proposal, proposal], rule);
    }
  });
});

describe("prop-8", () => {
  test("new extensions cannot rewrite a dictionary that AppDataUpdate governs", async () => {
    const types: RegisteredTypes = {
      proposals: new Map([[APP_DATA_UPDATE, appDataUpdateType(new Map([[5, replacedByLast]]))]]),
      credentials: new Map(),
      extensions: new Set([APP_DATA_DICTIONARY]),
    };
    const dictionary = dictionaryExtension([{ componentId: 5, data: utf8("before") }]);
    const governed = required({ proposalTypes: [APP_DATA_UPDATE] });
    const group = await TestGroup.of(NAMES, {
      extensions: [governed, dictionary],
      client: { capabilities: { extensions: [APP_DATA_DICTIONARY], proposals: [APP_DATA_UPDATE] } },
      environment: testEnvironment({ types }),
    });
    const rewritten = dictionaryExtension([{ componentId: 5, data: utf8("after") }]);
    for (const list of [[governed, rewritten], [governed], [rewritten]]) {
      await notCommitted(group, [extend(list)], "mk-118");
      await refusedList(group, [extend(list)], "mk-118");
    }
    await acceptedList(group, [extend([governed, dictionary])]);
    const update = { componentId: 5, operation: { op: "update", update: utf8("after") } } as const;
    await acceptedList(group, [appDataUpdate(update)]);
    expect(group.party("bob").epoch.context.extensions).toContainEqual(rewritten);
  });
});

describe("prop-9", () => {
  test("default types never enter the capabilities of our key packages", async () => {
    const { client } = await newDesk("erin", { types: knowing().types });
    const message = decodeMlsMessage((await client.createKeyPackage()).bytes);
    if (message.wireFormat !== "keyPackage") throw new Error("a key package was expected");
    const { capabilities } = message.message.leafNode;
    for (const kind of ["extensions", "proposals"] as const) {
      expect(capabilities[kind].filter((type) => isDefaultType(kind, type))).toEqual([]);
    }
    expect(capabilities.extensions).toContain(CUSTOM_EXTENSION);
  });
});

describe("prop-10", () => {
  test("the same inputs give the same Commit, whatever order things were remembered in", async () => {
    const group = await TestGroup.of(NAMES, { environment: withPsks() });
    const cached = await cachedFrom(
      group.party("bob"),
      add(await newClient("erin")),
      psk(pskId("key")),
      add(await newClient("frank")),
    );
    const make = (pending: readonly CachedProposal[]): Promise<string> =>
      group
        .createCommit("alice", { pending, forcePath: false, proposals: [psk(pskId("two"))] })
        .then(({ commit }) => toHex(commit));
    expect(await make(cached)).toBe(await make(cached));
    expect(await make([...cached].reverse())).not.toBe(await make(cached));
    const { commit } = await group.createCommit("alice", { pending: cached });
    expect(commitIn(commit).proposals).toEqual(
      cached.map(({ reference }) => ({ type: "reference", reference })),
    );
  });
});

describe("prop-11", () => {
  test("own proposals survive a restart: they are followed, and can be taken back", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    await own.configure({ handshake: { send: "public", accept: "both" } });
    const update = await own.proposeUpdate();
    const removal = await own.proposeRemove(0);
    await tell(group, update.bytes);
    const { client } = await copyOf(desk);
    const again = await client.group(own.id);
    await again.dropProposal(removal.reference);
    await expect(again.dropProposal(removal.reference)).rejects.toMatchObject({
      code: "UNKNOWN_PROPOSAL",
    });
    const { commit } = await group.commit("bob");
    expect((await again.process(commit)).kind).toBe("commit");
    expect(toHex(again.epochAuthenticator)).toBe(authenticatorOf(group.party("bob").epoch));
  });
});

describe("prop-12", () => {
  test("a chosen subset goes by reference, nothing is repeated by value, the rest is reported", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    const references: Uint8Array[] = [];
    for (const proposal of [
      add(await newClient("erin")),
      add(await newClient("frank")),
      reInit(),
    ]) {
      const { bytes, cached } = await forgeProposal(group.party("bob"), proposal);
      references.push(cached.reference);
      await own.process(bytes);
    }
    const chosen = await own.commit({ include: [references[1]!], wireForm: "public" });
    expect(commitIn(chosen.commit).proposals).toEqual([
      { type: "reference", reference: references[1]! },
    ]);
    await own.discardCommit();
    const all = await own.commit({ wireForm: "public" });
    expect(commitIn(all.commit).proposals).toEqual(
      references.slice(0, 2).map((reference) => ({ type: "reference", reference })),
    );
    expect(all.unused).toMatchObject([{ reason: { rule: "valn0309" } }]);
  });
});

describe("prop-13", () => {
  const types: RegisteredTypes = {
    proposals: new Map([[SELF_REMOVE, selfRemoveType]]),
    credentials: new Map(),
    extensions: new Set(),
  };

  test("Update, Remove and SelfRemove of one leaf, in every mixture, end in a verdict", async () => {
    const client = { capabilities: { proposals: [SELF_REMOVE] } };
    const orders = ["u", "r", "s", "ur", "ru", "us", "su", "rs", "sr", "urs", "sru", "rus"];
    for (const order of orders) {
      const group = await TestGroup.of(NAMES, { client, environment: testEnvironment({ types }) });
      const [r] = await cachedFrom(group.party("carol"), remove(1));
      const [s] = await cachedFrom(group.party("bob"), selfRemove());
      const kinds: Record<string, CachedProposal> = {
        u: await group.proposeUpdate("bob"),
        r: r!,
        s: s!,
      };
      const list = order.split("").map((letter) => kinds[letter]!);
      const { bytes } = await forgeCommit(group.party("alice"), { proposals: list });
      const carol = group.party("carol");
      for (const each of list) {
        for (const { cache } of [...group.members, group.observer]) {
          cache.set(cacheKey(each.reference), each);
        }
      }
      if (list.length > 1) {
        const verdict = await unchanged(carol, () =>
          carol.receive(bytes).catch((error: unknown) => error),
        );
        expect(
          MlsError.is(verdict) && ["valn0304", "mk-116"].includes(verdict.rule ?? ""),
          order,
        ).toBe(true);
      }
      const made = await group.commit("alice", { pending: list });
      expect(made.unused, order).toHaveLength(list.length - 1);
      expect(made.summary.removed.length, order).toBe(order === "u" ? 0 : 1);
      same(group);
    }
  });
});

describe("prop-14", () => {
  test("policies are asked about received Commits too, asynchronously and after authentication", async () => {
    const asked: string[] = [];
    let answer: true | { reason: string } = true;
    const environment = testEnvironment({
      policy: {
        reviewProposal: async ({ proposal, direction }: ProposalCandidate) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          asked.push(`${direction} ${proposal.type}`);
          return answer;
        },
      },
    });
    const group = await TestGroup.of(["alice", "bob"], { environment });
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    asked.length = 0;
    const proposals = [add(await newClient("erin"))];
    const forged = await forgeCommit(alice, { proposals, alterSignature: (it) => flipped(it, 0) });
    await refuses(bob, () => bob.receive(forged.bytes), "valn1203");
    expect(asked).toEqual([]);
    await group.createCommit("alice", { proposals });
    const honest = await forgeCommit(alice, { proposals });
    answer = { reason: "no strangers" };
    await refuses(bob, () => bob.receive(honest.bytes), "mk-64");
    await expectRule(() => group.createCommit("alice", { proposals }), "mk-64");
    expect(asked).toEqual(["createCommit add", "receiveCommit add", "createCommit add"]);
    answer = true;
    await goesOn(group);
  });
});

describe("prop-15", () => {
  test("a member that refused a proposal can say why it cannot follow the Commit", async () => {
    const group = await TestGroup.of(NAMES);
    const { bytes, cached } = await forgeProposal(group.party("bob"), remove(3));
    const carol = group.party("carol");
    carol.environment = testEnvironment({
      policy: { reviewProposal: () => ({ reason: "not on my watch" }) },
    });
    await refuses(carol, () => carol.receive(bytes), "mk-64");
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const error = await refuses(carol, () => carol.receive(commit), "mk-67");
    expect(error).toMatchObject({
      code: "PROPOSAL_REFUSED",
      cause: { details: { reason: "not on my watch" } },
    });
  });
});

describe("prop-16", () => {
  test("GREASE is accepted wherever it is legal, unreflected in a key package too", async () => {
    const greasy = {
      versions: [1, GREASE],
      cipherSuites: [1, GREASE],
      extensions: [GREASE],
      proposals: [GREASE],
      credentials: [1, GREASE],
    };
    const group = await TestGroup.of(NAMES, { client: { capabilities: greasy } });
    const erin = await stranger(
      { fields: { extensions: [{ type: 0x1a1a, data: utf8("grease") }] } },
      { capabilities: greasy, leafExtensions: [{ type: GREASE, data: utf8("grease") }] },
    );
    await acceptedList(group, [add(erin), await group.proposeUpdate("bob")]);
    const leaf = { capabilities: { ...capabilitiesFor(1), proposals: [0x2a2a] } };
    const { cached } = await updateBy(group.party("carol"), { leaf });
    expect(cached.proposal.type).toBe("update");
  });

  test("GREASE has no place in the group context, unless all members happen to list it", async () => {
    const group = await TestGroup.of(NAMES);
    await refusedList(group, [extend([{ type: GREASE, data: EMPTY_BYTES }])], "mk-62");
  });
});
