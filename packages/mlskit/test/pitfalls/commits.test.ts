/** What went wrong elsewhere with Commits, races and rollback. RFC 9420 §12.4, §14. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { ClientEvent } from "../../src/index.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { leafIndex } from "../../src/tree/tree-math.ts";
import { agree, authenticates, refuses, unchanged } from "../support/assertions.ts";
import { flipped, forgeCommit, forgeExternalCommit, type PathForgery } from "../support/forge.ts";
import { contents, copyOf, newDesk, seat, tell } from "../support/forge-clients.ts";
import {
  ABLE,
  add,
  CUSTOM_EXTENSION,
  EXTENDED,
  extend,
  goesOn,
  psk,
  pskId,
  refusedList,
  reInit,
  remove,
  same,
  updateBy,
  withPsks,
} from "../support/forge-lists.ts";
import { authenticatorOf, newClient, newSigner } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

const NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan"];

describe("com-1 a lost race", () => {
  const wireFormats = ["publicMessage", "privateMessage"] as const;

  describe.each([2, 3, 9])("in a group of %i", (size) => {
    test.each([true, false])(
      "the loser follows the winner, with an earlier path: %s",
      async (path) => {
        for (const wireFormat of wireFormats) {
          const group = await TestGroup.of(NAMES.slice(0, size), { path });
          await group.proposeUpdate("alice");
          const alice = group.party("alice");
          // Kept pending, made twice, lost: nothing of it can be seen in the epoch.
          const pending = await unchanged(alice, () => group.createCommit("alice", { wireFormat }));
          await unchanged(alice, () => group.createCommit("alice", { proposals: [remove(1)] }));
          await group.commit("bob", { wireFormat, forcePath: true });
          same(group);
          expect(toHex(pending.confirmationTag)).not.toBe(toHex(alice.epoch.confirmationTag));
          await group.commit("alice", { wireFormat });
          await agree(group);
        }
      },
    );
  });

  test("the loser's Commit is stale for everybody", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    const lost = await group.createCommit("alice");
    await group.commit("bob");
    const carol = group.party("carol");
    await refuses(carol, () => carol.receive(lost.commit), "valn1201");
  });
});

describe("com-2", () => {
  test("an external commit is followed while a Commit of ours is pending", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const own = await seat(group, await newDesk("carol"));
    await own.commit();
    const made = await forgeExternalCommit(await newClient("dave"), group.party("alice"));
    const outcome = await own.process(made.bytes);
    expect(outcome).toMatchObject({ kind: "commit", summary: { isExternal: true } });
    expect(toHex(own.epochAuthenticator)).toBe(toHex(made.next.secrets.epochAuthenticator.bytes));
    expect(own.status).toBe("active");
  });

  test("our removal is followed while a Commit of ours is pending", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const own = await seat(group, await newDesk("carol"));
    await own.commit();
    const { commit } = await group.commit("bob", { proposals: [remove(2)] });
    expect((await own.process(commit)).kind).toBe("removed");
    expect(own.status).toBe("inactive");
  });
});

describe("com-3", () => {
  const faults: readonly [string, PathForgery, boolean][] = [
    ["mk-72", { alterNodes: (nodes) => nodes.slice(1) }, true],
    ["valn0102", { alterLeafSignature: (it) => flipped(it, 1) }, true],
    ["mk-73", { alterKeys: (keys) => keys.map(() => keys[0]!) }, true],
    ["mk-74", { alterParentHash: (it) => flipped(it, 1) }, true],
    ["mk-75", { alterContext: (it) => flipped(it, 1) }, false],
    ["mk-76", { alterSecret: (it) => flipped(it, 1) }, false],
  ];

  test("each check of a path, violated alone, changes nothing; the honest Commit works", async () => {
    const group = await TestGroup.of(NAMES.slice(0, 5));
    for (const [rule, path, observer] of faults) {
      const forgery = { path };
      await refusedList(group, [], rule as "mk-72", { forgery, observer });
    }
  });
});

describe("com-4", () => {
  test("Commits that are made and dropped cost nothing but their generations", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    const alice = group.party("alice");
    const before = authenticatorOf(alice.epoch);
    for (let i = 0; i < 5; i++) {
      const made = await group.createCommit("alice", { wireFormat: "privateMessage" });
      alice.epoch.secretTree.apply(made.change!);
    }
    expect(authenticatorOf(alice.epoch)).toBe(before);
    await group.commit("alice", { wireFormat: "privateMessage" });
    await agree(group);
  });
});

describe("com-5", () => {
  test("a pending Commit survives a restart and can be merged or discarded", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    const { commit } = await own.commit();
    const [merging, discarding] = [await copyOf(desk), await copyOf(desk)];
    const discarded = await discarding.client.group(own.id);
    await discarded.discardCommit();
    expect(discarded.status).toBe("active");
    await discarded.commit();
    const merged = await merging.client.group(own.id);
    await merged.acceptCommit();
    await tell(group, commit);
    expect(toHex(merged.epochAuthenticator)).toBe(authenticatorOf(group.party("bob").epoch));
  });
});

describe("com-6", () => {
  test("a new signature key signs leaf, GroupInfo and Welcome; the Commit has the old one", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    const signer = await newSigner();
    const old = group.party("alice").signer;
    const dave = await newClient("dave");
    const made = await group.add("alice", new Map([["dave", dave]]), { leaf: { signer } });
    const { message } = decodeMlsMessage(made.commit);
    expect("content" in message).toBe(true);
    const leaf = group.party("dave").epoch.tree.leaf(leafIndex(0))!;
    expect(leaf.signatureKey).toEqual(signer.publicKey);
    expect(leaf.signatureKey).not.toEqual(old.publicKey);
    await agree(group);
    await group.propose("alice", remove(1));
    await group.commit("carol");
    await agree(group);
    const stale = await forgeCommit(group.party("alice"), { signer: old });
    const carol = group.party("carol");
    await refuses(carol, () => carol.receive(stale.bytes), "valn1203");
  });
});

describe("com-7", () => {
  test.each([true, false])(
    "the first Commit of a group of one, with a path: %s",
    async (forcePath) => {
      const group = await TestGroup.of(["alice"]);
      const made = await group.add("alice", new Map([["bob", await newClient("bob")]]), {
        forcePath,
      });
      expect(made.summary.hasPath).toBe(forcePath);
      await agree(group);
    },
  );

  test("an empty Commit and new extensions have a path, other types as we like", async () => {
    const group = await TestGroup.of(["alice", "bob"], { environment: withPsks() });
    const withPath = async (...proposals: readonly Proposal[]): Promise<boolean> => {
      const made = await group.createCommit("alice", { proposals, forcePath: false });
      return made.summary.hasPath;
    };
    expect(await withPath()).toBe(true);
    expect(await withPath(extend([]))).toBe(true);
    expect(await withPath(add(await newClient("carol")), psk(pskId("key")))).toBe(false);
    expect(await withPath(reInit())).toBe(false);
  });
});

describe("com-8", () => {
  test("leaving is a proposal that another member commits, and ends in ignorance of the next epoch", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const own = await seat(group, await newDesk("carol"));
    await own.configure({ handshake: { send: "public", accept: "both" } });
    const { bytes } = await own.leave();
    await tell(group, bytes);
    // Nothing is left to commit for the leaver itself but a fresh path.
    const idle = await own.commit();
    expect(idle.summary.removed).toEqual([]);
    expect(idle.unused).toMatchObject([{ reason: { rule: "valn0303" } }]);
    await own.discardCommit();
    const { commit, next } = await group.commit("alice");
    expect(await own.process(commit)).toMatchObject({
      kind: "removed",
      removals: [{ leafIndex: 2, reason: "weLeft" }],
    });
    expect(() => own.epochAuthenticator).toThrow();
    expect(next.tree.leaf(leafIndex(2))).toBeUndefined();
  });

  test("no request builds a Commit that updates or removes its own committer by proposal", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const own = await seat(group, await newDesk("carol"));
    await expect(own.remove([2])).rejects.toMatchObject({ code: "CANNOT_REMOVE_SELF" });
    const { cached } = await updateBy(group.party("bob"));
    const request = { proposals: [cached.proposal] };
    await expect(own.commit(request)).rejects.toMatchObject({ rule: "valn0302" });
  });
});

describe("com-9", () => {
  test("extensions, capabilities and credential of a leaf survive, and can be changed", async () => {
    const leafExtensions = [{ type: CUSTOM_EXTENSION, data: utf8("mine") }];
    const group = await TestGroup.of(["alice", "bob"], { client: { ...ABLE, leafExtensions } });
    const said = (name: string) => {
      const { epoch } = group.party(name);
      const { credential, capabilities, extensions } = epoch.tree.leaf(epoch.ownLeaf)!;
      return { credential, capabilities, extensions };
    };
    const before = said("alice");
    await group.commit("alice");
    await group.proposeUpdate("alice");
    await group.commit("bob");
    await group.commit("alice", { proposals: [extend([])] });
    expect(said("alice")).toEqual(before);
    const extensions = [{ type: CUSTOM_EXTENSION, data: utf8("changed") }];
    await group.commit("alice", { leaf: { extensions } });
    expect(said("alice")).toEqual({ ...before, extensions });
    const credential = { type: "basic", identity: utf8("alice the second") } as const;
    await group.proposeUpdate("alice", { credential });
    await group.commit("bob");
    expect(said("alice")).toEqual({ ...before, extensions, credential });
    same(group);
  });
});

describe("com-10", () => {
  test("a received Commit says who came, who went by whom, who renewed keys, and who committed", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    const desk = await newDesk("dave");
    const own = await seat(group, desk);
    const events: ClientEvent[] = [];
    desk.client.on((event) => events.push(event));
    const { bytes, cached } = await updateBy(group.party("carol"));
    await own.process(bytes);
    const removal = await forgeCommit(group.party("alice"), {
      proposals: [cached, remove(1), add(await newClient("erin"))],
    });
    const outcome = await own.process(removal.bytes);
    expect(outcome).toMatchObject({
      kind: "commit",
      sender: { type: "member", leafIndex: 0 },
      summary: {
        committer: 0,
        added: [{ leafIndex: 1, by: { leafIndex: 0 } }],
        removed: [{ leafIndex: 1, by: { leafIndex: 0 } }],
        updated: [{ leafIndex: 2 }, { leafIndex: 0 }],
      },
      removals: [{ leafIndex: 1, reason: "theyWereRemoved" }],
    });
    const types = events.map(({ type }) => type).filter((type) => type !== "proposalReceived");
    expect(types.slice(0, 4)).toEqual([
      "commitAccepted",
      "memberRemoved",
      "memberJoined",
      "epochAdvanced",
    ]);
  });
});

describe("com-11", () => {
  test("a member whose path secret is damaged notices, learns which node, and can come back", async () => {
    const group = await TestGroup.of(["alice", "bob", "carol"]);
    const alterSecret = (secret: Uint8Array, at: number) =>
      at === 0 ? flipped(secret, 4) : secret;
    const made = await forgeCommit(group.party("alice"), { path: { alterSecret } });
    const [bob, carol] = [group.party("bob"), group.party("carol")];
    const error = await refuses(bob, () => bob.receive(made.bytes), "mk-76");
    expect(error.details).toMatchObject({ node: 1 });
    await carol.receive(made.bytes);
    authenticates(carol.epoch, made.next);
    group.parties.delete("alice");
    group.parties.delete("bob");
    const again = await newClient("bob", { signer: bob.signer });
    const resync = (): number => 1;
    const groupInfo = await group.groupInfo("carol");
    group.observer.enter(carol.epoch);
    await group.externalJoin("bob", again, { resync, groupInfo });
    await agree(group);
  });
});

describe("com-12 com-13", () => {
  test("nothing changes before the Commit is accepted, and nothing happens twice after it was", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    const before = { epoch: own.epoch, authenticator: toHex(own.epochAuthenticator) };
    const { commit } = await own.remove([1], { wireForm: "public" });
    expect({ epoch: own.epoch, authenticator: toHex(own.epochAuthenticator) }).toEqual(before);
    expect([...own.members()]).toHaveLength(3);
    // The response was lost: a restart, then the Commit comes back from the delivery service.
    const { client } = await copyOf(desk);
    const again = await client.group(own.id);
    expect(again.status).toBe("pendingCommit");
    expect((await again.process(commit)).kind).toBe("ownCommit");
    expect((await again.process(commit)).kind).toBe("duplicate");
    expect(again.epoch).toBe(before.epoch + 1n);
    await group.party("alice").receive(commit);
    expect(toHex(again.epochAuthenticator)).toBe(authenticatorOf(group.party("alice").epoch));
    await own.acceptCommit();
    const stored = await contents(desk);
    expect((await own.process(commit)).kind).toBe("duplicate");
    expect(await contents(desk)).toEqual(stored);
  });
});

test("com-3 a Commit whose secrets fit and whose tag does not leaves everything as it was", async () => {
  const group = await TestGroup.of(["alice", "bob"], { extensions: [], client: ABLE });
  const proposals = [extend(EXTENDED)];
  const forgery = { initSecret: new Secret(new Uint8Array(32).fill(1)) };
  await refusedList(group, proposals, "mk-77", { forgery, observer: false });
  await goesOn(group);
});
