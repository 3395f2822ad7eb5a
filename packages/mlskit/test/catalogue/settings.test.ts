/** Settings that cannot hold are refused before anything is written. */
import { describe, expect, test } from "vitest";
import {
  Client,
  type ClientOptions,
  DEFAULT_CONFIG,
  type GroupConfig,
  KeyDirectory,
  memoryStorage,
  type Padding,
} from "../../src/index.ts";
import {
  applyRetention,
  continueSuccession,
  eventLog,
  keepKeyPackages,
  type KeyPackageDirectory,
  maintainKeyPackages,
  reportExpiry,
} from "../../src/production/index.ts";
import { accessOf } from "../../src/client/group.ts";
import { testGroup, type TestGroup } from "../../src/testing/index.ts";

const REFUSED = expect.objectContaining({ name: "UsageError", code: "INVALID_SETTING" });

/** JavaScript, and TypeScript without exactOptionalPropertyTypes, let all of that through. */
const wrong: readonly (readonly [name: string, value: unknown])[] = [
  ["pastEpochs", -1],
  ["pastEpochLifetime", 1.5],
  ["pastEpochLifetime", "7"],
  ["pastEpochLifetime", null],
  ["resumptionPsks", Number.NaN],
  ["outOfOrderTolerance", -1],
  ["maximumForwardDistance", Number.POSITIVE_INFINITY],
  ["maximumSkippedKeys", 2 ** 53],
  ["generationBlock", 0],
  ["maximumMessageSize", 0.5],
  ["pendingProposals", -1],
  ["pendingProposalsPerSender", 1n],
  ["bufferedMessages", -1],
  ["bufferedBytes", Number.POSITIVE_INFINITY],
  ["bufferedSeconds", 0.1],
  ["handOuts", -1],
  ["handOutBytes", -1],
  ["autoAccept", "no"],
  ["storedTree", 0],
  ["padding", { type: "unknown" }],
  ["padding", { type: "multiple", size: 0 }],
  ["padding", { type: "multiple" }],
  ["padding", { type: "fixed", size: 1.5 }],
  ["padding", { type: "steps", sizes: [] }],
  ["padding", { type: "steps", sizes: [512, 256] }],
  ["padding", { type: "padme", floor: -1 }],
  ["padding", "none"],
  ["padding", null],
  ["handshake", { send: "both", accept: "both" }],
  ["handshake", { send: "public" }],
  ["updatePolicy", { messages: 0.5 }],
  ["updatePolicy", { seconds: -1 }],
  ["updatePolicy", { removal: "yes" }],
  ["updatePolicy", null],
];

/** Seconds and numbers of what a production client does beside its groups. */
const jobs: readonly (readonly [name: string, run: (client: Client, value: number) => unknown])[] =
  [
    ["endedGroups", (client, endedGroups) => applyRetention(client, { endedGroups })],
    ["usedKeyPackages", (client, usedKeyPackages) => applyRetention(client, { usedKeyPackages })],
    ["within", (client, within) => reportExpiry(client, { within })],
    ["grace", (client, grace) => maintainKeyPackages(client, nowhere, { grace })],
    ["target", (client, target) => maintainKeyPackages(client, nowhere, { target })],
    ["threshold", (client, threshold) => maintainKeyPackages(client, nowhere, { threshold })],
    [
      "lastResortLifetime",
      (client, lastResortLifetime) => maintainKeyPackages(client, nowhere, { lastResortLifetime }),
    ],
    [
      "patience",
      (client, patience) => {
        const options = { keyPackage: () => undefined, deliver: () => 0, patience };
        return continueSuccession(client, new Uint8Array(1), options);
      },
    ],
    ["interval", async (client, interval) => keepKeyPackages(client, nowhere, { interval })],
    ["limit", async (_, limit) => eventLog({ limit })],
  ];

const nowhere: KeyPackageDirectory = { publish: () => undefined, withdraw: () => undefined };

test.each(jobs)(
  "%s, given to a job: a number that cannot hold is refused before anything is written",
  async (_, run) => {
    const world = await testGroup({ members: 1 });
    const { client } = world.member(0);
    const before = await rowsOf(world);
    for (const value of [Number.POSITIVE_INFINITY, Number.NaN, 0.0001, -1]) {
      await expect(run(client, value)).rejects.toThrow(REFUSED);
    }
    expect(await rowsOf(world)).toEqual(before);
  },
);

/** Settings as they come from code that nobody has checked. */
const unchecked = (name: string, value: unknown): Partial<GroupConfig> => ({ [name]: value });

async function rowsOf(world: TestGroup): Promise<unknown> {
  return world.member(0).storage.list("");
}

