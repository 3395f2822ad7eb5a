/** Many messages at once, some of which are meant to stop the rest: M-RCV-32, P-TX-08. */
import { describe, expect, test } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import type { Client, Group, Outcome } from "../../src/index.ts";
import { processBatches } from "../../src/production/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { forgeMessage } from "../../src/testing/forge/index.ts";
import { faultStorage, testGroup } from "../../src/testing/index.ts";

interface Attack {
  readonly client: Client;
  readonly group: Group;
  readonly messages: readonly Uint8Array[];
}

/** Member 2 writes what `process` throws for at member 1, between two messages that are good. */
async function attack(): Promise<Attack> {
  const world = await testGroup({ members: 3 });
  const { client, group } = world.member(1);
  const attacker = world.member(2);
  // Sealed with keys that all members have, and with the victim's leaf as its sender.
  const forged = await forgeMessage(
    { epoch: accessOf(attacker.group).peek().epoch },
    { contentType: "commit", commit: { proposals: [], path: undefined } },
    {
      wireFormat: "privateMessage",
      alterConfirmationTag: () => new Uint8Array(32),
      privately: { leafIndex: 1, ratchetOf: 0 },
    },
  );
  const [one, two] = await world.member(0).group.sendMany(["one", "two"]);
  // With a PSK that the victim does not have.
  await attacker.client.putPsk(Uint8Array.of(1), new Uint8Array(32));
  const { commit } = await attacker.group.commit({ psks: [Uint8Array.of(1)] });
  return { client, group, messages: [one!.bytes, forged, commit, two!.bytes] };
}

const summary = (outcomes: readonly Outcome[]): unknown[] =>
  outcomes.map((outcome) => ("error" in outcome ? outcome.error.code : outcome.kind));

const EXPECTED = ["application", "OWN_COMMIT_MISMATCH", "MISSING_PSK", "application"];

describe("messages of a member who wants to stop others from catching up", () => {
  test("M-RCV-10: alone they throw, and change nothing", async () => {
    const { group, messages } = await attack();
    const [, forged, commit] = messages;
    await expect(group.process(forged!)).rejects.toMatchObject({ code: "OWN_COMMIT_MISMATCH" });
    await expect(group.process(commit!)).rejects.toMatchObject({ code: "MISSING_PSK" });
    expect(await group.process(messages[0]!)).toMatchObject({ kind: "application" });
  });

  test("M-RCV-32: in a batch each is an outcome at its place, and the others are read", async () => {
    const { client, group, messages } = await attack();
    const outcomes = await group.processMany(messages, { accept: true });
    expect(summary(outcomes)).toEqual(EXPECTED);
    // What was missing came: nothing of the batch was used up that should not be.
    await client.putPsk(Uint8Array.of(1), new Uint8Array(32));
    const [late] = await group.processMany([messages[2]!], { accept: true });
    expect([late?.kind, group.epoch]).toEqual(["commit", 2n]);
  });

  test("P-TX-08: a first sync goes on past them, and says which they were", async () => {
    const { client, messages } = await attack();
    const stored: unknown[] = [];
    for await (const outcomes of processBatches(client, messages, {
      batch: 3,
      onBatch: (_, batch) => void stored.push(...summary(batch)),
    })) {
      expect(outcomes.length).toBeGreaterThan(0);
    }
    expect(stored).toEqual(EXPECTED);
  });
});

test("M-RCV-32: a store that fails still ends a batch, which is then read again from its start", async () => {
  const stores = [memoryStorage(), faultStorage(memoryStorage())] as const;
  let made = 0;
  const world = await testGroup({ members: 2, storage: () => stores[made++]! });
  const { group } = world.member(1);
  const sent = await world.member(0).group.sendMany(["one", "two"]);
  const messages = sent.map(({ bytes }) => bytes);
  stores[1].plan.failWrite = stores[1].writes + 1;
  await expect(group.processMany(messages)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  expect(summary(await group.processMany(messages))).toEqual(["application", "application"]);
});

test("P-TX-08: what a first sync does not accept in its transaction cannot be accepted later", async () => {
  const world = await testGroup({ members: 2 });
  const { client, group } = world.member(1);
  const { commit } = await world.member(0).group.update();
  for await (const [outcome] of processBatches(client, [commit])) {
    if (outcome?.kind !== "commit") throw new Error("a Commit");
    await expect(outcome.accept()).rejects.toMatchObject({ code: "TRANSACTION_CLOSED" });
  }
  expect(group.epoch).toBe(1n);
  for await (const [outcome] of processBatches(client, [commit], {
    onBatch: async (_, [inside]) => {
      if (inside?.kind === "commit") await inside.accept();
    },
  })) {
    expect(outcome?.kind).toBe("commit");
  }
  expect(group.epoch).toBe(2n);
});
