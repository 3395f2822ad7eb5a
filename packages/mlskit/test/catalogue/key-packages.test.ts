/** Catalogue M-KP: key packages and their lifecycle. */
import { describe, expect, test } from "vitest";
import { keyPackageObstacles } from "../../src/production/index.ts";
import { equalBytes, toHex } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { lastResortDictionary, isMarkedLastResort } from "../../src/drafts/index.ts";
import {
  Client,
  type ClientEvent,
  createSigner,
  defaultProvider,
  memoryStorage,
  type PublishedKeyPackage,
} from "../../src/index.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import {
  FaultStorage,
  faultStorage,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import {
  ApplicationId,
  decodeMlsMessage,
  encodeMlsMessage,
  ExtensionType,
  type KeyPackage,
  keyPackageRef,
  makeExtension,
  viewKeyPackage,
} from "../../src/wire.ts";
import { contents } from "../support/forge-join.ts";
import { forgeKeyPackage, type KeyPackageForgery, newKeyPair } from "../support/forge.ts";

const HOUR = 3600n;
const DAY = 86_400n;
const FOREVER = { notBefore: 0n, notAfter: 2n ** 64n - 1n };
const SUITE_1 = defaultProvider().suite(1);

/** A group of one, and a client outside of it. */
async function world(options: TestGroupOptions = {}) {
  const group = await testGroup({ members: 1, ...options });
  const { client, storage } = await group.newClient("bob");
  return { world: group, clock: group.clock, alice: group.member(0).group, bob: client, storage };
}

function open({ bytes }: Pick<PublishedKeyPackage, "bytes">): KeyPackage {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "keyPackage") throw new Error("a key package was expected");
  return decoded.message;
}

function lifetimeOf(published: PublishedKeyPackage) {
  const { origin } = open(published).leafNode;
  if (origin.source !== "keyPackage") throw new Error("a leaf of a key package was expected");
  return origin.lifetime;
}

const ABLE = {
  versions: [1],
  cipherSuites: [1],
  extensions: [],
  proposals: [],
  credentials: [1],
};

