/** Catalogue M-SUITE: providers and suites as a client uses them. RFC 9420 §5.1, §17.1. */
import { describe, expect, test, vi } from "vitest";
import { keyPackageObstacles } from "../../src/production/index.ts";
import { equalBytes } from "../../src/codec/index.ts";
import {
  Client,
  cipherSuite,
  createProvider,
  createSuiteCrypto,
  type CryptoProvider,
  defaultProvider,
  type Group,
  KeyDirectory,
  memoryStorage,
  type Storage,
  type SuiteCrypto,
} from "../../src/index.ts";
import { nobleSuite1 } from "../../src/providers/noble/index.ts";
import { nodeProvider } from "../../src/providers/node.ts";
import { nodeKem } from "../../src/providers/node-kem.ts";
import { nodeSignature } from "../../src/providers/node-signature.ts";
import { nodeAead, nodeHash, nodeHmac, nodeRandom } from "../../src/providers/node-symmetric.ts";
import { MeasuringStorage } from "../../src/testing/measure-storage.ts";
import { SeededRandom, testClock, testGroup } from "../../src/testing/index.ts";

/** What a provider does, each function behind a name. */
const SYNCHRONOUS = [
  "randomBytes",
  "hash",
  "hmac",
  "extract",
  "expand",
  "aeadSeal",
  "aeadOpen",
] as const;
const ASYNCHRONOUS = [
  "generateKeyPair",
  "deriveKeyPair",
  "publicKeyOf",
  "isValidPublicKey",
  "seal",
  "sealMany",
  "open",
  "sendExport",
  "receiveExport",
  "generateSignatureKeyPair",
  "signaturePublicKeyOf",
  "isValidSignatureKey",
  "sign",
  "verify",
  "verifyMany",
] as const;

/** Somebody's own provider: counts its calls, and answers late wherever it may. */
function ownProvider(calls: Map<string, number>, mode: "at once" | "later"): CryptoProvider {
  const inner = nodeProvider().suite(1);
  const own: Record<string, unknown> = { suite: inner.suite, providerName: "own" };
  for (const name of [...SYNCHRONOUS, ...ASYNCHRONOUS]) {
    const isLate = mode === "later" && (ASYNCHRONOUS as readonly string[]).includes(name);
    own[name] = (...parameters: unknown[]): unknown => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      const method = inner[name] as (...values: unknown[]) => unknown;
      const answer = (): unknown => method.apply(inner, parameters);
      return isLate ? Promise.resolve().then(answer) : answer();
    };
  }
  return createProvider("own", [own as unknown as SuiteCrypto]);
}

/** Adding, talking, removing, and coming back through an external commit. */
async function story(provider: CryptoProvider): Promise<void> {
  const world = await testGroup({ members: 3, provider });
  const [a, b] = world.groups as readonly [Group, Group];
  await world.say(0, "first");
  await world.commit(1, { forcePath: true });
  await world.commit(0, { resumptionPsks: [{ epoch: a.epoch }] });
  const { client } = await world.newClient("late");
  const { group, commit } = await client.joinExternally(await b.groupInfo());
  await world.deliver(commit);
  await client.acceptJoin(group.id);
  expect(group.epochAuthenticator).toEqual(a.epochAuthenticator);
  const { bytes } = await group.send("hello");
  for (const outcome of await world.deliver(bytes)) {
    expect(outcome).toMatchObject({ kind: "application" });
  }
  world.assertAgreement();
}

describe("M-SUITE-03: the provider is one interface", () => {
  for (const mode of ["at once", "later"] as const) {
    test(`M-SUITE-03: a provider of one's own carries everything, and may answer ${mode}`, async () => {
      const calls = new Map<string, number>();
      const provider = ownProvider(calls, mode);
      await story(provider);
      // What no group needs is asked for directly.
      const crypto = provider.suite(1);
      expect(crypto.extract(new Uint8Array(32), new Uint8Array(1))).toHaveLength(32);
      expect(crypto.expand(new Uint8Array(32), new Uint8Array(1), 70)).toHaveLength(70);
      const keys = await crypto.generateSignatureKeyPair();
      expect(await crypto.signaturePublicKeyOf(keys.privateKey)).toEqual(keys.publicKey);
      const kem = await crypto.generateKeyPair();
      const none = new Uint8Array(0);
      const sealed = await crypto.seal(kem.publicKey, none, none, new Uint8Array(5));
      expect(await crypto.open(kem.privateKey, sealed, none, none)).toEqual(new Uint8Array(5));
      const unused = [...SYNCHRONOUS, ...ASYNCHRONOUS].filter((name) => !calls.has(name));
      expect(unused).toEqual([]);
    });
  }

  test("M-SUITE-03: cryptography, randomness and storage are replaced one by one", async () => {
    const random = new SeededRandom("suites");
    const asked: number[] = [];
    const randomBytes = (length: number): Uint8Array => {
      asked.push(length);
      return random.bytes(length);
    };
    const stores: MeasuringStorage[] = [];
    const storage = (): Storage => {
      const store = new MeasuringStorage(memoryStorage());
      stores.push(store);
      return store;
    };
    // Each alone; the rest remains what it is by default.
    await talk({ provider: createProvider("other", [nobleSuite1()]) });
    expect([asked.length, stores.length]).toEqual([0, 0]);
    await talk({ provider: nodeProvider({ randomBytes }) });
    expect(asked.length).toBeGreaterThan(0);
    expect(stores).toHaveLength(0);
    const before = asked.length;
    await talk({ storage });
    expect(stores.map(({ writes }) => writes > 0)).toEqual([true, true, true]);
    expect(asked).toHaveLength(before);
  });
});

