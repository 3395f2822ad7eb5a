/** Catalogue M-PSK-10: PSKs of application components. draft-ietf-mls-extensions. */
import { describe, expect, test } from "vitest";
import { concat, decode, encode, toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import {
  APPLICATION_PSK,
  applicationPsk,
  applicationPskType,
  readApplicationPsk,
} from "../../src/drafts/index.ts";
import { defaultProvider, type Group } from "../../src/index.ts";
import { PreSharedKeyId, pskIdOf, pskSecret } from "../../src/key-schedule/pre-shared-key.ts";
import { type TestGroup, testGroup, type TestGroupOptions } from "../../src/testing/index.ts";

const types = { psks: new Map([[APPLICATION_PSK, applicationPskType]]) };
const wire = { proposals: new Map(), credentials: new Map(), ...types };
const name = applicationPsk(0x8001, utf8("id"));

async function three(options: TestGroupOptions = {}): Promise<TestGroup> {
  return testGroup({ types, ...options });
}

describe("M-PSK-10: application PSKs", () => {
  test("M-PSK-10: a type that is not registered is not sent, for nobody could read the Commit", async () => {
    const world = await testGroup();
    const { client, group } = world.member(0);
    await client.putPsk(name, utf8("secret"));
    const psk = pskIdOf(name, new Uint8Array(32));
    for (const attempt of [
      () => group.commit({ psks: [name] }),
      () => group.commit({ proposals: [{ type: "psk", psk }] }),
      () => group.proposePsk(name),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "INVALID_PROPOSAL", rule: "mk-07" });
    }
    expect(group.status).toBe("active");
    await world.commit(0);
  });

  test("M-PSK-10: the id is type 3, component, id and nonce, and enters psk_secret as the RFC says", () => {
    const crypto = defaultProvider().suite(1);
    const nonce = new Uint8Array(32).fill(7);
    const id = pskIdOf(name, nonce);
    const bytes = encode(PreSharedKeyId, id);
    expect(toHex(bytes)).toBe(`03${"8001"}02${toHex(utf8("id"))}20${"07".repeat(32)}`);
    expect(decode(PreSharedKeyId, bytes, "id", wire)).toEqual(id);
    expect(readApplicationPsk(id)).toEqual({ componentId: 0x8001, pskId: utf8("id") });
    expect(readApplicationPsk(pskIdOf(utf8("id"), nonce))).toBeUndefined();
    // psk_input = ExpandWithLabel(Extract(0, psk), "derived psk", PSKLabel, Nh), written out.
    const psk = utf8("secret");
    const zero = new Uint8Array(32);
    const label = concat(bytes, Uint8Array.of(0, 0, 0, 1));
    const info = concat(
      Uint8Array.of(0, 32, 19),
      utf8("MLS 1.0 derived psk"),
      Uint8Array.of(label.length),
      label,
    );
    const input = crypto.expand(crypto.extract(zero, psk), info, 32);
    const expected = crypto.extract(input, zero);
    expect(pskSecret(crypto, [{ id, secret: new Secret(psk) }]).bytes).toEqual(expected);
  });

  test("M-PSK-10: members, a joiner and an external joiner use one from the store", async () => {
    const world = await three();
    const [a, b] = world.groups as readonly [Group, Group];
    const dave = (await world.newClient("dave")).client;
    const eve = (await world.newClient("eve")).client;
    for (const { client } of world.members) await client.putPsk(name, utf8("secret"));
    for (const client of [dave, eve]) await client.putPsk(name, utf8("secret"));
    const { client } = world.member(0);
    expect(await client.psk(name)).toEqual(utf8("secret"));
    expect(await client.pskIds()).toEqual([`3:${toHex(name.body)}`]);

    const keyPackage = await dave.createKeyPackage();
    const { commit } = await a.commit({ psks: [name], add: [keyPackage.bytes] });
    await world.deliver(commit, 0);
    const { welcomes } = await a.acceptCommit();
    const joined = await dave.join(welcomes[0]!.bytes);
    expect(joined.epochAuthenticator).toEqual(a.epochAuthenticator);
    world.assertAgreement();

    const external = await eve.joinExternally(await b.groupInfo(), { psks: [name] });
    await world.deliver(external.commit);
    await eve.acceptJoin(external.group.id);
    expect(external.group.epochAuthenticator).toEqual(a.epochAuthenticator);

    await client.deletePsk(name);
    expect(await client.pskIds()).toEqual([]);
    await expect(a.commit({ psks: [name] })).rejects.toMatchObject({ code: "MISSING_PSK" });
  });

  test("M-PSK-10: it is looked up by component and id, apart from all other PSKs", async () => {
    const asked: unknown[] = [];
    const world = await three({
      psk: (id) => {
        const own = readApplicationPsk(id);
        asked.push(own);
        if (own === undefined) return undefined;
        return new Secret(utf8(`${own.componentId} ${toHex(own.pskId)}`));
      },
    });
    await world.commit(0, { psks: [name, applicationPsk(0x8002, utf8("id"))] });
    world.assertAgreement();
    expect(asked.slice(0, 2)).toEqual([
      { componentId: 0x8001, pskId: utf8("id") },
      { componentId: 0x8002, pskId: utf8("id") },
    ]);
    const { client, group } = world.member(0);
    // The same bytes as an external PSK are another PSK.
    await client.putPsk(utf8("id"), utf8("external"));
    expect(await client.psk(name)).toBeUndefined();
    await expect(group.commit({ psks: [name.body] })).rejects.toMatchObject({
      code: "MISSING_PSK",
    });
  });

  test("M-PSK-10: members who hold different values do not enter the same epoch", async () => {
    const world = await three();
    const [a] = world.groups as readonly [Group];
    for (const [i, { client }] of world.members.entries()) {
      await client.putPsk(name, utf8(i === 2 ? "another" : "secret"));
    }
    const { commit } = await a.commit({ psks: [name] });
    const [b, c] = await world.deliver(commit, 0);
    expect(b).toMatchObject({ kind: "commit" });
    expect(c).not.toMatchObject({ kind: "commit" });
  });

  test("M-PSK-10: a pending Commit with one outlives a restart; unregistered, the type is malformed", async () => {
    const world = await three();
    const [a] = world.groups as readonly [Group];
    for (const { client } of world.members) await client.putPsk(name, utf8("secret"));
    const { commit } = await a.commit({ psks: [name] });
    await world.deliver(commit, 0);
    const { group } = await world.reopen(0, world.member(0).storage);
    await group.acceptCommit();
    world.assertAgreement();

    const bytes = encode(PreSharedKeyId, pskIdOf(name, new Uint8Array(32)));
    expect(() => decode(PreSharedKeyId, bytes)).toThrow(
      expect.objectContaining({ code: "MALFORMED", rule: "mk-07" }) as Error,
    );
  });
});