describe("key packages", () => {
  test("M-KP-01: fresh keys, message bytes, reference and expiry", async () => {
    const { bob } = await world();
    const [a, b] = [await bob.createKeyPackage(), await bob.createKeyPackage()];
    const [x, y] = [open(a), open(b)];
    const keys = [x.initKey, y.initKey, x.leafNode.encryptionKey, y.leafNode.encryptionKey];
    expect(new Set(keys.map(toHex)).size).toBe(4);
    expect(x.leafNode.signatureKey).toEqual(bob.identity.signatureKey);
    expect(x.leafNode.signature.length).toBe(64);
    expect(x.signature.length).toBe(64);
    expect(a.reference).toEqual(keyPackageRef(SUITE_1, x));
    expect(a.expiresAt).toBe(lifetimeOf(a).notAfter);
  });

  test("M-KP-02: the private keys are durable under the reference before the bytes are out", async () => {
    const {
      bob,
      storage,
      alice,
      world: group,
    } = await world({
      storage: () => faultStorage(memoryStorage()),
    });
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const published = await bob.createKeyPackage();
    expect(await storage.get(`keypackage/${toHex(published.reference)}`)).toBeDefined();
    await alice.add([published.bytes]);
    const { welcomes } = await alice.acceptCommit();
    storage.plan.failWrite = storage.writes + 1;
    await expect(bob.createKeyPackage()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await bob.keyPackages()).toHaveLength(1);
    // The process is gone; what it wrote opens the Welcome.
    const { directory, clock } = group;
    const again = await Client.open({
      storage: storage.reopen(),
      authenticationService: directory,
      clock,
    });
    expect((await again.join(welcomes[0]!.bytes)).epoch).toBe(1n);
  });

  test("M-KP-03: many key packages are one call and one transaction", async () => {
    const { bob, storage } = await world({ storage: () => faultStorage(memoryStorage()) });
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const before = storage.writes;
    const published = await bob.createKeyPackages(20);
    expect(storage.writes - before).toBe(1);
    expect(new Set(published.map(({ reference }) => toHex(reference))).size).toBe(20);
    storage.plan.failWrite = storage.writes + 1;
    await expect(bob.createKeyPackages(5)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await bob.keyPackages()).toHaveLength(20);
  });

  test("M-KP-04: from an hour ago to 83 days ahead, or the window that was asked for", async () => {
    const { bob, clock } = await world();
    const now = clock();
    const usual = { notBefore: now - HOUR, notAfter: now + 83n * DAY };
    expect(lifetimeOf(await bob.createKeyPackage())).toEqual(usual);
    const lifetime = { notBefore: now, notAfter: now + DAY };
    const custom = await bob.createKeyPackage({ lifetime });
    expect(lifetimeOf(custom)).toEqual(lifetime);
    expect(custom.expiresAt).toBe(now + DAY);
    const short = await bob.createKeyPackage({ lifetime: 7n * DAY });
    expect(lifetimeOf(short)).toEqual({ notBefore: now - HOUR, notAfter: now + 7n * DAY });
  });

  test("M-KP-05: a lifetime may have no end", async () => {
    const { bob, alice } = await world({ limits: { maximumLifetime: undefined } });
    const published = await bob.createKeyPackage({ lifetime: FOREVER });
    expect(lifetimeOf(published)).toEqual(FOREVER);
    await alice.add([published.bytes]);
    const { welcomes } = await alice.acceptCommit();
    expect((await bob.join(welcomes[0]!.bytes)).memberCount).toBe(2);
  });

  test("M-KP-06: capabilities are what the client supports, without default types, or as given", async () => {
    const types = {
      proposals: new Map([[0xf0aa, {}]]),
      extensions: new Set([0xf0bb]),
      credentials: new Map(),
    };
    const { bob } = await world({ types });
    const derived = open(await bob.createKeyPackage({ grease: false })).leafNode.capabilities;
    expect(derived.versions).toEqual([1]);
    expect(derived.cipherSuites).toEqual(defaultProvider().suites);
    expect(derived.proposals).toEqual([0xf0aa]);
    expect(derived.extensions).toContain(0xf0bb);
    for (const type of [1, 2, 3, 4, 5]) expect(derived.extensions).not.toContain(type);
    for (const type of [1, 2, 3, 4, 5, 6, 7]) expect(derived.proposals).not.toContain(type);
    const given = open(await bob.createKeyPackage({ capabilities: ABLE })).leafNode.capabilities;
    expect(given).toEqual(ABLE);
    const listed = { ...ABLE, proposals: [1] };
    await expect(bob.createKeyPackage({ capabilities: listed })).rejects.toMatchObject({
      rule: "mk-50",
    });
  });

  test("M-KP-07: extensions of package and leaf, and INVALID_EXTENSION for one that is not listed", async () => {
    const { bob } = await world();
    const applicationId = makeExtension(
      ExtensionType.applicationId,
      ApplicationId,
      Uint8Array.of(7),
    );
    const unknown = { type: 0xf0f0, data: Uint8Array.of(1, 2) };
    const capabilities = { ...ABLE, extensions: [0xf0f0] };
    const made = open(
      await bob.createKeyPackage({
        capabilities,
        extensions: [unknown],
        leafExtensions: [applicationId, unknown],
      }),
    );
    expect(made.extensions).toEqual([unknown]);
    expect(made.leafNode.extensions).toEqual([applicationId, unknown]);
    await expect(
      bob.createKeyPackage({ capabilities: ABLE, leafExtensions: [unknown] }),
    ).rejects.toMatchObject({ code: "INVALID_EXTENSION" });
    expect(await bob.keyPackages()).toHaveLength(1);
  });

  test("M-KP-08: a suite is named, and one that the provider lacks is refused", async () => {
    const { bob, storage } = await world();
    const before = await contents(storage);
    await expect(bob.addIdentity({ identity: "bob", cipherSuite: 0x7777 })).rejects.toMatchObject({
      code: "UNSUPPORTED_CIPHER_SUITE",
    });
    expect(await contents(storage)).toEqual(before);
    await expect(
      bob.createKeyPackage({ capabilities: { ...ABLE, cipherSuites: [] } }),
    ).rejects.toMatchObject({ rule: "mk-49" });
    expect(open(await bob.createKeyPackage()).cipherSuite).toBe(1);
  });

  test("M-KP-09: a received key package is used only after a complete check", async () => {
    const { world: group, alice, bob, clock } = await world();
    const keyPair = await SUITE_1.generateSignatureKeyPair();
    const signer = createSigner(SUITE_1, keyPair);
    group.directory.add({ identity: "bob", signatureKey: signer.publicKey });
    const keyPackage = open(await bob.createKeyPackage({ grease: false }));
    const unused = { initKey: new Secret(new Uint8Array(32)) };
    const bundle = { keyPackage, signer, ...unused, encryptionKey: unused.initKey };
    const flip = (bytes: Uint8Array): Uint8Array =>
      bytes.map((byte, i) => (i === 9 ? ~byte : byte));
    const now = clock();
    const { capabilities, encryptionKey } = keyPackage.leafNode;
    const inHpke = (await newKeyPair()).publicKey;
    const cases: readonly (readonly [RuleId, KeyPackageForgery])[] = [
      ["valn0203", { alterSignature: flip }],
      ["valn0102", { alterLeafSignature: flip }],
      ["valn0204", { fields: { initKey: encryptionKey } }],
      ["valn0201", { fields: { cipherSuite: 3 } }],
      [
        "valn0108",
        {
          leaf: { origin: { source: "update" } },
          leafBinding: { groupId: alice.id, leafIndex: 1 },
        },
      ],
      [
        "valn0105",
        {
          leaf: {
            origin: {
              source: "keyPackage",
              lifetime: { notBefore: now - 2n * DAY, notAfter: now - DAY },
            },
          },
        },
      ],
      ["valn0107", { leaf: { extensions: [{ type: 0xf0f0, data: inHpke }] } }],
      ["valn0113", { leaf: { capabilities: { ...capabilities, credentials: [2] } } }],
    ];
    const wrap = async (forgery: KeyPackageForgery): Promise<Uint8Array> => {
      const forged = await forgeKeyPackage(bundle, forgery);
      return encodeMlsMessage({ wireFormat: "keyPackage", message: forged.keyPackage });
    };
    for (const [rule, forgery] of cases) {
      const bytes = await wrap(forgery);
      const isSignature = rule === "valn0203" || rule === "valn0102";
      const error = { rule, code: isSignature ? "SIGNATURE_INVALID" : "INVALID_KEY_PACKAGE" };
      await expect(alice.add([bytes]), rule).rejects.toMatchObject(error);
      await expect(alice.proposeAdd(bytes), rule).rejects.toMatchObject(error);
    }
    expect(alice.status).toBe("active");
    await expect(alice.add([await wrap({})])).resolves.toBeDefined();
  });

  test("M-KP-10: the credential can be read early, marked as unverified", async () => {
    const { bob } = await world();
    const { bytes } = await bob.createKeyPackage();
    const damaged = bytes.slice();
    damaged[damaged.length - 1]! ^= 1;
    expect(viewKeyPackage(damaged)).toEqual({
      cipherSuite: 1,
      unverifiedCredential: bob.identity.credential,
      unverifiedSignatureKey: bob.identity.signatureKey,
    });
  });

  test("M-KP-11: the reference of any key package, own or received", async () => {
    const { bob } = await world();
    const published = await bob.createKeyPackage();
    const received = open({ bytes: published.bytes.slice() });
    expect(keyPackageRef(SUITE_1, received)).toEqual(published.reference);
    expect((await bob.keyPackages())[0]!.reference).toEqual(published.reference);
  });

  test("M-KP-12: a last resort stays after use, and its component form is recognised", async () => {
    const { bob, world: group, alice } = await world();
    const published = await bob.createKeyPackage({ lastResort: true });
    expect(open(published).extensions).toEqual([{ type: 0x000a, data: new Uint8Array(0) }]);
    for (const inviter of [alice, await group.member(0).client.createGroup()]) {
      await inviter.add([published.bytes]);
      const { welcomes } = await inviter.acceptCommit();
      expect((await bob.join(welcomes[0]!.bytes)).memberCount).toBe(2);
    }
    expect(await bob.keyPackages()).toMatchObject([{ isLastResort: true }]);
    expect(isMarkedLastResort(open(published))).toBe(true);
    expect(isMarkedLastResort({ extensions: [lastResortDictionary()] })).toBe(true);
  });

  test("M-KP-13: entering deletes the package with the same write; nothing short of it does", async () => {
    const { bob, alice, storage } = await world({
      storage: () => faultStorage(memoryStorage()),
    });
    if (!(storage instanceof FaultStorage)) throw new Error("a store that fails was expected");
    const { bytes } = await bob.createKeyPackage();
    await alice.add([bytes]);
    const { welcomes } = await alice.acceptCommit();
    const welcome = welcomes[0]!.bytes;
    const before = await contents(storage);
    await bob.peekWelcome(welcome);
    await bob.stageWelcome(welcome);
    const damaged = welcome.slice();
    damaged[damaged.length - 1]! ^= 1;
    await expect(bob.join(damaged)).rejects.toMatchObject({ code: "DECRYPTION_FAILED" });
    expect(await contents(storage)).toEqual(before);
    storage.plan.failWrite = storage.writes + 1;
    await expect(bob.join(welcome)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await contents(storage)).toEqual(before);
    const writes = storage.writes;
    await bob.join(welcome);
    expect(storage.writes - writes).toBe(1);
    expect(await bob.keyPackages()).toEqual([]);
    expect(await bob.groups()).toHaveLength(1);
  });

  test("M-KP-14: own packages are listed with state, counted per suite and credential, deleted and pruned", async () => {
    const { bob, clock } = await world();
    const work = await bob.addIdentity({ identity: "bob at work", cipherSuite: 2 });
    const now = clock();
    const lifetime = { notBefore: now - HOUR, notAfter: now + DAY };
    const short = await bob.createKeyPackage({ lifetime });
    await bob.createKeyPackages(2);
    await bob.createKeyPackages(3, { identity: work });
    await bob.createKeyPackage({ lastResort: true });
    const counts = async () =>
      (await bob.keyPackageStock()).map(({ identity, cipherSuite, available }) => [
        identity.signatureKey,
        cipherSuite,
        available,
      ]);
    expect(await counts()).toEqual([
      [bob.identity.signatureKey, 1, 3],
      [work.signatureKey, 2, 3],
    ]);
    clock.advance(2n * DAY);
    const listed = await bob.keyPackages();
    expect(listed).toHaveLength(7);
    const expired = listed.filter(({ isExpired }) => isExpired);
    expect(expired).toMatchObject([{ reference: short.reference, expiresAt: now + DAY }]);
    expect(listed.filter(({ isLastResort }) => isLastResort)).toHaveLength(1);
    expect((await counts())[0]).toEqual([bob.identity.signatureKey, 1, 2]);
    expect(await bob.pruneKeyPackages(0n)).toBe(1);
    const [one] = (await bob.keyPackages()).filter(({ cipherSuite }) => cipherSuite === 2);
    await bob.deleteKeyPackage(one!.reference);
    expect(await bob.keyPackages()).toHaveLength(5);
    expect((await counts())[1]).toEqual([work.signatureKey, 2, 2]);
  });

  test("M-KP-15: a late Welcome still opens in the grace time of 14 days", async () => {
    const { bob, alice, clock } = await world();
    const [first, second] = await bob.createKeyPackages(2);
    await alice.add([first!.bytes]);
    const { welcomes } = await alice.acceptCommit();
    clock.advance(83n * DAY + 13n * DAY);
    expect(await bob.pruneKeyPackages()).toBe(0);
    expect((await bob.join(welcomes[0]!.bytes)).memberCount).toBe(2);
    clock.advance(2n * DAY);
    expect(await bob.pruneKeyPackages()).toBe(1);
    expect(await bob.keyPackages()).toEqual([]);
    expect(second).toBeDefined();
  });

  test("M-KP-16: a low stock raises an event, and a query says how many to upload", async () => {
    const { bob, alice } = await world();
    const events: ClientEvent[] = [];
    bob.on((event) => void events.push(event));
    const packages = await bob.createKeyPackages(10);
    expect(await bob.keyPackageStock()).toMatchObject([{ available: 10, missing: 0 }]);
    await alice.add([packages[0]!.bytes]);
    const { welcomes } = await alice.acceptCommit();
    await bob.join(welcomes[0]!.bytes);
    await expect
      .poll(() => events.filter(({ type }) => type === "keyPackagesLow"))
      .toEqual([
        {
          type: "keyPackagesLow",
          cipherSuite: 1,
          signatureKey: bob.identity.signatureKey,
          available: 9,
        },
      ]);
    expect(await bob.keyPackageStock(30)).toMatchObject([{ available: 9, missing: 21 }]);
  });

  test("M-KP-17: a dry check lists every reason why a package could not be added", async () => {
    const { bob, alice, clock, world: group } = await world();
    const { bytes } = await bob.createKeyPackage();
    expect(await keyPackageObstacles(alice, bytes)).toEqual([]);
    clock.advance(84n * DAY);
    group.directory.remove(bob.identity);
    const reasons = await keyPackageObstacles(alice, bytes);
    expect(reasons.map(({ code }) => code)).toEqual(["INVALID_KEY_PACKAGE", "CREDENTIAL_REJECTED"]);
    expect(alice.status).toBe("active");
    expect(alice.pendingProposals).toEqual([]);
  });

  test("M-KP-18: leaves that we add or make live 366 days at most, or as long as we allow", async () => {
    const { bob, alice, clock, world: group } = await world();
    const now = clock();
    const lasting = (days: bigint) => ({ notBefore: now, notAfter: now + days * DAY });
    const longest = await bob.createKeyPackage({ lifetime: lasting(366n) });
    expect(await keyPackageObstacles(alice, longest.bytes)).toEqual([]);
    const refused = { code: "INVALID_KEY_PACKAGE", rule: "mk-55" };
    const before = await bob.keyPackages();
    for (const lifetime of [lasting(367n), 366n * DAY, FOREVER]) {
      await expect(bob.createKeyPackage({ lifetime })).rejects.toMatchObject(refused);
      await expect(bob.createGroup({ leaf: { lifetime } })).rejects.toMatchObject(refused);
    }
    expect([await bob.keyPackages(), await bob.groups()]).toEqual([before, []]);
    const common = { authenticationService: group.directory, clock, storage: memoryStorage() };
    const generous = await Client.create({
      ...common,
      identity: "carol",
      limits: { maximumLifetime: undefined },
    });
    group.directory.add(generous.identity);
    const longer = await generous.createKeyPackage({ lifetime: lasting(367n) });
    await expect(alice.add([longer.bytes])).rejects.toMatchObject(refused);
    await expect(alice.proposeAdd(longer.bytes)).rejects.toMatchObject(refused);
    const theirs = await generous.createGroup();
    const other = await generous.createKeyPackage({ lifetime: FOREVER });
    expect(await keyPackageObstacles(theirs, longest.bytes)).toEqual([]);
    await expect(alice.proposeAdd(other.bytes)).rejects.toMatchObject(refused);
    const strict = await Client.create({
      ...common,
      storage: memoryStorage(),
      identity: "dave",
      limits: { maximumLifetime: 30n * DAY },
    });
    await expect(strict.createKeyPackage()).rejects.toMatchObject({ rule: "mk-55" });
  });

  test("M-KP-19: an unused key package can be deleted", async () => {
    const { bob, alice, storage } = await world();
    const { bytes, reference } = await bob.createKeyPackage();
    await bob.deleteKeyPackage(reference);
    expect(await bob.keyPackages()).toEqual([]);
    expect(await storage.get(`keypackage/${toHex(reference)}`)).toBeUndefined();
    await alice.add([bytes]);
    const { welcomes } = await alice.acceptCommit();
    await expect(bob.join(welcomes[0]!.bytes)).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
  });

  test("M-KP-20: the best common suite is proposed, and a worse choice is a DOWNGRADE", async () => {
    const { world: group, bob } = await world();
    const alice = group.member(0).client;
    const preferred = defaultProvider().suites[0]!;
    const { client: other } = await group.newClient("carol");
    const both = [(await bob.createKeyPackage()).bytes, (await other.createKeyPackage()).bytes];
    expect(alice.bestCipherSuite(both)).toBe(preferred);
    const only3 = await bob.createKeyPackage({ capabilities: { ...ABLE, cipherSuites: [1, 3] } });
    expect(alice.bestCipherSuite([only3.bytes, both[1]!])).toBe(preferred);
    const lesser = await Client.create({
      storage: memoryStorage(),
      authenticationService: group.directory,
      clock: group.clock,
      identity: "dave",
      cipherSuite: 3,
    });
    group.directory.add(lesser.identity);
    await expect(lesser.createGroupWith(both)).rejects.toMatchObject({
      code: "DOWNGRADE",
      details: { cipherSuite: preferred },
    });
    expect(await lesser.groups()).toEqual([]);
    expect((await alice.createGroupWith(both)).group.cipherSuite).toBe(preferred);
    expect(equalBytes(both[0]!, both[1]!)).toBe(false);
  });
});
