/** Catalogue M-COM-14, M-PROP-12: what a member wants, and what the Commits of others leave of it. RFC 9420 §14. */
import { expect, test } from "vitest";
import { utf8 } from "../../src/codec/index.ts";
import {
  acceptDetached,
  commitDetached,
  type CommitRequest,
  customProposal,
  type Group,
  type RegisteredTypes,
} from "../../src/index.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";
import { decodeMlsMessage } from "../../src/wire.ts";

const CUSTOM = 0xf001;
const [ONE, TWO] = [0xf0a1, 0xf0a2];
const types: RegisteredTypes = {
  proposals: new Map([[CUSTOM, {}]]),
  credentials: new Map(),
  extensions: new Set([ONE, TWO]),
};
const reInit = { groupId: utf8("successor"), version: 1, cipherSuite: 1, extensions: [] } as const;

async function three(): Promise<{ world: TestGroup; a: Group; b: Group }> {
  const world = await testGroup({ types });
  const [a, b] = world.groups as readonly [Group, Group, Group];
  for (const { client } of world.members) await client.putPsk(utf8("id"), utf8("secret"));
  return { world, a, b };
}

test("M-COM-15 M-PROP-12: what was queued after a detached Commit was made waits for the next one", async () => {
  const key = new Uint8Array(32).fill(7);
  const [x, y] = [customProposal(CUSTOM, utf8("x")), customProposal(CUSTOM, utf8("y"))];
  for (const isLost of [false, true]) {
    const { world, a, b } = await three();
    await a.queue(x);
    const detached = await commitDetached(a, key, { proposals: [y] });
    for (const proposal of [x, y]) await a.queue(proposal);
    if (isLost) {
      const { commit } = await b.update();
      await a.process(commit, { accept: true });
      expect(a.queuedProposals).toEqual([x, x, y]);
      continue;
    }
    await world.deliver(detached.commit, 0);
    const { group } = await world.reopen(0, world.member(0).storage);
    expect((await acceptDetached(group, key, detached)).dropped).toEqual([]);
    expect(group.queuedProposals).toEqual([x, y]);
    world.assertAgreement();
    const { summary } = await world.commit(0);
    expect(summary.custom.map(({ proposal }) => proposal)).toEqual([x, y]);
    expect(group.queuedProposals).toEqual([]);
  }
});

test("M-COM-14: of a change of extensions that lost only the difference is made again", async () => {
  const one = (text: string) => ({ type: ONE, data: utf8(text) });
  const two = (text: string) => ({ type: TWO, data: utf8(text) });
  const cases: readonly [CommitRequest, CommitRequest, ReturnType<typeof one>[] | undefined][] = [
    [{ setExtension: two("ours") }, { setExtension: one("theirs") }, [one("theirs"), two("ours")]],
    [{ setExtension: two("ours") }, { extensions: [] }, [two("ours")]],
    [{ setExtension: one("ours") }, { setExtension: one("theirs") }, undefined],
    // What others gave up or revoked does not come back.
    [{ setExtension: one("ours") }, { extensions: [] }, undefined],
    [{ extensions: [] }, { setExtension: one("theirs") }, undefined],
    [{ extensions: [] }, { setExtension: two("theirs") }, [two("theirs")]],
    [{ setExtension: two("both") }, { setExtension: two("both") }, undefined],
    [{ extensions: [] }, { extensions: [] }, undefined],
  ];
  for (const [ours, theirs, expected] of cases) {
    const { world, a, b } = await three();
    await world.commit(1, { setExtension: one("before") });
    await a.commit(ours);
    const { commit } = await b.commit(theirs);
    const { group } = await world.reopen(0, world.member(0).storage);
    const [outcome] = await world.deliver(commit, 1);
    await b.acceptCommit();
    if (outcome?.kind !== "commit" || outcome.discarded === undefined) throw new Error("no race");
    const again = await group.rebuild(outcome.discarded);
    expect(again?.summary.extensions).toEqual(expected);
    if (again === undefined) continue;
    await world.deliver(again.commit, 0);
    await group.acceptCommit();
    world.assertAgreement();
    expect(b.extensions).toEqual(expected);
  }
});

test("M-PROP-12: of a queued list of extensions only the difference is committed after others changed theirs", async () => {
  const { world, a, b } = await three();
  const [one, two] = [
    { type: ONE, data: utf8("theirs") },
    { type: TWO, data: utf8("ours") },
  ];
  await world.commit(1, { setExtension: { type: ONE, data: utf8("before") } });
  await a.queue({ type: "groupContextExtensions", extensions: [...a.extensions, two] });
  expect((await world.commit(1, { setExtension: one })).dropped).toEqual([]);
  const { group } = await world.reopen(0, world.member(0).storage);
  expect(group.queuedProposals).toEqual([
    { type: "groupContextExtensions", extensions: [one, two] },
  ]);
  const { commit } = await group.commit();
  await b.process(commit, { accept: true });
  await group.acceptCommit();
  expect(b.extensions).toEqual([one, two]);
});

