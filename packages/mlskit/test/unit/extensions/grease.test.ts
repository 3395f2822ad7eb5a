/** GREASE on the sender's side. RFC 9420 §13.5. */
import { describe, expect, test } from "vitest";
import {
  GREASE_VALUES,
  greaseCapabilities,
  greaseExtension,
  greaseLeafExtensions,
  type RandomBytes,
  reflect,
} from "../../../src/extensions/grease.ts";
import { agree } from "../../support/assertions.ts";
import { capabilitiesFor, newClient, seededProvider } from "../../support/parties.ts";
import { TestGroup } from "../../support/test-group.ts";

const seeded = (seed: string): RandomBytes => {
  const crypto = seededProvider(seed).suite(1);
  return (length) => crypto.randomBytes(length);
};
const random = seeded("grease");
const capabilities = { ...capabilitiesFor(1), extensions: [0xff01], proposals: [0xff02] };

describe("greaseCapabilities", () => {
  test("M-GRS-01 each list but the versions gets one value of the RFC's", () => {
    const greased = greaseCapabilities(capabilities, random);
    expect(greased.versions).toEqual(capabilities.versions);
    for (const kind of ["cipherSuites", "extensions", "proposals", "credentials"] as const) {
      const added = greased[kind].filter((value) => !capabilities[kind].includes(value));
      expect(added).toHaveLength(1);
      expect(GREASE_VALUES).toContain(added[0]);
      expect(greased[kind]).toHaveLength(capabilities[kind].length + 1);
    }
  });

  test("M-GRS-05 the same randomness gives the same values", () => {
    const draw = () => greaseCapabilities(capabilities, seeded("x"));
    expect(draw()).toEqual(draw());
    expect(greaseCapabilities(capabilities, (n) => new Uint8Array(n)).proposals[0]).toBe(0x0a0a);
  });

  test("M-GRS-04 what it is given stays without", () => {
    const before = structuredClone(capabilities);
    greaseCapabilities(capabilities, random);
    expect(capabilities).toEqual(before);
  });

  test("mk-52 values do not repeat, and there are fifteen of them", () => {
    expect(GREASE_VALUES).toHaveLength(15);
    expect(GREASE_VALUES[14]).toBe(0xeaea);
    const all = { ...capabilities, proposals: GREASE_VALUES.slice(1) };
    expect(greaseCapabilities(all, random).proposals).toContain(0x0a0a);
    const full = { ...capabilities, proposals: GREASE_VALUES };
    expect(() => greaseCapabilities(full, random)).toThrow("in use");
  });
});

describe("extensions", () => {
  test("M-GRS-02 those of leaves are reflected, those of key packages if asked for", () => {
    const greased = greaseLeafExtensions({ capabilities, extensions: [] }, random);
    const [extension] = greased.extensions;
    expect(GREASE_VALUES).toContain(extension!.type);
    expect(greased.capabilities.extensions).toEqual([0xff01, extension!.type]);
    expect(reflect(greased.capabilities, extension!)).toBe(greased.capabilities);
  });

  test("M-GRS-02 no type occurs twice", () => {
    const taken = GREASE_VALUES.slice(1).map((type) => ({ type, data: new Uint8Array() }));
    expect(greaseExtension(taken, random).type).toBe(0x0a0a);
  });

  test("M-GRS-03 prop-16 members take them for unknown values", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const leaf = greaseLeafExtensions(
      { capabilities: greaseCapabilities(capabilitiesFor(1), random), extensions: [] },
      random,
    );
    const own = greaseExtension([], random);
    const carol = await newClient("carol", {
      capabilities: reflect(leaf.capabilities, own),
      leafExtensions: leaf.extensions,
      extensions: [own],
    });
    await group.add("alice", new Map([["carol", carol]]), {
      welcomeExtensions: [greaseExtension([], random)],
    });
    await group.commit("carol");
    await agree(group);
  });
});
