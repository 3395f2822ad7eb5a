/** Catalogue M-EXP-06: one secret per component and epoch. draft-ietf-mls-extensions. */
import { describe, expect, test } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { deriveSecret, expandWithLabel } from "../../src/crypto/labels.ts";
import { safeExportSecret } from "../../src/drafts/index.ts";
import { defaultProvider, type Group } from "../../src/index.ts";
import { secretsOf } from "../../src/key-schedule/key-schedule.ts";
import { takeComponent } from "../../src/drafts/safe-exporter.ts";
import { type TestGroup, testGroup } from "../../src/testing/index.ts";

const consumed = expect.objectContaining({ code: "EXPORT_CONSUMED" }) as Error;

async function two(): Promise<{ world: TestGroup; a: Group; b: Group }> {
  const world = await testGroup({ members: 2 });
  const [a, b] = world.groups as readonly [Group, Group];
  return { world, a, b };
}

describe("M-EXP-06: the safe exporter gives each component one secret per epoch", () => {
  test("M-EXP-06: it is the leaf of a tree of 2^16 leaves under application_export_secret", () => {
    for (const suite of [1, 7]) {
      const crypto = defaultProvider().suite(suite);
      const size = crypto.suite.kdf.size;
      const epochSecret = new Uint8Array(size).fill(5);
      const { encryptionSecret, ...secrets } = secretsOf(crypto, new Secret(epochSecret));
      expect(encryptionSecret).toHaveLength(size);
      for (const componentId of [0, 1, 0x8001, 0xffff]) {
        // From the root down, one bit of the id after the other.
        let expected = deriveSecret(crypto, epochSecret, "application_export");
        for (let bit = 15; bit >= 0; bit--) {
          const side = utf8(((componentId >> bit) & 1) === 0 ? "left" : "right");
          expected = expandWithLabel(crypto, expected, "tree", side, size);
        }
        const { secret, next } = takeComponent({ crypto, secrets }, componentId);
        expect(secret.bytes).toEqual(expected);
        expect(next.exporterTree?.size).toBe(16);
      }
    }
  });

  test("M-EXP-06: members agree, whatever the order in which they ask", async () => {
    const { world, a, b } = await two();
    const ids = [0x8001, 0, 1, 0x8000, 0xffff];
    const ofA = new Map<number, string>();
    for (const id of ids) ofA.set(id, toHex(await safeExportSecret(a, id)));
    for (const id of [...ids].reverse())
      expect(toHex(await safeExportSecret(b, id))).toBe(ofA.get(id));
    expect(new Set(ofA.values()).size).toBe(ids.length);
    await world.commit(0);
    expect(toHex(await safeExportSecret(a, 0x8001))).not.toBe(ofA.get(0x8001));
    world.assertAgreement();
  });

  test("M-EXP-06: a second time there is none, also after a restart, until the next epoch", async () => {
    const { world, a, b } = await two();
    await safeExportSecret(a, 7);
    await expect(safeExportSecret(a, 7)).rejects.toThrow(consumed);
    const { group } = await world.reopen(0, world.member(0).storage);
    await expect(safeExportSecret(group, 7)).rejects.toThrow(consumed);
    expect(await safeExportSecret(group, 6)).toEqual(await safeExportSecret(b, 6));
    await world.commit(1);
    expect(await safeExportSecret(group, 7)).toEqual(await safeExportSecret(b, 7));
  });

  test("M-EXP-06: what led to the secret is erased in memory and gone from the store", async () => {
    const { world, a } = await two();
    const { storage } = world.member(0);
    const stored = async (): Promise<string> =>
      (await storage.list("")).map(({ value }) => toHex(value)).join(" ");
    const { crypto, secrets } = accessOf(a).peek().epoch;
    const rootSecret = secrets.applicationExportSecret;
    let secret: Uint8Array = rootSecret.bytes.slice();
    const way = [toHex(secret)];
    for (let depth = 0; depth < 16; depth++) {
      secret = expandWithLabel(crypto, secret, "tree", utf8("left"), 32);
      way.push(toHex(secret));
    }
    expect(await stored()).toContain(way[0]);
    expect(toHex(await safeExportSecret(a, 0))).toBe(way[16]);
    const after = await stored();
    for (const node of way) expect(after).not.toContain(node);
    expect(() => rootSecret.bytes).toThrow();
    // The epoch's end takes the rest.
    const rest = [...(accessOf(a).peek().epoch.exporterTree?.values() ?? [])];
    expect(rest).toHaveLength(16);
    const left = rest.map(({ bytes }) => toHex(bytes));
    await world.commit(0);
    for (const node of rest) expect(() => node.bytes).toThrow();
    const end = await stored();
    for (const node of left) expect(end).not.toContain(node);
  });

  test("M-EXP-06: ids that are no component are refused, and so is a group that is over", async () => {
    const { world, a, b } = await two();
    for (const id of [-1, 0x1_0000, 0.5]) {
      await expect(safeExportSecret(a, id)).rejects.toThrow(
        expect.objectContaining({ code: "INVALID_COMPONENT" }) as Error,
      );
    }
    await world.commit(0, { remove: [b.ownLeafIndex] });
    await expect(safeExportSecret(b, 1)).rejects.toThrow(
      expect.objectContaining({ code: "GROUP_INACTIVE" }) as Error,
    );
  });
});
