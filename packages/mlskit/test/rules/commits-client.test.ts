/** Rules of sections 7 and 8 that only a client with a store can keep. RFC 9420 §12.4, §14. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import type { ClientEvent, Group, PendingCommitView } from "../../src/index.ts";
import { expectRule, nothingChanges } from "../support/assertions.ts";
import { flipped, forgeCommit, forgeMessage, forgeProposal } from "../support/forge.ts";
import { contents, copyOf, type Desk, newDesk, seat, tell } from "../support/forge-clients.ts";
import { psk, pskId, remove, updateBy } from "../support/forge-lists.ts";
import { authenticatorOf, newSigner } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

interface Scene {
  readonly group: TestGroup;
  readonly desk: Desk;
  readonly own: Group;
}

/** Alice, bob and a client; the client's store is open to view. */
async function scene(): Promise<Scene> {
  const group = await TestGroup.of(["alice", "bob"]);
  const desk = await newDesk("carol");
  return { group, desk, own: await seat(group, desk) };
}

function agreeing({ group, own }: Scene): void {
  for (const { epoch } of group.members) {
    expect(toHex(own.epochAuthenticator)).toBe(authenticatorOf(epoch));
  }
}

async function accepted(made: Scene, { commit }: PendingCommitView): Promise<void> {
  await tell(made.group, commit);
  await made.own.acceptCommit();
  agreeing(made);
}

describe("mk-79", () => {
  test.each(["public", "private"] as const)(
    "[R] a %s Commit of a copy of ours is refused",
    async (wireForm) => {
      const made = await scene();
      const { desk, own } = made;
      const twin = await (await copyOf(desk)).client.group(own.id);
      const pending = await own.commit({ wireForm: "public" });
      const rival = await twin.commit({ wireForm });
      await nothingChanges(() =>
        expectRule(() => own.process(rival.commit), "mk-79", { code: "OWN_COMMIT_MISMATCH" }),
      );
      await accepted(made, pending);
    },
  );

  test("[R] without a pending Commit none in our name is accepted", async () => {
    const made = await scene();
    const { desk, own } = made;
    const twin = await (await copyOf(desk)).client.group(own.id);
    const rival = await twin.commit({ wireForm: "public" });
    await nothingChanges(() => expectRule(() => own.process(rival.commit), "mk-79"));
    await accepted(made, await own.commit());
  });

  test.each(["public", "private"] as const)(
    "[R] ok: the echo of our %s Commit begins its epoch, once",
    async (wireForm) => {
      const made = await scene();
      const { group, own } = made;
      const { commit } = await own.commit({ wireForm });
      await tell(group, commit);
      expect((await own.process(commit)).kind).toBe("ownCommit");
      agreeing(made);
      expect((await own.process(commit)).kind).toBe("duplicate");
      agreeing(made);
    },
  );
});

describe("mk-80", () => {
  test("[C] making and dropping Commits leaves the store as it was", async () => {
    const made = await scene();
    const { desk, own, group } = made;
    const before = new Set(await contents(desk));
    for (const remove of [[0], [1]]) {
      await own.commit({ wireForm: "public", remove });
      await own.discardCommit();
    }
    expect(new Set(await contents(desk))).toEqual(before);
    await own.commit({ wireForm: "public" });
    const added = (await contents(desk)).filter((record) => !before.has(record));
    expect(added.map((record) => /^g\d+\/([a-z])/.exec(record)?.[1])).toEqual(["c"]);
    const { commit } = await group.commit("bob");
    await own.process(commit);
    agreeing(made);
  });
});

