/** Dictionaries of components, AppDataUpdate and last-resort marks. draft-ietf-mls-extensions. */
import { describe, expect, test } from "vitest";
import { decode, encode, utf8 } from "../../../src/codec/index.ts";
import {
  APP_DATA_DICTIONARY,
  APP_DATA_UPDATE,
  AppDataDictionary,
  appDataUpdate,
  appDataUpdateType,
  componentData,
  dictionaryExtension,
  isMarkedLastResort,
  lastResortDictionary,
  lastResortExtension,
  replacedByLast,
  withComponent,
} from "../../../src/drafts/index.ts";
import {
  type Extension,
  ExtensionType,
  makeExtension,
  RequiredCapabilities,
} from "../../../src/extensions/extension.ts";
import type { Environment } from "../../../src/group/environment.ts";
import type { Proposal } from "../../../src/messages/proposal.ts";
import { agree, expectRule, refusedByAll, refuses } from "../../support/assertions.ts";
import { testEnvironment } from "../../support/environment.ts";
import { newClient } from "../../support/parties.ts";
import { TestGroup } from "../../support/test-group.ts";

const TOPIC = 0x8001;
const environment: Environment = testEnvironment({
  types: {
    proposals: new Map([[APP_DATA_UPDATE, appDataUpdateType(new Map([[TOPIC, replacedByLast]]))]]),
    credentials: new Map(),
    extensions: new Set([APP_DATA_DICTIONARY]),
  },
});
const capabilities = { extensions: [APP_DATA_DICTIONARY], proposals: [APP_DATA_UPDATE] };
const required = makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, {
  extensionTypes: [APP_DATA_DICTIONARY],
  proposalTypes: [APP_DATA_UPDATE],
  credentialTypes: [],
});

const governed = (extensions: readonly Extension[] = [required]): Promise<TestGroup> =>
  TestGroup.of(["alice", "bob"], { environment, extensions, client: { capabilities } });

const update = (text: string, componentId = TOPIC): Proposal =>
  appDataUpdate({ componentId, operation: { op: "update", update: utf8(text) } });
const remove: Proposal = appDataUpdate({ componentId: TOPIC, operation: { op: "remove" } });

const topic = (group: TestGroup): Uint8Array | undefined =>
  componentData(group.party("bob").epoch.context.extensions, TOPIC);

describe("AppDataUpdate", () => {
  test("changes one component, needs no path, and appends the dictionary", async () => {
    const group = await governed();
    const proposals = [update("first"), update("second")];
    const { summary } = await group.commit("alice", { forcePath: false, proposals });
    expect(summary.hasPath).toBe(false);
    expect(topic(group)).toEqual(utf8("second"));
    const types = summary.extensions?.map(({ type }) => type);
    expect(types).toEqual([ExtensionType.requiredCapabilities, APP_DATA_DICTIONARY]);
    await group.commit("bob", { proposals: [remove] });
    expect(topic(group)).toBeUndefined();
    await agree(group);
  });

  test("mk-118 what does not fit together is refused", async () => {
    const group = await governed();
    const lists = [[remove], [update("a", 9)], [update("a"), remove], [remove, remove]];
    for (const proposals of lists) {
      const commit = () => group.createCommit("alice", { proposals });
      await refuses(group.party("alice"), commit, "mk-118");
    }
  });
});

describe("prop-8 mk-118 where members must support AppDataUpdate", () => {
  const dictionary = dictionaryExtension([{ componentId: TOPIC, data: utf8("topic") }]);
  const change = (extensions: readonly Extension[]): Proposal => ({
    type: "groupContextExtensions",
    extensions,
  });

  test("a GroupContextExtensions leaves the dictionary as it is", async () => {
    const group = await governed([required, dictionary]);
    const other = dictionaryExtension([{ componentId: TOPIC, data: utf8("another") }]);
    for (const extensions of [[required], [required, other], []]) {
      const proposal = change(extensions);
      const commit = () => group.createCommit("alice", { proposals: [proposal] });
      await refuses(group.party("alice"), commit, "mk-118");
      await refuses(group.party("alice"), () => group.propose("alice", proposal), "mk-118");
    }
    const careless = { ...environment.types, proposals: new Map([[APP_DATA_UPDATE, {}]]) };
    group.party("alice").environment = { ...environment, types: careless };
    const forged = await group.createCommit("alice", { proposals: [change([required])] });
    await refusedByAll(group, "alice", forged.commit, "mk-118");
  });

  test("ok: the others may change beside it, in one Commit with updates", async () => {
    const group = await governed([required, dictionary]);
    const proposals = [change([dictionary]), update("new")];
    await group.commit("alice", { proposals });
    expect(topic(group)).toEqual(utf8("new"));
    const { extensions } = group.party("bob").epoch.context;
    expect(extensions.map(({ type }) => type)).toEqual([APP_DATA_DICTIONARY]);
    await group.commit("alice", { proposals: [change([])] });
    expect(topic(group)).toBeUndefined();
  });

  test("a dictionary out of order is refused", async () => {
    const group = await governed([]);
    const data = Uint8Array.of(8, 0, 2, 1, 7, 0, 1, 1, 7);
    const proposal = change([{ type: APP_DATA_DICTIONARY, data }]);
    const commit = () => group.createCommit("alice", { proposals: [proposal] });
    await refuses(group.party("alice"), commit, "mk-118");
  });
});

describe("dictionaries", () => {
  test("mk-118 components are in ascending order, each once", async () => {
    const entry = (componentId: number) => ({ componentId, data: Uint8Array.of(7) });
    const good = [entry(1), entry(2)];
    expect(decode(AppDataDictionary, encode(AppDataDictionary, good))).toEqual(good);
    for (const bad of [
      [entry(2), entry(1)],
      [entry(1), entry(1)],
    ]) {
      await expectRule(() => encode(AppDataDictionary, bad), "mk-118");
    }
    const unsorted = Uint8Array.of(8, 0, 2, 1, 7, 0, 1, 1, 7);
    await expectRule(() => decode(AppDataDictionary, unsorted), "mk-118");
  });

  test("a component is put in its place, replaced and taken out", () => {
    const one = withComponent([], 5, utf8("five"));
    const two = withComponent(one, 3, utf8("three"));
    expect(two.map(({ componentId }) => componentId)).toEqual([3, 5]);
    expect(withComponent(two, 5, utf8("V"))[1]).toEqual({ componentId: 5, data: utf8("V") });
    expect(withComponent(two, 3, undefined)).toEqual(one);
  });
});

describe("last-resort marks", () => {
  test("mk-119 both forms are recognised", async () => {
    const { keyPackage } = await newClient("alice", {
      capabilities: { extensions: [ExtensionType.lastResort] },
      extensions: [lastResortExtension],
    });
    expect(isMarkedLastResort(keyPackage)).toBe(true);
    expect(isMarkedLastResort({ extensions: [lastResortDictionary()] })).toBe(true);
    expect(isMarkedLastResort({ extensions: [] })).toBe(false);
    const other = dictionaryExtension([{ componentId: 1, data: Uint8Array.of(0) }]);
    expect(isMarkedLastResort({ extensions: [other] })).toBe(false);
  });
});
