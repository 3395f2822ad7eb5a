/** Catalogue M-GRS: values without meaning. RFC 9420 §13.5. */
import { expect, test } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import { GREASE_VALUES } from "../../src/extensions/grease.ts";
import type { Group } from "../../src/index.ts";
import { testGroup } from "../../src/testing/index.ts";
import { type Capabilities, decodeMlsMessage, type KeyPackage } from "../../src/wire.ts";

function keyPackageIn(bytes: Uint8Array): KeyPackage {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  return decoded.message;
}

const greaseIn = (list: readonly number[]): readonly number[] =>
  list.filter((value) => GREASE_VALUES.includes(value));

const lists = ({ cipherSuites, extensions, proposals, credentials }: Capabilities) => [
  cipherSuites,
  extensions,
  proposals,
  credentials,
];

test("M-GRS-01: key packages carry one random GREASE value in each capability list, unless switched off", async () => {
  const world = await testGroup({ members: 1, seed: "grease" });
  const { client } = world.member(0);
  const seen = new Set<number>();
  for (const { bytes } of await client.createKeyPackages(10)) {
    for (const list of lists(keyPackageIn(bytes).leafNode.capabilities)) {
      const found = greaseIn(list);
      expect(found).toHaveLength(1);
      seen.add(found[0]!);
    }
  }
  expect(seen.size).toBeGreaterThan(5);
  const { bytes } = await client.createKeyPackage({ grease: false });
  for (const list of lists(keyPackageIn(bytes).leafNode.capabilities)) {
    expect(greaseIn(list)).toEqual([]);
  }
});

test("M-GRS-03: on receipt GREASE is handled as any unknown value", async () => {
  const world = await testGroup({ members: 2 });
  const [a] = world.groups as readonly [Group];
  const { client } = await world.newClient("dave");
  const grease = { type: GREASE_VALUES[3]!, data: Uint8Array.of(1, 2, 3) };
  const { capabilities } = keyPackageIn((await client.createKeyPackage()).bytes).leafNode;
  const extensions = [...new Set([...capabilities.extensions, grease.type])];
  const { bytes } = await client.createKeyPackage({
    capabilities: { ...capabilities, extensions },
    extensions: [grease],
    leafExtensions: [grease],
  });
  const { welcomes } = await world.commit(0, { add: [bytes], groupInfoExtensions: [grease] });
  const joined = await client.join(welcomes[0]!.bytes);
  expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
  expect(a.members()[2]?.extensions).toEqual([grease]);
});

test("M-GRS-04: GREASE is no proposal, credential or GroupContext extension, and not in what a client knows", async () => {
  const world = await testGroup({ members: 3 });
  const [a] = world.groups as readonly [Group];
  expect(greaseIn(a.extensions.map(({ type }) => type))).toEqual([]);
  for (const { credential } of a.members()) expect(credential.type).toBe("basic");
  await a.proposeUpdate();
  const { summary } = await a.commit();
  expect(summary.custom).toEqual([]);
  // A suite that is only GREASE is not offered for use.
  const { client } = world.member(0);
  const packages = await client.createKeyPackages(3);
  const best = client.bestCipherSuite(packages.map(({ bytes }) => bytes));
  expect(greaseIn([best!])).toEqual([]);
});

test("M-GRS-05: the provider is the source of GREASE, so that tests can fix it", async () => {
  const run = async (seed: string): Promise<string[]> => {
    const world = await testGroup({ members: 1, seed });
    const made = await world.member(0).client.createKeyPackages(3);
    return made.map(({ bytes }) => toHex(bytes));
  };
  expect(await run("one")).toEqual(await run("one"));
  expect(await run("one")).not.toEqual(await run("two"));
});
