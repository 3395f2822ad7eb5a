/** Rule P-ENC-06: what a log may say. */
import { expect, test } from "vitest";
import { type ClientLog, type LogEntry, logTo } from "../../src/production/index.ts";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { defaultProvider, type Group } from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { SecretWatch } from "../production/secret-watch.ts";

const FIELDS = new Set([
  "source",
  "type",
  "group",
  "epoch",
  "leafIndex",
  "generation",
  "client",
  "reason",
  "code",
  "rule",
  "count",
  "cipherSuite",
]);

test("P-ENC-06: logs shorten and hash ids and show neither content nor keys", async () => {
  const watch = new SecretWatch(defaultProvider());
  const world = await testGroup({
    members: ["alice", "bob", "carol"],
    provider: watch.provider,
    keyPackageThreshold: 100,
  });
  const [a, b] = world.groups as [Group, Group];
  const entries: LogEntry[] = [];
  const logs: ClientLog[] = [];
  for (const { client } of world.members) {
    logs.push(await logTo(client, (entry) => entries.push(entry)));
  }
  const [log] = logs as [ClientLog];
  for (const outcome of await world.say(1, "a very private message")) log.outcome(outcome);
  await world.deliver((await b.proposeUpdate()).bytes, 1);
  await world.commit(0);
  const { client: dave } = await world.newClient("dave");
  logs.push(await logTo(dave, (entry) => entries.push(entry)));
  const made = await dave.createKeyPackage();
  const pending = await a.add([made.bytes]);
  for (const group of world.groups.slice(1)) {
    log.outcome(await group.process(pending.commit, { accept: true }));
  }
  const { welcomes } = await a.acceptCommit();
  const broken = welcomes[0]!.bytes.slice();
  broken[broken.length - 1]! ^= 1;
  await dave.join(broken).catch((error: unknown) => log.error(error));
  await dave.join(welcomes[0]!.bytes);
  const damaged = (await b.send("another private message")).bytes.slice();
  damaged[damaged.length - 1]! ^= 1;
  log.outcome(await a.process(damaged));
  log.outcome(await a.process(new Uint8Array(3)));
  log.error(new Error("the application put a secret message here"));
  log.error(await a.send(new Uint8Array(2 ** 21)).catch((error: unknown) => error));
  await world.commit(0, { remove: [2] });
  const types = new Set(entries.map(({ type }) => type));
  for (const type of [
    "application",
    "commit",
    "invalid",
    "messageReceived",
    "memberJoined",
    "memberRemoved",
    "removedFromGroup",
    "keyPackageUsed",
    "keyPackagesLow",
    "welcomeFailed",
    "foreign",
    "usage",
  ]) {
    expect(types).toContain(type);
  }
  const text = JSON.stringify(entries).toLowerCase();
  const hidden = [a.id, utf8("alice"), utf8("carol"), made.reference, made.bytes, damaged];
  for (const member of a.members()) hidden.push(member.signatureKey, member.encryptionKey);
  for (const bytes of hidden) {
    expect(text).not.toContain(toHex(bytes).slice(0, 12));
    expect(text).not.toContain(Buffer.from(bytes).toString("base64").slice(0, 8).toLowerCase());
  }
  for (const word of [
    "alice",
    "bob",
    "carol",
    "dave",
    "private",
    "secret message",
    "application put",
  ]) {
    expect(text).not.toContain(word);
  }
  expect(watch.seen.size).toBeGreaterThan(100);
  for (const hex of watch.seen.keys()) expect(text).not.toContain(hex.slice(0, 12));
  // Nothing but numbers, short hashes and words of the library's own.
  for (const entry of entries) {
    for (const [field, value] of Object.entries(entry)) {
      expect(FIELDS).toContain(field);
      if (field === "group" || field === "client") {
        expect(value === undefined || /^[0-9a-f]{8}$/.test(value as string)).toBe(true);
      } else if (typeof value === "string") expect(value).toMatch(/^[A-Za-z0-9_-]{1,32}$/);
      else expect(["number", "undefined"]).toContain(typeof value);
    }
  }
  // One group has one name in one store, and another one in another store.
  const own = entries.filter(({ source, group }) => source === "event" && group !== undefined);
  expect(new Set(own.map(({ group }) => group)).size).toBe(4);
  const before = entries.length;
  for (const each of logs) each.stop();
  await world.member(0).group.commitImmediately();
  expect(entries).toHaveLength(before);
});
