/** Catalogue M-APP-20: message keys for media encryption outside of MLS. RFC 9420 §9. */
import { describe, expect, test } from "vitest";
import { exportReceivingKey, exportSendingKey, type Group } from "../../src/index.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";

async function two(): Promise<{ world: TestGroup; a: Group; b: Group }> {
  const world = await testGroup({ members: 2 });
  const [a, b] = world.groups as readonly [Group, Group];
  return { world, a, b };
}

const failsWith = (code: string): Error => expect.objectContaining({ code }) as Error;

describe("M-APP-20: message keys are exported, which consumes them", () => {
  test("M-APP-20: sender and receiver get the same key by sender and generation", async () => {
    const { a, b } = await two();
    const leafIndex = a.ownLeafIndex;
    const sent = [await exportSendingKey(a), await exportSendingKey(a), await exportSendingKey(a)];
    expect(sent.map(({ generation }) => generation)).toEqual([0, 1, 2]);
    expect(sent[0]).toMatchObject({ leafIndex, epoch: a.epoch });
    expect(sent[0]?.key).toHaveLength(16);
    expect(sent[0]?.nonce).toHaveLength(12);
    expect(sent[1]?.key).not.toEqual(sent[0]?.key);
    // In any order.
    for (const generation of [2, 0, 1]) {
      expect(await exportReceivingKey(b, { leafIndex, generation })).toEqual(sent[generation]);
    }
  });

  test("M-APP-20: messages and exported keys never share a generation", async () => {
    const { world, a, b } = await two();
    const first = await a.send("one");
    const exported = await exportSendingKey(a);
    const second = await a.send("two");
    expect([first.generation, exported.generation, second.generation]).toEqual([0, 1, 2]);
    expect(await b.process(second.bytes)).toMatchObject({ kind: "application" });
    expect(await b.process(first.bytes)).toMatchObject({ kind: "application" });
    const received = await exportReceivingKey(b, { leafIndex: a.ownLeafIndex, generation: 1 });
    expect(received).toEqual(exported);
    world.assertAgreement();
  });

  test("M-APP-20: a key is handed out once, also after a restart", async () => {
    const { world, a, b } = await two();
    const leafIndex = a.ownLeafIndex;
    const { bytes } = await a.send("one");
    await exportReceivingKey(b, { leafIndex, generation: 0 });
    const consumed = failsWith("ALREADY_CONSUMED");
    await expect(exportReceivingKey(b, { leafIndex, generation: 0 })).rejects.toThrow(consumed);
    const again = await world.reopen(1, world.member(1).storage);
    await expect(exportReceivingKey(again.group, { leafIndex, generation: 0 })).rejects.toThrow(
      consumed,
    );
    expect(await again.group.process(bytes)).not.toMatchObject({ kind: "application" });

    const exported = await exportSendingKey(a);
    const reopened = await world.reopen(0, world.member(0).storage);
    expect((await exportSendingKey(reopened.group)).generation).toBe(exported.generation + 1);
  });

  test("M-APP-20: keys of the epoch before are there as long as late messages are read", async () => {
    const { world, a, b } = await two();
    const { generation, epoch, key } = await exportSendingKey(a);
    const leafIndex = a.ownLeafIndex;
    await world.commit(0);
    const received = await exportReceivingKey(b, { leafIndex, generation, epoch });
    expect(received.key).toEqual(key);
    await expect(
      exportReceivingKey(b, { leafIndex, generation, epoch: epoch + 7n }),
    ).rejects.toThrow(failsWith("EPOCH_UNAVAILABLE"));
  });

  test("M-APP-20: what is no other member's key is refused, and changes nothing", async () => {
    const { a, b } = await two();
    const own = b.ownLeafIndex;
    for (const leafIndex of [own, 7, -1, 0.5, 2 ** 31, 2 ** 32, Number.NaN]) {
      await expect(exportReceivingKey(b, { leafIndex, generation: 0 })).rejects.toThrow(
        failsWith("UNKNOWN_MEMBER"),
      );
    }
    const leafIndex = a.ownLeafIndex;
    await expect(exportReceivingKey(b, { leafIndex, generation: 5000 })).rejects.toThrow(
      failsWith("GENERATION_TOO_FAR"),
    );
    const { bytes } = await a.send("still readable");
    expect(await b.process(bytes)).toMatchObject({ kind: "application" });
  });

  test("M-APP-20: proposals are committed before a key for sending is handed out", async () => {
    const { world, a, b } = await two();
    const { bytes } = await b.proposeUpdate();
    await a.process(bytes, { accept: true });
    await expect(exportSendingKey(a)).rejects.toThrow(failsWith("COMMIT_REQUIRED"));
    await world.commit(0);
    expect((await exportSendingKey(a)).epoch).toBe(a.epoch);
  });
});