describe("mk-81", () => {
  test("[C] nothing is committed or proposed while a Commit is pending", async () => {
    const made = await scene();
    const { own } = made;
    const pending = await own.commit();
    const attempts = [
      () => own.commit(),
      () => own.remove([0]),
      () => own.update(),
      () => own.proposeUpdate(),
      () => own.proposeRemove(0),
      () => own.leave(),
    ];
    for (const attempt of attempts) {
      await nothingChanges(() => expectRule(attempt, "mk-81", { code: "PENDING_COMMIT" }));
    }
    await accepted(made, pending);
  });

  test("[R] a rival Commit that is refused leaves ours pending", async () => {
    const made = await scene();
    const { own, group } = made;
    const pending = await own.commit();
    const forgery = { alterConfirmationTag: (tag?: Uint8Array) => flipped(tag!, 0) };
    const { bytes } = await forgeCommit(group.party("bob"), forgery);
    await nothingChanges(async () => {
      const outcome = await own.process(bytes);
      expect(outcome).toMatchObject({ kind: "invalid", error: { rule: "mk-77" } });
    });
    expect(own.status).toBe("pendingCommit");
    await expectRule(() => own.commit(), "mk-81");
    await accepted(made, pending);
  });

  test("[C R] ok: a rival Commit that is accepted clears ours, and says so", async () => {
    const made = await scene();
    const { desk, own, group } = made;
    const events: ClientEvent[] = [];
    desk.client.on((event) => events.push(event));
    await own.commit({ remove: [1] });
    const { commit } = await group.commit("bob");
    const outcome = await own.process(commit);
    expect(outcome).toMatchObject({ kind: "commit", isMerged: true });
    expect(outcome.kind === "commit" ? outcome.discarded : undefined).toBeDefined();
    expect(events).toContainEqual(expect.objectContaining({ type: "lostRace", committer: 1 }));
    expect(own.status).toBe("active");
    agreeing(made);
    await accepted(made, await own.commit());
  });
});

describe("mk-82", () => {
  const keyPackage = async (): Promise<Uint8Array> =>
    (await (await newDesk("dave")).client.createKeyPackage()).bytes;

  test("[S] nothing is handed out for a Commit that lost or was given up", async () => {
    const made = await scene();
    const { own, group } = made;
    const staged = await own.add([await keyPackage()]);
    expect(staged.welcomes).toBeUndefined();
    const { commit } = await group.commit("bob");
    await own.process(commit);
    await nothingChanges(() => expectRule(() => own.acceptCommit(), "mk-82"));
    await own.add([await keyPackage()]);
    await own.discardCommit();
    await nothingChanges(() => expectRule(() => own.acceptCommit(), "mk-82"));
    agreeing(made);
  });

  test("[S] ok: an accepted Commit hands out its Welcome", async () => {
    const made = await scene();
    const { own, group } = made;
    const dave = await newDesk("dave");
    const { bytes } = await dave.client.createKeyPackage();
    const { commit } = await own.add([bytes]);
    await tell(group, commit);
    const { welcomes } = await own.acceptCommit();
    const joined = await dave.client.join(welcomes[0]!.bytes);
    expect(toHex(joined.epochAuthenticator)).toBe(toHex(own.epochAuthenticator));
  });
});

describe("mk-78", () => {
  test("[R] a client whose member is removed keeps nothing secret and says by whom it was", async () => {
    const { group, desk, own } = await scene();
    await own.commit();
    const { bytes } = await forgeCommit(group.party("bob"), {
      proposals: [remove(2)],
      path: { alterSecret: (secret) => flipped(secret, 0) },
      alterConfirmationTag: (tag) => flipped(tag!, 0),
    });
    const outcome = await own.process(bytes);
    expect(outcome).toMatchObject({ kind: "removed", isMerged: true, sender: { leafIndex: 1 } });
    expect(own.status).toBe("inactive");
    expect((await contents(desk)).filter((record) => /^g\d+\/[cnrxk]/.test(record))).toEqual([]);
    await expect(own.send("anyone?")).rejects.toMatchObject({ code: "GROUP_INACTIVE" });
  });

  test("[R] a client learns that it is removed though it lacks a PSK of that Commit", async () => {
    const { group, own } = await scene();
    const proposals = [remove(2), psk(pskId("it was told nobody else"))];
    const { bytes } = await forgeCommit(group.party("bob"), { proposals });
    expect(await own.process(bytes)).toMatchObject({ kind: "removed", isMerged: true });
    expect(own.status).toBe("inactive");
  });
});