async function talk(options: Parameters<typeof testGroup>[0]): Promise<void> {
  const world = await testGroup(options);
  for (const outcome of await world.say(0, "hello")) {
    expect(outcome).toMatchObject({ kind: "application" });
  }
  world.assertAgreement();
}

/** All that a store holds. */
async function dump(storage: Storage): Promise<string> {
  const rows = await storage.list("");
  return JSON.stringify(rows.map(({ key, value, version }) => [key, [...value], version]));
}

describe("M-SUITE-05: the suite is checked first", () => {
  const unsupported = expect.objectContaining({ code: "UNSUPPORTED_CIPHER_SUITE" }) as Error;
  const authenticationService = new KeyDirectory();
  const onlySuite1 = createProvider("one", [defaultProvider().suite(1)]);

  test("M-SUITE-05: no client and no identity is made for a suite that the provider lacks", async () => {
    const storage = memoryStorage();
    const options = { storage, authenticationService, provider: onlySuite1, identity: "alice" };
    await expect(Client.create({ ...options, cipherSuite: 2 })).rejects.toThrow(unsupported);
    expect(await storage.list("")).toEqual([]);
    const client = await Client.create(options);
    const before = await dump(storage);
    await expect(client.addIdentity({ identity: "bob", cipherSuite: 2 })).rejects.toThrow(
      unsupported,
    );
    expect(await dump(storage)).toBe(before);
  });

  test("M-SUITE-05: creating, making key packages and joining fail before a byte is stored", async () => {
    // The store knows suite 2 from when the provider still had it.
    const storage = memoryStorage();
    const options = { storage, authenticationService, identity: "carol" };
    const carol = await Client.create(options);
    authenticationService.add(carol.identity);
    const second = await carol.addIdentity({ identity: "carol 2", cipherSuite: 2 });
    authenticationService.add(second);
    const keyPackage = await carol.createKeyPackage({ identity: second });
    const dave = await Client.create({
      storage: memoryStorage(),
      authenticationService,
      identity: "dave",
      cipherSuite: 2,
    });
    authenticationService.add(dave.identity);
    const group = await dave.createGroup();
    await group.add([keyPackage.bytes]);
    const { welcomes } = await group.acceptCommit();
    const groupInfo = await group.groupInfo();

    const client = await Client.open({ ...options, provider: onlySuite1, cipherSuite: 1 });
    const identity = (await client.identities()).find(({ signatureKey }) =>
      equalBytes(signatureKey, second.signatureKey),
    )!;
    const before = await dump(storage);
    const attempts = [
      () => client.createGroup({ identity }),
      () => client.createKeyPackage({ identity }),
      () => client.join(welcomes[0]!.bytes),
      () => client.joinExternally(groupInfo, { identity }),
      () => client.joinExternally(groupInfo),
    ];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toThrow(unsupported);
      expect(await dump(storage)).toBe(before);
    }
  });
});

describe("M-SUITE-10: the clock is injected", () => {
  test("M-SUITE-10: with a clock of one's own, nothing reads the system's", async () => {
    const system = vi.spyOn(Date, "now").mockImplementation(() => {
      throw new Error("the system's clock was read");
    });
    try {
      await story(defaultProvider());
    } finally {
      system.mockRestore();
    }
  });

  test("M-SUITE-10: lifetimes are judged by the injected clock", async () => {
    const clock = testClock(1_000_000n);
    const world = await testGroup({ members: 1, clock });
    const { client } = await world.newClient("bob");
    const { bytes, expiresAt } = await client.createKeyPackage();
    expect(expiresAt).toBe(1_000_000n + 83n * 86_400n);
    const { group } = world.member(0);
    expect(await keyPackageObstacles(group, bytes)).toEqual([]);
    clock.set(expiresAt + 1n);
    const obstacles = await keyPackageObstacles(group, bytes);
    expect(obstacles.map(({ code }) => code)).toEqual(["INVALID_KEY_PACKAGE"]);
  });

  test("M-SUITE-10: the default is the system's time", async () => {
    const authenticationService = new KeyDirectory();
    const options = { storage: memoryStorage(), authenticationService, identity: "alice" };
    const client = await Client.create(options);
    const before = BigInt(Math.floor(Date.now() / 1000));
    const { expiresAt } = await client.createKeyPackage();
    const after = BigInt(Math.floor(Date.now() / 1000));
    expect(expiresAt).toBeGreaterThanOrEqual(before + 83n * 86_400n);
    expect(expiresAt).toBeLessThanOrEqual(after + 83n * 86_400n);
  });
});

test("M-SUITE-11: members talk in a suite of their own", async () => {
  // X25519 with ChaCha20-Poly1305 and Ed448: no such suite is registered.
  const suite = { ...cipherSuite(3), id: 0xf123, signature: cipherSuite(4).signature };
  const aead = nodeAead("chacha20-poly1305");
  const crypto = createSuiteCrypto(suite, {
    providerName: "mine",
    randomBytes: nodeRandom(),
    hash: nodeHash("sha256"),
    hmac: nodeHmac("sha256"),
    aeadSeal: aead.seal,
    aeadOpen: aead.open,
    kem: nodeKem("x25519", { cacheSize: 10, nativeRandom: true }),
    signature: nodeSignature("ed448", 10),
  });
  await talk({ provider: createProvider("mine", [crypto]), cipherSuite: 0xf123 });
});
