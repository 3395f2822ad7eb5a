/** What went wrong elsewhere with framing and its tags. RFC 9420 §6. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, toHex, utf8 } from "../../src/codec/index.ts";
import { MlsError } from "../../src/errors.ts";
import { ExternalSenders, makeExtension } from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { Client, type Group } from "../../src/index.ts";
import { agree, refusedByAll, refuses, unchanged } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  flipped,
  forgeCommit,
  forgeEnvelope,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
  forgeSigned,
} from "../support/forge.ts";
import { contents, newDesk, seat } from "../support/forge-clients.ts";
import { newClient, newSigner, type Party } from "../support/parties.ts";
import { functionsOf, sourceFiles } from "../support/sources.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol"];

describe("fr-1 tags of the wrong length, or of another epoch", () => {
  const alterations: readonly [string, (tag: Uint8Array | undefined) => Uint8Array][] = [
    ["nothing", () => EMPTY_BYTES],
    ["one byte", (tag) => tag!.subarray(0, 1)],
    ["one byte less", (tag) => tag!.subarray(1)],
    ["one byte more", (tag) => Uint8Array.from([...tag!, 0])],
    ["another value", (tag) => flipped(tag!, 31)],
  ];
  test.each(alterations)("of %s", async (_, alter) => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const by = { observer: false } as const;
    const untagged = await forgeCommit(alice, { publicly: { alterMembershipTag: alter } });
    await refusedByAll(group, "alice", untagged.bytes, "valn1202", by);
    const unconfirmed = await forgeCommit(alice, { alterConfirmationTag: alter });
    await refusedByAll(group, "alice", unconfirmed.bytes, "mk-77", by);
    await group.commit("alice");
    await agree(group);
  });

  test("of the epoch before", async () => {
    const group = await TestGroup.of(NAMES);
    const alice = group.party("alice");
    const taggedContext = alice.epoch.contextBytes;
    const { confirmationTag } = alice.epoch;
    await group.commit("bob");
    const by = { observer: false } as const;
    const tagged = await forgeCommit(alice, { publicly: { taggedContext } });
    await refusedByAll(group, "alice", tagged.bytes, "valn1202", by);
    const confirmed = await forgeCommit(alice, { alterConfirmationTag: () => confirmationTag });
    await refusedByAll(group, "alice", confirmed.bytes, "mk-77", by);
    await agree(group);
  });
});

describe("fr-3 what we sent and gets back to us", () => {
  test.each(["private", "public"] as const)("in %s, before and after a restart", async (send) => {
    const group = await TestGroup.of(["alice"]);
    const desk = await newDesk("bob");
    const first = await seat(group, desk);
    await first.configure({ handshake: { send, accept: "both" } });
    const said = await first.send("hello");
    const proposed = await first.proposeRemove(0);
    const reload = async (): Promise<Group> => (await Client.open(desk.options)).group(first.id);
    for (const b of [first, await reload()]) {
      expect((await b.process(said.bytes)).kind).toBe("ownMessage");
      expect((await b.process(proposed.bytes)).kind).toBe("ownProposal");
    }
    const again = await reload();
    await again.dropAllProposals();
    const { commit } = await again.update();
    const restarted = await reload();
    expect((await restarted.process(commit, { accept: false })).kind).toBe("ownCommit");
    expect((await restarted.process(commit, { accept: true })).kind).toBe("ownCommit");
    expect(restarted.epoch).toBe(2n);
    expect((await restarted.process(commit)).kind).toBe("duplicate");
    const heard = await group.party("alice").receive(commit);
    expect(heard.kind).toBe("commit");
    const twice = await group.send("alice", "once");
    expect((await restarted.process(twice)).kind).toBe("application");
    expect((await restarted.process(twice)).kind).toBe("duplicate");
  });
});

test("fr-4 signed content cannot be moved between the two envelopes", async () => {
  const group = await TestGroup.of(NAMES);
  const alice = group.party("alice");
  const proposal = { type: "remove", removed: 2 } as const;
  const moved = { signedFormat: "publicMessage", wireFormat: "privateMessage" } as const;
  const hidden = await forgeProposal(alice, proposal, moved);
  await refusedByAll(group, "alice", hidden.bytes, "valn1304");
  const shown = await forgeProposal(alice, proposal, {
    signedFormat: "privateMessage",
    wireFormat: "publicMessage",
  });
  await refusedByAll(group, "alice", shown.bytes, "valn1301");
  const commit = await forgeCommit(alice, {
    signedFormat: "privateMessage",
    wireFormat: "publicMessage",
  });
  await refusedByAll(group, "alice", commit.bytes, "valn1203");
  await agree(group);
});

test("fr-6 too old an epoch or generation, used before, and too far ahead are four outcomes", async () => {
  const group = await TestGroup.of(["alice"]);
  const desk = await newDesk("bob");
  const b = await seat(group, desk);
  await b.configure({ pastEpochs: 0, outOfOrderTolerance: 2, maximumForwardDistance: 5 });
  const old = await group.send("alice", "in an epoch that is over");
  const { commit } = await group.commit("alice");
  await b.process(commit);
  const sent: Uint8Array[] = [];
  for (let i = 0; i < 12; i++) sent.push(await group.send("alice", `${i}`));
  await b.process(sent[4]!);
  const before = await contents(desk);
  const kinds: string[] = [];
  for (const bytes of [old, sent[0]!, sent[4]!, sent[11]!])
    kinds.push((await b.process(bytes)).kind);
  expect(kinds).toEqual(["epochTooOld", "generationTooOld", "duplicate", "generationTooFar"]);
  expect(await contents(desk)).toEqual(before);
  for (const at of [3, 2, 5]) expect((await b.process(sent[at]!)).kind).toBe("application");
});

test("fr-7 authenticated data belongs to one message, and comes back byte for byte", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const bob = group.party("bob");
  const header = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
  for (const data of [header, EMPTY_BYTES, utf8("another"), EMPTY_BYTES]) {
    const bytes = await group.send("alice", "hello", data);
    const message = decodeMlsMessage(bytes).message;
    expect(message).toMatchObject({ authenticatedData: data });
    const received = await bob.receive(bytes);
    if (received.kind !== "application") throw new Error("an application message was expected");
    expect(received.content.authenticated.content.authenticatedData).toEqual(data);
  }
  const content = { contentType: "application", applicationData: utf8("hello") } as const;
  const forged = await forgeMessage(group.party("alice"), content, {
    wireFormat: "privateMessage",
    authenticatedData: header,
    privately: {
      alterMessage: (m) => ({ ...m, authenticatedData: flipped(m.authenticatedData, 7) }),
    },
  });
  await refuses(bob, () => bob.receive(forged), "mk-29");
  const desk = await newDesk("carol");
  const carol = await seat(group, desk);
  await carol.proposeRemove(1, { authenticatedData: header });
  await carol.dropAllProposals();
  const next = await carol.update();
  const sent = await group.party("alice").receive(next.commit);
  expect(sent.kind).toBe("commit");
  expect(decodeMlsMessage(next.commit).message).toMatchObject({ authenticatedData: EMPTY_BYTES });
});

test("fr-8 padding hides the length in every class of sizes, and not by nothing", async () => {
  const desk = await newDesk("alice");
  const group = await desk.client.createGroup();
  const sizeOf = async (length: number, of: Group = group): Promise<number> => {
    return (await of.send(new Uint8Array(length))).bytes.length;
  };
  expect(group.config.padding.type).not.toBe("none");
  for (const [from, step] of [
    [0, 2],
    [300, 3],
    [3000, 12],
    [30_000, 80],
  ] as const) {
    const sizes = new Set<number>();
    for (let i = 0; i < 10; i++) sizes.add(await sizeOf(from + i * step));
    expect(sizes.size).toBeLessThanOrEqual(3);
  }
  await group.configure({ padding: { type: "none" } });
  expect(await sizeOf(20)).toBe((await sizeOf(10)) + 10);
  await group.configure({ padding: { type: "multiple", size: 1024 } });
  expect(await sizeOf(900)).toBe(await sizeOf(1));
});

test("fr-10 what comes too early can be kept: the next epoch, a far one, and an unknown proposal", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const desk = await newDesk("carol");
  const carol = await seat(group, desk);
  const { commit } = await group.commit("alice", { pending: [] });
  const next = await group.send("alice", "in the next epoch");
  const second = await group.createCommit("alice", { pending: [] });
  await group.party("bob").receive(second.commit);
  group.party("alice").enter(second.next);
  group.observer.enter(second.next);
  const far = await group.send("alice", "in a far one");
  expect(await carol.process(next)).toMatchObject({ kind: "future", epoch: 3n, isBuffered: true });
  expect(await carol.process(far)).toMatchObject({ kind: "farFuture", epoch: 4n });
  const outcome = await carol.process(commit, { accept: true });
  if (outcome.kind !== "commit") throw new Error("a Commit was expected");
  expect(outcome.replayed).toMatchObject([
    { kind: "application", data: utf8("in the next epoch") },
  ]);
  await carol.process(second.commit, { accept: true });
  const unseen = await forgeProposal(group.party("bob"), { type: "remove", removed: 1 });
  const forged = await forgeCommit(group.party("alice"), { proposals: [unseen.cached] });
  const missing = await carol.process(forged.bytes, { accept: true });
  if (missing.kind !== "missingProposal") throw new Error("a proposal is missing");
  expect(missing.missing.map(toHex)).toEqual([toHex(unseen.cached.reference)]);
  const found = await carol.process(unseen.bytes, { accept: true });
  expect(found.kind).toBe("commit");
});

describe("fr-2 checks throw", () => {
  test("none answers with a boolean that could be dropped", () => {
    const checks = functionsOf(sourceFiles()).filter(({ name }) =>
      /^(check|validate|require)[A-Z]/.test(name),
    );
    expect(checks.length).toBeGreaterThan(50);
    expect(checks.filter(({ result }) => /\bboolean\b/.test(result))).toEqual([]);
  });

  test.each([1, 2, 4, 5])("senders that are not there, in a group of %i", async (size) => {
    const names = ["alice", "bob", "carol", "dave", "erin", "frank"].slice(0, size + 1);
    const group = await TestGroup.of(names);
    const gone = names.length - 1;
    await group.commit("alice", { proposals: [{ type: "remove", removed: gone }] });
    const alice = group.party("alice");
    const { leafCount } = alice.epoch.tree;
    const content = { contentType: "application", applicationData: utf8("hello") } as const;
    const nowhere = [gone, leafCount, 2 * leafCount, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
    for (const leafIndex of nowhere) {
      const options = { wireFormat: "privateMessage", privately: { leafIndex } } as const;
      const hidden = await forgeMessage(alice, content, options);
      for (const party of group.members) {
        await refuses(party, () => party.receive(hidden), "valn1306");
      }
      const sender = { type: "member", leafIndex } as const;
      const shown = await forgeProposal(alice, { type: "remove", removed: 0 }, { sender });
      await refusedByAll(group, "", shown.bytes, "mk-26");
    }
    if (size > 1) await agree(group);
  });
});

describe("fr-5 sender, content and envelope", () => {
  const service = newSigner();
  const senders = {
    member: { type: "member", leafIndex: 0 },
    external: { type: "external", senderIndex: 0 },
    newMemberProposal: { type: "newMemberProposal" },
    newMemberCommit: { type: "newMemberCommit" },
  } as const;
  const legal = new Set([
    "member application privateMessage",
    "member proposal privateMessage",
    "member proposal publicMessage",
    "member commit privateMessage",
    "member commit publicMessage",
    "external proposal publicMessage",
    "newMemberProposal proposal publicMessage",
    "newMemberCommit commit publicMessage",
  ]);
  const combinations = Object.keys(senders).flatMap((sender) =>
    (["application", "proposal", "commit"] as const).flatMap((content) =>
      (["publicMessage", "privateMessage"] as const).map((wireFormat) => {
        return [sender as keyof typeof senders, content, wireFormat] as const;
      }),
    ),
  );

  test.each(combinations)("a %s's %s as %s", async (from, contentType, wireFormat) => {
    const { publicKey: signatureKey } = await service;
    const credential = { type: "basic", identity: utf8("service") } as const;
    const extensions = [makeExtension(5, ExternalSenders, [{ signatureKey, credential }])];
    const environment = testEnvironment({ policy: { reviewProposal: () => true } });
    const group = await TestGroup.of(NAMES, { extensions, environment });
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const dave = await newClient("dave");
    const sender = senders[from];
    const signer = { member: alice.signer, external: await service }[from as string] ?? dave.signer;
    const isBound = from === "member" || from === "newMemberCommit";
    const signedContext = isBound ? undefined : EMPTY_BYTES;
    const forgery = { sender, signer, signedContext, wireFormat };
    const applicationData = utf8("hello");
    const proposal =
      from === "newMemberProposal"
        ? ({ type: "add", keyPackage: dave.keyPackage } as const)
        : ({ type: "remove", removed: 2 } as const);
    const forge = {
      application: () =>
        forgeMessage(alice, { contentType: "application", applicationData }, forgery),
      proposal: async () => (await forgeProposal(alice, proposal, forgery)).bytes,
      commit: async () =>
        from === "newMemberCommit"
          ? (await forgeExternalCommit(dave, alice, forgery)).bytes
          : (await forgeCommit(alice, forgery)).bytes,
    };
    const bytes = await forge[contentType]();
    if (legal.has(`${from} ${contentType} ${wireFormat}`)) {
      const received = await bob.receive(bytes);
      expect(received.kind).toBe(contentType);
    } else {
      const attempt = unchanged(bob, () => bob.receive(bytes));
      await expect(attempt).rejects.toBeInstanceOf(MlsError);
      await group.commit("alice", { pending: [] });
      await agree(group);
    }
  });
});

describe("fr-9 what a member can do with another member's signed content", () => {
  test("a proposal that it encrypts anew is known to be the same", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const carol = await seat(group, desk);
    const [alice, bob] = [group.party("alice"), group.party("bob")];
    const content = { contentType: "proposal", proposal: { type: "remove", removed: 1 } } as const;
    const signed = await forgeSigned(alice, content, { wireFormat: "privateMessage" });
    const original = forgeEnvelope(alice, signed, undefined);
    expect((await carol.process(original)).kind).toBe("proposal");
    const again = forgeEnvelope(bob, signed, undefined, {
      privately: { ratchetOf: 0, leafIndex: 0, generation: 1, skip: 1 },
    });
    expect(toHex(again)).not.toBe(toHex(original));
    const before = await contents(desk);
    expect((await carol.process(again)).kind).toBe("duplicate");
    expect(await contents(desk)).toEqual(before);
  });

  test("application data that it encrypts anew is another message, as SECURITY.md says", async () => {
    const group = await TestGroup.of(NAMES);
    const [alice, bob, carol] = NAMES.map((name) => group.party(name)) as [Party, Party, Party];
    const content = { contentType: "application", applicationData: utf8("yes") } as const;
    const signed = await forgeSigned(alice, content, { wireFormat: "privateMessage" });
    const kinds: string[] = [];
    for (const skip of [0, 1]) {
      const privately = { ratchetOf: 0, leafIndex: 0, generation: skip, skip };
      const bytes = forgeEnvelope(bob, signed, undefined, { privately });
      kinds.push((await carol.receive(bytes)).kind);
      await refuses(carol, () => carol.receive(bytes), "mk-36");
    }
    expect(kinds).toEqual(["application", "application"]);
    const path = new URL("../../../../SECURITY.md", import.meta.url);
    expect(readFileSync(path, "utf8").replaceAll(/\s+/g, " ")).toContain(
      "a member can encrypt signed content of another member again",
    );
  });
});
