/**
 * Stores of every format there was, opened by the present code. `MLSKIT_GOLDEN=<name>` writes new
 * ones, which a release does when it changes a format; those that are there stay as they are.
 */
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { fromHex, fromUtf8, toHex, utf8 } from "../../src/codec/index.ts";
import type { Group } from "../../src/index.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { MapStorage } from "../production/map-storage.ts";
import { temporaryDirectories } from "../unit/storage/directories.ts";
import { MEDIA, type Medium, readGolden, writeGolden } from "./media.ts";
import { type Expected, makeWorld, openBoth, PSK } from "./world.ts";

const folder = fileURLToPath(new URL("stores/", import.meta.url));
const newDirectory = temporaryDirectories();
const fresh = process.env["MLSKIT_GOLDEN"];

const fileOf = (format: string, who: string, { extension }: Medium): string =>
  `${folder}${format}/${who}.${extension}.gz`;

if (fresh !== undefined) {
  fs.mkdirSync(`${folder}${fresh}`, { recursive: true });
  for (const medium of MEDIA) {
    if (fs.existsSync(fileOf(fresh, "alice", medium))) continue;
    const [alice, bob] = [newDirectory(), newDirectory()];
    const stores = [await medium.open(alice), await medium.open(bob)] as const;
    const expected = await makeWorld(...stores);
    for (const [who, directory, storage] of [
      ["alice", alice, stores[0]],
      ["bob", bob, stores[1]],
    ] as const) {
      writeGolden(fileOf(fresh, who, medium), await medium.save(directory, storage));
      await storage.close();
    }
    fs.writeFileSync(
      `${folder}${fresh}/${medium.extension}.json`,
      `${JSON.stringify(expected, undefined, 2)}\n`,
    );
  }
}

/** A golden store, as it was found. */
async function load(format: string, who: string, medium: Medium): Promise<Storage> {
  const directory = newDirectory();
  medium.load(directory, readGolden(fileOf(format, who, medium)));
  return medium.open(directory);
}

const expectKind = async (group: Group, bytes: Uint8Array, kind: string) => {
  const outcome = await group.process(bytes, { accept: true });
  expect(outcome.kind).toBe(kind);
  return outcome.kind === "application" ? fromUtf8(outcome.data) : "";
};

for (const format of fs.readdirSync(folder)) {
  describe(`M-STO-10 sto-3: stores of format ${format}`, () => {
    for (const medium of MEDIA) {
      test(`${medium.extension}: everything is there, and the conversation goes on`, async () => {
        const read = fs.readFileSync(`${folder}${format}/${medium.extension}.json`, "utf8");
        const expected = JSON.parse(read) as Expected;
        const stores = [await load(format, "alice", medium), await load(format, "bob", medium)];
        const { alice, bob } = await openBoth(stores[0]!, stores[1]!);
        const id = fromHex(expected.groupId);
        const [a, b] = [await alice.group(id), await bob.group(id)];
        expect({
          epoch: String(a.epoch),
          epochAuthenticator: toHex(a.epochAuthenticator),
          members: a.memberCount,
          nextGeneration: a.nextGeneration,
          pendingCommit: toHex(a.pendingCommit!.commit),
          unusedKeyPackages: (await alice.keyPackages()).length,
        }).toEqual({
          epoch: expected.epoch,
          epochAuthenticator: expected.epochAuthenticator,
          members: expected.members,
          nextGeneration: expected.nextGeneration,
          pendingCommit: expected.pendingCommit,
          unusedKeyPackages: expected.unusedKeyPackages,
        });
        const kept = a.toHandOut.flatMap(({ welcomes }) =>
          welcomes.map(({ bytes }) => toHex(bytes)),
        );
        expect(kept).toEqual(expected.welcome === undefined ? [] : [expected.welcome]);
        if (expected.dropped !== undefined) {
          await expectKind(a, fromHex(expected.dropped), "duplicate");
          expect(a.pendingProposals).toEqual([]);
        }
        const own = await alice.transaction(async (tx) => [
          await tx.get("note"),
          await tx.checkpoint(),
        ]);
        expect(own).toEqual([utf8("of the application"), utf8("cursor")]);
        expect(await expectKind(a, fromHex(expected.late), "application")).toBe("late");
        expect(await expectKind(a, fromHex(expected.unread), "application")).toBe("unread");
        await expectKind(b, fromHex(expected.pendingCommit), "commit");
        await a.acceptCommit();
        await expectKind(b, (await a.send("on")).bytes, "application");
        const { commit } = await a.commit({ psks: [PSK] });
        await expectKind(b, commit, "commit");
        await a.acceptCommit();
        expect(toHex(a.epochAuthenticator)).toBe(toHex(b.epochAuthenticator));
        for (const storage of stores) await storage.close();
      });
    }

    test("every record names its format first, and a later one is refused", async () => {
      const [medium] = MEDIA as readonly [Medium];
      const { records } = (await load(format, "alice", medium)) as MapStorage;
      const formatted = [...records.values()].filter(
        ({ key, value }) => value.length > 0 && !key.startsWith("app"),
      );
      expect(formatted.length).toBeGreaterThan(15);
      const kinds = new Set<string>();
      for (const record of formatted) {
        expect(record.value[0], record.key).toBe(Number.parseInt(format, 10));
        kinds.add(
          record.key
            .replace(/^g\d+\/(.).*/, "g/$1")
            .split("/")
            .slice(0, 2)
            .join("/"),
        );
        const value = Uint8Array.of(0xfe, ...record.value.subarray(1));
        const storage = new MapStorage(records);
        storage.records.set(record.key, { ...record, value });
        const bob = await load(format, "bob", medium);
        const use = async (): Promise<void> => {
          const { alice } = await openBoth(storage, bob);
          for (const group of await alice.groups()) group.members();
          await alice.keyPackages();
          for (const name of await alice.pskIds()) await alice.psk(fromHex(name));
          await alice.createGroup();
        };
        await expect(use(), record.key).rejects.toMatchObject({ code: "STORAGE_VERSION" });
      }
      expect(kinds.size).toBeGreaterThan(10);
    });
  });
}