describe("settings that cannot hold are refused, and nothing is written", () => {
  test.each(wrong)("%s: %o", async (name, value) => {
    const world = await testGroup({ members: 1 });
    const { client, group, storage } = world.member(0);
    const before = await rowsOf(world);
    const config = unchecked(name, value);
    await expect(group.configure(config)).rejects.toEqual(REFUSED);
    await expect(client.createGroup({ config })).rejects.toEqual(REFUSED);
    const groupInfo = await group.groupInfo();
    await expect(client.joinExternally(groupInfo, { config, resync: true })).rejects.toEqual(
      REFUSED,
    );
    const options = { storage, authenticationService: world.directory };
    await expect(Client.open({ ...options, config })).rejects.toEqual(REFUSED);
    expect(await rowsOf(world)).toEqual(before);
    expect(await client.groups()).toHaveLength(1);
  });

  test("of a client that is new", async () => {
    const authenticationService = new KeyDirectory();
    const options: readonly (readonly [keyof ClientOptions, unknown])[] = [
      ["limits", { maximumLeaves: -1 }],
      ["limits", { maximumPsks: 65_536 }],
      ["limits", { maximumGenerations: Number.POSITIVE_INFINITY }],
      ["limits", { maximumLifetime: 86_400 }],
      ["limits", { strictLifetimes: 1 }],
      ["hookTimeout", Number.POSITIVE_INFINITY],
      ["hookTimeout", -1],
      ["transportTimeout", 2 ** 31],
      ["bufferedBytes", -1],
      ["keyPackageThreshold", 1.5],
      ["cache", "sometimes"],
    ];
    for (const [name, value] of options) {
      const storage = memoryStorage();
      const creating = Client.create({
        storage,
        authenticationService,
        identity: "alice",
        [name]: value,
      });
      await expect(creating, name).rejects.toEqual(REFUSED);
      expect(await storage.list("")).toEqual([]);
    }
  });

  test("of one message and of one Commit", async () => {
    const { groups } = await testGroup({ members: 1 });
    const padding = { type: "unknown" } as unknown as Padding;
    await expect(groups[0]!.send("hello", { padding })).rejects.toEqual(REFUSED);
    await expect(groups[0]!.commit({ padding })).rejects.toEqual(REFUSED);
    expect(groups[0]!.status).toBe("active");
  });
});

describe("padding that earlier builds took", () => {
  const stored: readonly Padding[] = [
    { type: "fixed", size: 0 },
    { type: "steps", sizes: [] },
    { type: "steps", sizes: [256, 256] },
    { type: "steps", sizes: [512, 256] },
  ];

  test.each(stored)("%o does not stop a group that has it stored", async (padding) => {
    const world = await testGroup({ members: 2 });
    await accessOf(world.groups[0]!).operate((session) => {
      const { state } = session;
      session.state = { ...state, config: { ...state.config, padding } };
    });
    const { group, client } = await world.reopen(0, world.member(0).storage);
    expect(group.config.padding).toEqual(padding);
    await world.deliver((await group.proposeUpdate()).bytes, 0);
    const { commit } = await group.commit();
    await world.deliver(commit, 0);
    await group.acceptCommit();
    const { bytes } = await group.send("hello");
    expect((await world.groups[1]!.process(bytes)).kind).toBe("application");
    await group.configure({ pastEpochs: 2 });
    expect((await client.group(group.id)).config).toMatchObject({ padding, pastEpochs: 2 });
  });

  test("a fixed size of 0, which pads nothing, is a setting", async () => {
    const padding: Padding = { type: "fixed", size: 0 };
    const { groups } = await testGroup({ members: 1, config: { padding } });
    const { bytes } = await groups[0]!.send("hello");
    const { bytes: unpadded } = await groups[0]!.send("hello", { padding: { type: "none" } });
    expect(bytes).toHaveLength(unpadded.length);
  });
});

describe("what is undefined is left out", () => {
  const names = Object.keys(DEFAULT_CONFIG) as (keyof GroupConfig)[];

  test("of the settings of a client and of a new group", async () => {
    const config = Object.fromEntries(names.map((name) => [name, undefined]));
    const world = await testGroup({ members: 1, config });
    expect(world.groups[0]!.config).toEqual(DEFAULT_CONFIG);
    const group = await world.member(0).client.createGroup({ config });
    expect(group.config).toEqual(DEFAULT_CONFIG);
  });

  test("of a group that is in use: its own settings stay", async () => {
    const { groups } = await testGroup({ members: 1, config: { pastEpochLifetime: 5 } });
    for (const name of names) await groups[0]!.configure(unchecked(name, undefined));
    expect(groups[0]!.config).toEqual({ ...DEFAULT_CONFIG, pastEpochLifetime: 5 });
  });

  test("so that no limit disappears", async () => {
    const limits = { maximumForwardDistance: undefined, maximumLeaves: undefined };
    const config = unchecked("maximumForwardDistance", undefined);
    const world = await testGroup({ members: 2, config, limits: limits as never });
    const [a, b] = [world.groups[0]!, world.groups[1]!];
    let last = await a.send("first");
    await b.configure({ maximumForwardDistance: 5 });
    await b.configure(config);
    for (let i = 0; i < 7; i++) last = await a.send("far ahead");
    expect(await b.process(last.bytes)).toMatchObject({ kind: "generationTooFar" });
  });
});
