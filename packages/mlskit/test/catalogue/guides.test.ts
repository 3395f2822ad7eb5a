/** The guides: their samples run, and say what they promise. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { Client, type Group, KeyDirectory, type Member } from "../../src/index.ts";
import { fileStorage } from "../../src/storage/file.ts";

const root = join(import.meta.dirname, "../../../..");
const source = (file: string): string => join(root, "packages/mlskit/src", file);
const guide = (name: string): string => readFileSync(join(root, "docs/guides", name), "utf8");

/** Runs all samples of a guide as one program; the variables of that name. */
async function run(name: string, variables: readonly string[]): Promise<Record<string, unknown>> {
  const samples = [...guide(name).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  expect(samples.length).toBeGreaterThan(0);
  const { outputFiles } = await build({
    stdin: {
      contents: `${samples.join("\n")}\nexport { ${variables.join(", ")} };`,
      loader: "ts",
      resolveDir: root,
    },
    alias: {
      mlskit: source("index.ts"),
      "mlskit/production": source("production/index.ts"),
      "mlskit/storage/file": source("storage/file.ts"),
    },
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
    logLevel: "error",
  });
  const folder = mkdtempSync(join(tmpdir(), "mlskit-guide-"));
  try {
    const file = join(folder, "sample.mjs");
    writeFileSync(file, outputFiles[0]!.text);
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("M-MD-03: the recipe for a new device works, by an old device and by an external join with a PSK", async () => {
  const made = (await run("devices.md", [
    "isDone",
    "devicesOfAlice",
    "group",
    "phone",
    "bob",
    "tablet",
    "watch",
  ])) as {
    isDone: boolean;
    devicesOfAlice: readonly Member[];
    group: Group;
    phone: Client;
    bob: Client;
    tablet: Client;
    watch: Client;
  };
  const { group, phone, bob, tablet, watch } = made;
  expect(made.isDone).toBe(true);
  expect(made.devicesOfAlice.map(({ leafIndex }) => leafIndex)).toEqual([0, 2]);
  const clients = [phone, bob, tablet, watch];
  const groups: Group[] = [];
  for (const client of clients) groups.push(await client.group(group.id));
  for (const each of groups) {
    expect(each.memberCount).toBe(4);
    expect(each.epochAuthenticator).toEqual(group.epochAuthenticator);
  }
  const { bytes } = await groups[3]!.send("from the watch");
  for (const receiver of groups.slice(0, 3)) {
    expect((await receiver.process(bytes)).kind).toBe("application");
  }
  for (const client of clients) expect(await client.pskIds()).toEqual([]);
});

test("P-ENC-05: the guide to stores opens one with a key, and what it leaves is encrypted", async () => {
  const made = (await run("storage.md", ["directory", "key", "retention"])) as {
    directory: string;
    key: Uint8Array;
    retention: unknown;
  };
  const { directory, key } = made;
  expect(made.retention).toEqual({ groups: 0, records: 0, failed: [] });
  expect(readFileSync(join(directory, "records")).toString("latin1")).not.toContain("alice");
  const storage = await fileStorage(directory, { key });
  const again = await Client.open({ storage, authenticationService: new KeyDirectory() });
  expect(await again.groups()).toHaveLength(1);
  await again.close();
  rmSync(join(directory, ".."), { recursive: true });
});

test("M-FRK-07: the guide says of each way of recovery what it keeps and what it loses", () => {
  const text = guide("forks.md");
  const table = text.split("\n").filter((line) => line.startsWith("| **"));
  const ways = table.map((line) => line.split("|").map((cell) => cell.trim()));
  expect(ways.map(([, way]) => /\*\*(.+)\*\*/.exec(way!)![1])).toEqual([
    "Resync",
    "Adding again",
    "Starting over",
  ]);
  for (const [, , , kept, lost] of ways) {
    expect(kept!.length).toBeGreaterThan(30);
    expect(lost!.length).toBeGreaterThan(30);
  }
  // It names calls and evidence that exist.
  const calls = readFileSync(source("production/index.ts"), "utf8");
  for (const name of ["createBeacon", "compareBeacon", "compareGroupInfo"]) {
    expect(text).toContain(name);
    expect(calls).toContain(name);
  }
  const evidence = /type ForkEvidence = (.+);/.exec(
    readFileSync(source("client/state/events.ts"), "utf8"),
  );
  for (const [, kind] of evidence![1]!.matchAll(/"(\w+)"/g)) expect(text).toContain(`\`${kind}\``);
});