describe("mk-83", () => {
  test("[R] ok: a client follows the Commit of its Update, after a restart too", async () => {
    const made = await scene();
    const { group, desk, own } = made;
    await own.configure({ handshake: { send: "public", accept: "both" } });
    const { bytes } = await own.proposeUpdate();
    for (const party of group.members) await party.receive(bytes);
    const { client } = await copyOf(desk);
    const { commit } = await group.createCommit("bob");
    const again = await client.group(own.id);
    for (const each of [own, again]) {
      expect((await each.process(commit)).kind).toBe("commit");
    }
    await tell(group, commit, group.party("bob")).catch(() => undefined);
    expect(toHex(again.epochAuthenticator)).toBe(toHex(own.epochAuthenticator));
  });
});

describe("proposals of a client", () => {
  test("mk-67 [R] a client keeps a Commit until the proposal arrives that it names", async () => {
    const made = await scene();
    const { group, own } = made;
    const { bytes, cached } = await updateBy(group.party("bob"));
    const { bytes: commit } = await forgeCommit(group.party("alice"), { proposals: [cached] });
    const first = await own.process(commit);
    expect(first).toMatchObject({ kind: "missingProposal", missing: [cached.reference] });
    expect((await own.process(bytes)).kind).toBe("commit");
  });

  test("mk-67 [R] a client says why it lacks a proposal that it refused", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const policy = {
      reviewProposal: ({ proposal }: { proposal: { type: string } }) =>
        proposal.type === "remove" ? { reason: "nobody has to go" } : (true as const),
    };
    const desk = await newDesk("carol", { policy });
    const own = await seat(group, desk);
    const { bytes, cached } = await forgeProposal(group.party("alice"), remove(0));
    const { bytes: commit } = await forgeCommit(group.party("bob"), { proposals: [cached] });
    await nothingChanges(async () => {
      const refused = await own.process(bytes);
      expect(refused).toMatchObject({ kind: "invalidProposal", error: { rule: "mk-64" } });
      const failed = await own.process(commit);
      expect(failed).toMatchObject({
        kind: "invalid",
        error: { code: "PROPOSAL_REFUSED", rule: "mk-67" },
      });
    });
  });

  test("mk-69 [R] a client reports the proposals that an epoch left behind", async () => {
    const made = await scene();
    const { group, desk, own } = made;
    const { bytes, cached } = await updateBy(group.party("bob"));
    expect((await own.process(bytes)).kind).toBe("proposal");
    const events: ClientEvent[] = [];
    desk.client.on((event) => events.push(event));
    const { commit } = await group.commit("alice");
    await own.process(commit);
    expect(events).toContainEqual(
      expect.objectContaining({
        type: "proposalDropped",
        reference: cached.reference,
        isOwn: false,
      }),
    );
    agreeing(made);
  });
});

describe("mk-44", () => {
  const APPLICATION = { contentType: "application", applicationData: utf8("late") } as const;

  test("[R] a client holds a late message against the keys and members of its epoch", async () => {
    const made = await scene();
    const { group, own } = made;
    const alice = group.party("alice");
    const { epoch } = alice;
    const [before, after] = [epoch.signer, await newSigner()];
    const options = { wireFormat: "privateMessage" } as const;
    const genuine = await forgeMessage({ epoch }, APPLICATION, options);
    const forged = await forgeMessage({ epoch: { ...epoch, signer: after } }, APPLICATION, options);
    const { commit } = await group.commit("alice", { leaf: { signer: after } });
    await own.process(commit);
    agreeing(made);
    await nothingChanges(async () => {
      const outcome = await own.process(forged);
      expect(outcome).toMatchObject({ kind: "invalid", error: { rule: "valn1304" } });
    });
    const outcome = await own.process(genuine);
    expect(outcome).toMatchObject({
      kind: "application",
      sender: { leafIndex: 0, signatureKey: before.publicKey },
    });
  });
});