test("M-PROP-19: a proposed list of extensions counts as committed only if what it changes came about", async () => {
  const two = { type: TWO, data: utf8("ours") };
  for (const isCommitted of [true, false]) {
    const { world, a, b } = await three();
    const { bytes, reference } = await a.propose({
      type: "groupContextExtensions",
      extensions: [two],
    });
    await world.deliver(bytes, 0);
    const one = { type: ONE, data: utf8("theirs") };
    const pending = isCommitted
      ? await b.commit()
      : await b.commit({ setExtension: one, exclude: [reference] });
    const outcome = await a.process(pending.commit, { accept: true });
    if (outcome.kind !== "commit") throw new Error(outcome.kind);
    const extensions = [one, two];
    expect(outcome.dropped).toEqual(
      isCommitted
        ? []
        : [
            {
              reference,
              proposal: { type: "groupContextExtensions", extensions },
              isOwn: true,
              reason: "notCommitted",
            },
          ],
    );
  }
});

test("M-PROP-12 M-COM-14: whoever is to enter again with the same key does, whoever commits in between", async () => {
  for (const isQueued of [true, false]) {
    const { world, a, b } = await three();
    const { client: carol, group: former } = world.member(2);
    const { bytes } = await carol.createKeyPackage();
    const swap = { remove: [2], add: [bytes] };
    if (isQueued) {
      const decoded = decodeMlsMessage(bytes);
      if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
      await a.queue({ type: "remove", removed: 2 });
      await a.queue({ type: "add", keyPackage: decoded.message });
    } else {
      await a.commit({ swap });
    }
    const { commit } = await b.update();
    const outcome = await a.process(commit, { accept: true });
    await b.acceptCommit();
    if (outcome.kind !== "commit") throw new Error(outcome.kind);
    expect(outcome.dropped).toEqual([]);
    const again = isQueued ? await a.commit() : await a.rebuild(outcome.discarded!);
    expect(again?.summary.added.map(({ leafIndex }) => leafIndex)).toEqual([2]);
    expect(again?.summary.removed.map(({ leafIndex }) => leafIndex)).toEqual([2]);
    await b.process(again!.commit, { accept: true });
    const { welcomes } = await a.acceptCommit();
    await carol.deleteGroup(former.id);
    const group = await carol.join(welcomes[0]!.bytes);
    expect(group.epochAuthenticator).toEqual(b.epochAuthenticator);
  }
});

test("M-PROP-12: whoever has entered again by the Commit of another member is not replaced once more", async () => {
  const { world, a, b } = await three();
  const { bytes } = await world.member(2).client.createKeyPackage();
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  await a.queue({ type: "remove", removed: 2 });
  await a.queue({ type: "add", keyPackage: decoded.message });
  const { commit } = await b.commit({ swap: { remove: [2], add: [bytes] } });
  const outcome = await a.process(commit, { accept: true });
  await b.acceptCommit();
  if (outcome.kind !== "commit") throw new Error(outcome.kind);
  expect(outcome.dropped.map(({ reason }) => reason)).toEqual(["settled", "settled"]);
  expect(a.queuedProposals).toEqual([]);
});

test("M-COM-14: neither an expired Add nor the Remove of whoever has got the leaf since is made again", async () => {
  const { world, a, b } = await three();
  const { client: dave } = await world.newClient("dave");
  const { client: eve } = await world.newClient("eve");
  const lifetime = { notBefore: world.clock() - 10n, notAfter: world.clock() + 100n };
  const expiring = await dave.createKeyPackage({ lifetime });
  const custom = customProposal(CUSTOM, utf8("x"));
  await a.commit({ add: [expiring.bytes], remove: [2], psks: [utf8("id")], proposals: [custom] });
  const { commit } = await b.commit({
    swap: { remove: [2], add: [(await eve.createKeyPackage()).bytes] },
  });
  world.clock.advance(200);
  const outcome = await a.process(commit, { accept: true });
  await b.acceptCommit();
  if (outcome.kind !== "commit" || outcome.discarded === undefined) throw new Error("no race");
  const again = await a.rebuild(outcome.discarded);
  expect(again?.summary).toMatchObject({ added: [], removed: [], custom: [{ proposal: custom }] });
  expect(again?.summary.psks).toHaveLength(1);
  await b.process(again!.commit, { accept: true });
  await a.acceptCommit();
  expect(a.members()[2]).toMatchObject({ identity: utf8("eve") });
  expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);
  // A group that was closed is no group in which nothing is left to do.
  await a.commit({ psks: [utf8("id")] });
  const closing = await b.commit({ reInit });
  const closed = await a.process(closing.commit, { accept: true });
  if (closed.kind !== "reinit" || closed.discarded === undefined) throw new Error("no race");
  await expect(a.rebuild(closed.discarded)).rejects.toMatchObject({ code: "GROUP_SUSPENDED" });
});
