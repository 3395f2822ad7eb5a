/** M-SEC-15: secrets that are dropped are overwritten in memory too, once that is durable. */
import { expect, test } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import { testGroup, type TestGroup } from "../../src/testing/index.ts";

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

async function withPastEpoch(): Promise<{ world: TestGroup; secret: Uint8Array }> {
  const world = await testGroup({ members: 2 });
  await world.commit(0);
  const [past] = accessOf(world.groups[0]!).peek().past;
  return { world, secret: past!.senderDataSecret.bytes };
}

test("M-SEC-15: a Commit that waits goes on with an own Update that was dropped meanwhile", async () => {
  const { groups } = await testGroup({ members: 2 });
  const [a, b] = [groups[0]!, groups[1]!];
  const { bytes, reference } = await a.proposeUpdate();
  await b.process(bytes, { accept: true });
  const { commit } = await b.commit();
  await b.acceptCommit();
  const staged = await a.process(commit);
  await a.dropProposal(reference);
  if (staged.kind !== "commit") throw new Error("a Commit");
  await staged.accept();
  // With the new key of its leaf it reads the path of the next Commit.
  const next = await b.commitImmediately({ forcePath: true });
  expect((await a.process(next.commit, { accept: true })).kind).toBe("commit");
  expect(a.epochAuthenticator).toEqual(b.epochAuthenticator);
});

test("M-SEC-15: the keys of past epochs are overwritten, deleted by hand, by settings or by age", async () => {
  const byHand = await withPastEpoch();
  await byHand.world.groups[0]!.deletePastEpochs();
  expect(isZero(byHand.secret)).toBe(true);
  const bySettings = await withPastEpoch();
  await bySettings.world.groups[0]!.configure({ pastEpochs: 0 });
  expect(isZero(bySettings.secret)).toBe(true);
  const byAge = await withPastEpoch();
  byAge.world.clock.advance(8 * 86_400);
  await byAge.world.member(0).client.group(byAge.world.groups[0]!.id);
  expect(isZero(byAge.secret)).toBe(true);
});
