/** Rules P-KP: the stock of key packages at a directory. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/codec/index.ts";
import {
  declineWelcome,
  keepKeyPackages,
  type KeyPackageDirectory,
  maintainKeyPackages,
  rotateIdentity,
} from "../../src/production/index.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import type { Welcome } from "../../src/messages/welcome.ts";
import { coreOfClient } from "../../src/client/client.ts";
import { MlsError } from "../../src/errors.ts";
import { Client, type ClientEvent, type Group, KeyDirectory } from "../../src/index.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import {
  type DirectoryOptions,
  type TestClock,
  testClock,
  VirtualKeyPackageDirectory,
} from "../../src/testing/index.ts";
import { acceptAnyCredential } from "../support/environment.ts";

const DAY = 86_400;

interface World {
  readonly clock: TestClock;
  readonly service: KeyDirectory;
  readonly server: VirtualKeyPackageDirectory;
  readonly alice: Client;
  readonly bob: Client;
}

async function world(options: DirectoryOptions = {}): Promise<World> {
  const clock = testClock();
  const service = new KeyDirectory();
  const newClient = async (identity: string): Promise<Client> => {
    const base = { storage: memoryStorage(), authenticationService: service, clock };
    const client = await Client.create({ ...base, identity });
    service.add(client.identity);
    return client;
  };
  const server = new VirtualKeyPackageDirectory({ clock, ...options });
  return { clock, service, server, alice: await newClient("alice"), bob: await newClient("bob") };
}

/** Bob takes one of Alice's packages and adds her; the Welcome. */
async function invite({ bob, server }: World, keyPackage?: Uint8Array): Promise<Uint8Array> {
  const taken = keyPackage ?? server.take("alice");
  const group = await bob.createGroup();
  await group.add([taken!]);
  const { welcomes } = await group.acceptCommit();
  return welcomes[0]!.bytes;
}

function readWelcome(bytes: Uint8Array): Welcome {
  const decoded = decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "welcome") throw new Error("a Welcome");
  return decoded.message;
}

const writeWelcome = (message: Welcome): Uint8Array =>
  encodeMlsMessage({ wireFormat: "welcome", message });

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

describe("the stock of key packages", () => {
  test("P-KP-01: 50 per suite and credential, filled up below 10 at the start, daily and after use", async () => {
    const w = await world({ supportsLastResort: false });
    const { alice, server, service } = w;
    const work = await alice.addIdentity({ identity: "alice at work", cipherSuite: 3 });
    service.add(work);
    let daily = (): void => undefined;
    let isStopped = false;
    const reports: number[] = [];
    const stop = keepKeyPackages(alice, server, {
      every: (seconds, run) => {
        expect(seconds).toBe(DAY);
        daily = run;
        return () => {
          isStopped = true;
        };
      },
      onReport: ({ published }) => reports.push(published),
      onError: (error) => {
        throw error;
      },
    });
    await expect.poll(() => reports).toEqual([100]);
    expect([server.count("alice"), server.count("alice at work")]).toEqual([50, 50]);
    // Down to ten nothing is made; the ninth that is left is one too few.
    for (let i = 0; i < 40; i++) server.take("alice");
    daily();
    await expect.poll(() => reports).toEqual([100, 0]);
    const used = await invite(w);
    daily();
    await expect.poll(() => reports).toEqual([100, 0, 41]);
    expect(server.count("alice")).toBe(50);
    for (let i = 0; i < 41; i++) server.take("alice");
    await alice.join(used);
    await expect.poll(() => reports).toEqual([100, 0, 41, 41]);
    await stop();
    expect(isStopped).toBe(true);
    daily();
    await soon();
    expect(reports).toHaveLength(4);
  });

  test("P-KP-01: the stock is filled whether or not anybody is told", async () => {
    const { alice, server } = await world({ supportsLastResort: false });
    const stop = keepKeyPackages(alice, server, { every: () => () => undefined });
    await stop();
    expect(server.count("alice")).toBe(50);
  });

  test("P-KP-02: one last resort per suite, renewed every 30 days and after use, where it is supported", async () => {
    const w = await world();
    const { alice, server, clock } = w;
    const last = async () => (await alice.keyPackages()).filter((one) => one.isLastResort);
    await maintainKeyPackages(alice, server, { target: 1, threshold: 1 });
    const [first] = await last();
    expect(await last()).toHaveLength(1);
    server.take("alice");
    const resort = server.take("alice")!;
    expect(server.take("alice")).toEqual(resort);
    expect(toHex(resort)).toBe(toHex(first!.bytes));
    const welcome = await invite(w, resort);
    await alice.join(welcome);
    expect(await last()).toHaveLength(1);
    await maintainKeyPackages(alice, server, { target: 1, threshold: 1 });
    expect(await last()).toHaveLength(2);
    const afterUse = (await last()).find(({ bytes }) => toHex(bytes) !== toHex(first!.bytes))!;
    server.take("alice");
    expect(server.take("alice")).toEqual(afterUse.bytes);
    clock.advance(30 * DAY - 1);
    await maintainKeyPackages(alice, server, { target: 1, threshold: 1 });
    server.take("alice");
    expect(server.take("alice")).toEqual(afterUse.bytes);
    clock.advance(1);
    await maintainKeyPackages(alice, server, { target: 1, threshold: 1 });
    server.take("alice");
    expect(toHex(server.take("alice")!)).not.toBe(toHex(afterUse.bytes));
    // Whoever took the old one before can still add us.
    expect((await alice.join(await invite(w, afterUse.bytes))).memberCount).toBe(2);
    const { server: simple, bob } = await world({ supportsLastResort: false });
    await maintainKeyPackages(bob, simple, { target: 1 });
    expect((await bob.keyPackages()).some(({ isLastResort }) => isLastResort)).toBe(false);
  });

  test("P-KP-03: replaced in the last quarter of their lifetime; expired ones leave the directory first, their keys 14 days later", async () => {
    const w = await world({ supportsLastResort: false, reportsClaims: false });
    const { alice, server, clock } = w;
    const calls: string[] = [];
    const directory: KeyPackageDirectory = {
      publish: (packages) => {
        calls.push(`publish ${packages.length}`);
        return server.publish(packages);
      },
      withdraw: async (references) => {
        calls.push(`withdraw ${references.length} of ${(await alice.keyPackages()).length}`);
        server.withdraw(references);
      },
    };
    const lifetime = { notBefore: clock(), notAfter: clock() + BigInt(100 * DAY) };
    await maintainKeyPackages(alice, directory, { target: 12, keyPackage: { lifetime } });
    const claimed = server.take("alice")!;
    const late = server.take("alice")!;
    clock.advance(75 * DAY);
    await maintainKeyPackages(alice, directory, { target: 12 });
    expect(calls).toEqual(["publish 12"]);
    clock.advance(1);
    await maintainKeyPackages(alice, directory, { target: 12 });
    expect(calls.splice(0)).toEqual(["publish 12", "publish 12", "withdraw 12 of 24"]);
    // In the grace time the Welcome for a package that was taken before still opens.
    const welcome = await invite(w, claimed);
    clock.advance(25 * DAY + 14 * DAY - 2);
    await maintainKeyPackages(alice, directory, { target: 12 });
    expect((await alice.keyPackages()).length).toBe(24);
    await alice.join(welcome);
    clock.advance(1);
    const report = await maintainKeyPackages(alice, directory, { target: 12 });
    expect(report.deleted).toBe(11);
    expect((await alice.keyPackages()).every(({ isExpired }) => !isExpired)).toBe(true);
    expect(late).toBeDefined();
    // What expires at the directory is withdrawn while its keys are still here.
    calls.length = 0;
    clock.advance(200 * DAY);
    await maintainKeyPackages(alice, directory, { target: 12 });
    expect(calls).toEqual(["publish 12", "withdraw 12 of 24"]);
    expect((await alice.keyPackages()).filter(({ isExpired }) => isExpired)).toHaveLength(12);
    clock.advance(14 * DAY);
    expect((await maintainKeyPackages(alice, directory, { target: 12 })).deleted).toBe(12);
  });

  test("P-KP-03: packages that expired before they were published do not keep new ones back", async () => {
    const { alice, server, clock } = await world({ supportsLastResort: false });
    const offline: KeyPackageDirectory = {
      publish: () => Promise.reject(new Error("offline")),
      withdraw: () => undefined,
    };
    await expect(maintainKeyPackages(alice, offline, { target: 12 })).rejects.toThrow("offline");
    clock.advance(84 * DAY);
    // The directory refuses a list with an expired package as a whole.
    const report = await maintainKeyPackages(alice, server, { target: 12 });
    expect(report).toEqual({ published: 12, withdrawn: 12, deleted: 0 });
    expect(server.count("alice")).toBe(12);
    clock.advance(14 * DAY);
    expect((await maintainKeyPackages(alice, server, { target: 12 })).deleted).toBe(12);
  });

  test("P-KP-04: what was made for a replaced key or other capabilities is not published any more", async () => {
    const { alice, server, service } = await world({ supportsLastResort: false });
    const offline: KeyPackageDirectory = {
      publish: () => Promise.reject(new Error("offline")),
      withdraw: () => undefined,
    };
    await expect(maintainKeyPackages(alice, offline, { target: 12 })).rejects.toThrow("offline");
    const from = alice.identity;
    const to = await alice.addIdentity({ identity: "alice" });
    service.add(to);
    const transport = { deliver: () => 0 as never, catchUp: () => 0, propose: () => 0 };
    await rotateIdentity(alice, { from, to, transport });
    const report = await maintainKeyPackages(alice, server, { target: 12 });
    expect(report).toEqual({ published: 12, withdrawn: 12, deleted: 0 });
    const good = (await alice.keyPackages()).filter(({ signatureKey }) => {
      return toHex(signatureKey) === toHex(to.signatureKey);
    });
    const offered = Array.from({ length: 12 }, () => toHex(server.take("alice")!));
    expect(offered.sort()).toEqual(good.map(({ bytes }) => toHex(bytes)).sort());
  });

  test("P-KP-01: two clients on one store fill a gap once", async () => {
    const { alice, server, service, clock } = await world({ supportsLastResort: false });
    const { storage } = coreOfClient(alice).options;
    const other = await Client.open({ storage, authenticationService: service, clock });
    await Promise.all([alice, other].map((tab) => maintainKeyPackages(tab, server)));
    expect(await alice.keyPackages()).toHaveLength(50);
    expect(server.count("alice")).toBe(50);
  });

  test("P-KP-01: a call for some identities leaves the stock of others alone", async () => {
    const { alice, service, clock } = await world();
    const home = alice.identity;
    const work = await alice.addIdentity({ identity: "alice at work", cipherSuite: 3 });
    service.add(work);
    const servers = [home, work].map((identity) => {
      const server = new VirtualKeyPackageDirectory({ clock, supportsLastResort: false });
      return { identities: [identity], server };
    });
    const reports: unknown[] = [];
    for (let round = 0; round < 2; round++) {
      for (const { identities, server } of servers) {
        reports.push(await maintainKeyPackages(alice, server, { identities, target: 12 }));
      }
    }
    const once = { published: 12, withdrawn: 0, deleted: 0 };
    const nothing = { published: 0, withdrawn: 0, deleted: 0 };
    expect(reports).toEqual([once, once, nothing, nothing]);
    const counts = servers.map(({ server }) => [
      server.count("alice"),
      server.count("alice at work"),
    ]);
    expect(counts).toEqual([
      [12, 0],
      [0, 12],
    ]);
  });

  test("P-KP-04: a new key, credential or capability replaces the whole stock", async () => {
    const { alice, server, service, clock } = await world();
    await maintainKeyPackages(alice, server);
    const to = await alice.addIdentity({ identity: "alice" });
    service.add(to);
    const from = alice.identity;
    const transport = {
      deliver: () => ({ type: "accepted" }) as const,
      catchUp: () => 0,
      propose: () => 0,
    };
    await rotateIdentity(alice, { from, to, transport });
    const rotated = await maintainKeyPackages(alice, server);
    expect(rotated).toMatchObject({ published: 51, withdrawn: 51 });
    const offered = async (): Promise<Set<string>> => {
      const keys = new Set<string>();
      for (let i = 0; i < 50; i++) keys.add(toHex(server.take("alice")!));
      return keys;
    };
    const packages = await alice.keyPackages();
    const keys = new Map(packages.map((one) => [toHex(one.bytes), one]));
    for (const bytes of await offered()) {
      expect(keys.get(bytes)!.signatureKey).toEqual(to.signatureKey);
    }
    // The keys of the old stock, and with them the old signature key, go after the grace time.
    expect(await alice.identities()).toHaveLength(2);
    clock.advance(14 * DAY);
    expect((await maintainKeyPackages(alice, server)).deleted).toBe(51);
    expect(await alice.identities()).toEqual([to]);
    const capabilities = {
      versions: [1],
      cipherSuites: [1],
      extensions: [10],
      proposals: [],
      credentials: [1],
    };
    const changed = await maintainKeyPackages(alice, server, { keyPackage: { capabilities } });
    expect(changed).toMatchObject({ published: 51, withdrawn: 51 });
    const again = await maintainKeyPackages(alice, server, { keyPackage: { capabilities } });
    expect(again).toMatchObject({ published: 0, withdrawn: 0 });
  });

  test("P-KP-01: a check that fails, and a listener that throws, do not end the checks", async () => {
    const { alice, server } = await world({ supportsLastResort: false });
    let isOffline = true;
    const directory: KeyPackageDirectory = {
      supportsLastResort: false,
      publish: (packages) => {
        if (isOffline) throw new Error("offline");
        return server.publish(packages);
      },
      withdraw: (references) => server.withdraw(references),
    };
    let daily = (): void => undefined;
    let failures = 0;
    const reports: number[] = [];
    const stop = keepKeyPackages(alice, directory, {
      target: 12,
      every: (_, run) => {
        daily = run;
        return () => undefined;
      },
      onReport: ({ published }) => reports.push(published),
      onError: (error) => {
        failures += 1;
        throw error;
      },
    });
    await expect.poll(() => failures).toBe(1);
    isOffline = false;
    daily();
    await expect.poll(() => reports).toEqual([12]);
    await stop();
  });

  test("P-KP-05: only entering consumes; a declined or failed Welcome makes its package suspect", async () => {
    const w = await world({ supportsLastResort: false });
    const { alice, bob, server } = w;
    const reports: number[] = [];
    const stop = keepKeyPackages(alice, server, {
      every: () => () => undefined,
      onReport: ({ withdrawn }) => reports.push(withdrawn),
      target: 12,
    });
    await expect.poll(() => reports).toEqual([0]);
    // Handed to Bob in another way, so that the directory still offers them.
    const [first, second, third] = (await alice.keyPackages()).map(({ bytes }) => bytes);
    const suspects = async (): Promise<string[]> =>
      (await alice.keyPackages()).filter((one) => one.isSuspect).map(({ bytes }) => toHex(bytes));
    const declined = await invite(w, first);
    await alice.stageWelcome(declined);
    expect(await suspects()).toEqual([]);
    await declineWelcome(alice, declined);
    expect(await suspects()).toEqual([toHex(first!)]);
    const unreadable = (await invite(w, second)).slice();
    unreadable[unreadable.length - 1]! ^= 1;
    await expect(alice.join(unreadable)).rejects.toMatchObject({ blame: "crypto" });
    await expect.poll(suspects).toHaveLength(2);
    await expect.poll(() => reports).toEqual([0, 2]);
    const offered = new Set<string>();
    for (let bytes = server.take("alice"); bytes !== undefined; bytes = server.take("alice")) {
      offered.add(toHex(bytes));
    }
    expect(offered.has(toHex(first!)) || offered.has(toHex(second!))).toBe(false);
    expect(offered.has(toHex(third!))).toBe(true);
    // It was not consumed: a Welcome that is good still opens.
    expect((await alice.join(declined)).memberCount).toBe(2);
    expect(await suspects()).toHaveLength(1);
    expect((await bob.groups()).length).toBe(2);
    await stop();
  });

  test("P-KP-05: a bogus Welcome makes one package suspect, not all that it names", async () => {
    const w = await world();
    const { alice } = w;
    const events: ClientEvent[] = [];
    alice.on((event) => events.push(event));
    const stop = keepKeyPackages(alice, w.server, { every: () => () => undefined, target: 1 });
    const packages = await alice.createKeyPackages(5);
    const good = await invite(w, packages[4]!.bytes);
    const decoded = readWelcome(good);
    const [entry] = decoded.secrets;
    const secrets = packages.map(({ reference }) => ({ ...entry!, newMember: reference }));
    const isSuspect = async (): Promise<boolean[]> => {
      const all = new Map((await alice.keyPackages()).map((one) => [toHex(one.reference), one]));
      return packages.map(({ reference }) => all.get(toHex(reference))!.isSuspect);
    };
    // None of them opens.
    const wrong = { ...entry!.encryptedGroupSecrets, kemOutput: new Uint8Array(32).fill(9) };
    const bogus = secrets.map((one) => ({ ...one, encryptedGroupSecrets: wrong }));
    await expect(alice.join(writeWelcome({ ...decoded, secrets: bogus }))).rejects.toBeInstanceOf(
      MlsError,
    );
    await expect.poll(isSuspect).toEqual([true, false, false, false, false]);
    // The last one opens, and nobody vouches for who sent it.
    const stranger = await Client.create({
      storage: memoryStorage(),
      authenticationService: acceptAnyCredential,
      clock: w.clock,
      identity: "stranger",
    });
    const unknown = readWelcome(await invite({ ...w, bob: stranger }, packages[4]!.bytes));
    const mixed = [...bogus.slice(0, 4), ...unknown.secrets];
    await expect(alice.join(writeWelcome({ ...unknown, secrets: mixed }))).rejects.toMatchObject({
      code: "CREDENTIAL_REJECTED",
    });
    await expect.poll(isSuspect).toEqual([true, false, false, false, true]);
    expect(events).toMatchObject([
      { type: "welcomeFailed", reference: packages[0]!.reference },
      { type: "welcomeFailed", reference: packages[4]!.reference },
    ]);
    // Declining is about one package too.
    await declineWelcome(alice, writeWelcome({ ...decoded, secrets: secrets.slice(1, 4) }));
    expect(await isSuspect()).toEqual([true, true, false, false, true]);
    await expect(alice.join(new Uint8Array(3))).rejects.toBeInstanceOf(MlsError);
    expect(events.at(-1)).toMatchObject({ type: "welcomeFailed", reference: undefined });
    expect((await alice.join(good)).memberCount).toBe(2);
    await stop();
  });

  test("P-KP-06: the directory validates, hands out once, limits, and tells; an orphan Welcome leads to an external join", async () => {
    const w = await world({ perTaker: 2, supportsLastResort: false });
    const { alice, bob, server } = w;
    const made = await alice.createKeyPackage();
    const damaged = made.bytes.slice();
    damaged[damaged.length - 1]! ^= 1;
    await expect(server.publish([{ ...made, bytes: damaged }])).rejects.toMatchObject({
      code: expect.any(String),
    });
    expect(server.count("alice")).toBe(0);
    await maintainKeyPackages(alice, server, { target: 12 });
    const one = server.take("alice", { taker: "bob" })!;
    const two = server.take("alice", { taker: "bob" })!;
    expect(toHex(one)).not.toBe(toHex(two));
    expect(server.take("alice", { taker: "bob" })).toBeUndefined();
    expect(server.take("alice", { taker: "carol" })).toBeDefined();
    // What was claimed is not in stock any more, though its keys are still here.
    for (let i = 0; i < 4; i++) server.take("alice", { taker: `${i}` });
    expect((await maintainKeyPackages(alice, server, { target: 12 })).published).toBe(7);
    expect(server.count("alice")).toBe(12);
    expect(server.claimed!([made.reference])).toEqual([]);
    const group: Group = await bob.createGroup();
    await group.add([one]);
    const { welcomes } = await group.acceptCommit();
    const [mine] = (await alice.keyPackages()).filter(({ bytes }) => toHex(bytes) === toHex(one));
    await alice.deleteKeyPackage(mine!.reference);
    await expect(alice.join(welcomes[0]!.bytes)).rejects.toMatchObject({ code: "ORPHAN_WELCOME" });
    const { group: joined, commit } = await alice.joinExternally(await group.groupInfo(), {
      resync: true,
    });
    await group.process(commit, { accept: true });
    await alice.acceptJoin(joined.id);
    expect(joined.epochAuthenticator).toEqual(group.epochAuthenticator);
    expect(joined.memberCount).toBe(2);
  });

  test("an interrupted upload is made up for, and what the application made itself is left alone", async () => {
    const { alice, server } = await world();
    await alice.createKeyPackage();
    const events: ClientEvent[] = [];
    alice.on((event) => events.push(event));
    const broken: KeyPackageDirectory = {
      publish: () => {
        throw new Error("no network");
      },
      withdraw: () => undefined,
    };
    await expect(maintainKeyPackages(alice, broken)).rejects.toThrow("no network");
    const stored = new Set((await alice.keyPackages()).map(({ bytes }) => toHex(bytes)));
    expect(stored.size).toBe(51);
    const report = await maintainKeyPackages(alice, server);
    expect(report).toEqual({ published: 51, withdrawn: 0, deleted: 0 });
    expect(server.count("alice")).toBe(50);
    expect(await alice.keyPackages()).toHaveLength(52);
    expect(events).toEqual([]);
  });
});
