/** Catalogue M-MD-02: history sharing through a passive extra member. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type AuthenticationService,
  Client,
  type CommitRequest,
  type Group,
  type GroupPolicy,
  type GroupView,
  KeyDirectory,
  type MemberView,
  memoryStorage,
  type Outcome,
  type Proposal,
} from "mlskit";
import { beforeEach, describe, expect, test } from "vitest";
import {
  acceptHistory,
  type CommitWithHistory,
  commitWithHistory,
  endHistory,
  type HistoryReader,
  historyMembers,
  newHistoryMember,
  openHistory,
  renewHistory,
  startHistory,
} from "../src/index.ts";

let directory: KeyDirectory;
let authenticationService: AuthenticationService;
/** What the delivery service keeps, and the Welcomes of history members. */
let kept: Uint8Array[];
let alice: Group;
let others: Map<string, Group>;

const make = () => newHistoryMember({ authenticationService });

async function newClient(identity: string, policy?: GroupPolicy): Promise<Client> {
  const storage = memoryStorage();
  const client = await Client.create({ identity, storage, authenticationService, policy });
  directory.add(client.identity);
  return client;
}

beforeEach(async () => {
  directory = new KeyDirectory();
  authenticationService = acceptHistory(directory);
  kept = [];
  others = new Map();
  alice = await (await newClient("alice", renewHistory())).createGroup();
  for (const name of ["bob", "mallory"]) {
    const client = await newClient(name, name === "bob" ? renewHistory() : undefined);
    await deliver((await alice.add([(await client.createKeyPackage()).bytes])).commit);
    const { welcomes } = await alice.acceptCommit();
    others.set(name, await client.join(welcomes[0]!.bytes));
  }
});

async function deliver(message: Uint8Array): Promise<void> {
  kept.push(message);
  for (const group of others.values()) await group.process(message, { accept: true });
}

/** Carries a Commit of Alice out; where the history of its epoch begins. */
async function carryOut({ pending, history }: CommitWithHistory) {
  await deliver(pending.commit);
  const { welcomes } = await alice.acceptCommit();
  return { secret: history?.secret, welcome: welcomes[0]?.bytes, from: kept.length };
}

async function write(text: string): Promise<void> {
  await deliver((await alice.send(text)).bytes);
}

async function readAll(reader: HistoryReader, messages = kept): Promise<readonly string[]> {
  const outcomes: Outcome[] = [];
  for (const message of messages) outcomes.push(await reader.read(message));
  return outcomes.map((outcome) => {
    return outcome.kind === "application" ? new TextDecoder().decode(outcome.data) : outcome.kind;
  });
}

const open = (secret: Uint8Array | undefined, welcome: Uint8Array | undefined) =>
  openHistory(secret!, welcome!, { authenticationService });

describe("M-MD-02: history sharing through a passive member", () => {
  test("M-MD-02: a device that comes later reads from where the history member came in", async () => {
    await write("before");
    const before = kept.at(-1)!;
    const { secret, welcome, from } = await carryOut(await startHistory(alice, make));
    await write("one");
    await deliver((await alice.update()).commit);
    await alice.acceptCommit();
    await write("two");

    const reader = await open(secret, welcome);
    expect(await readAll(reader, kept.slice(from))).toEqual(["one", "commit", "two"]);
    expect(reader.epochAuthenticator).toEqual(alice.epochAuthenticator);
    expect((await reader.read(before)).kind).toBe("epochTooOld");
    // Several devices read with the same secret.
    const second = await open(secret, welcome);
    expect(await readAll(second, kept.slice(from))).toEqual(["one", "commit", "two"]);
    await reader.close();
    await second.close();
  });

  for (const [how, request] of [
    ["by value", (leaf: number): CommitRequest => ({ remove: [leaf] })],
    ["as somebody proposed", undefined],
  ] as const) {
    test(`M-MD-02: a removal ${how} renews the history member, and the old secret ends`, async () => {
      const first = await carryOut(await startHistory(alice, make));
      const [mallory] = alice.findMembers({ identity: "mallory" });
      if (request === undefined) {
        const bob = others.get("bob")!;
        const { bytes } = await bob.proposeRemove(mallory!.leafIndex);
        kept.push(bytes);
        await alice.process(bytes, { accept: true });
      }
      const wanted = request?.(mallory!.leafIndex) ?? {};
      const second = await carryOut(await commitWithHistory(alice, make, wanted));
      others.delete("mallory");
      await write("without mallory");

      const old = await open(first.secret, first.welcome);
      const read = await readAll(old, kept.slice(first.from));
      expect(read.slice(-2)).toEqual(["removed", "groupInactive"]);
      const reader = await open(second.secret, second.welcome);
      expect(await readAll(reader, kept.slice(second.from))).toEqual(["without mallory"]);
      expect(historyMembers(alice)).toHaveLength(1);
      expect(alice.memberCount).toBe(3);
    });
  }

  test("M-MD-02: a removal that forgets the history member is refused by all", async () => {
    await carryOut(await startHistory(alice, make));
    const [mallory] = alice.findMembers({ identity: "mallory" });
    await expect(alice.remove([mallory!.leafIndex])).rejects.toMatchObject({
      code: "POLICY_REJECTED",
    });
    // Mallory does not ask the rule, and nobody follows.
    const [bob] = alice.findMembers({ identity: "bob" });
    const { commit } = await others.get("mallory")!.remove([bob!.leafIndex]);
    const outcome = await alice.process(commit);
    expect(outcome.kind).toBe("invalid");
    expect("error" in outcome && outcome.error.code).toBe("POLICY_REJECTED");
    expect((await others.get("bob")!.process(commit)).kind).toBe("invalid");
  });

  test("M-MD-02: nobody comes in from outside under the name of a history member", async () => {
    await carryOut(await startHistory(alice, make));
    const identity = "mlskit-history:an outsider";
    const credulous: AuthenticationService = {
      validate: (identities) => identities.map(() => true),
      isSuccessor: () => true,
    };
    const storage = memoryStorage();
    const outsider = await Client.create({
      identity,
      storage,
      authenticationService: credulous,
    });
    const { commit } = await outsider.joinExternally(await alice.groupInfo());
    const before = alice.epochAuthenticator;
    expect((await alice.process(commit)).kind).toBe("invalid");
    expect(alice.epochAuthenticator).toEqual(before);
    // Nor by a member's proposal that another commits.
    const { bytes } = await outsider.createKeyPackage();
    const proposal = await others.get("mallory")!.proposeAdd(bytes);
    await alice.process(proposal.bytes, { accept: true });
    await expect(alice.commit()).rejects.toMatchObject({ code: "POLICY_REJECTED" });
  });

  test("M-MD-02: who leaves in an external commit counts as well, a resync does not", async () => {
    await carryOut(await startHistory(alice, make));
    const members: MemberView[] = [...alice.members()];
    const [seat] = historyMembers(alice);
    const view = (list: readonly MemberView[]): GroupView => ({
      groupId: alice.id,
      epoch: alice.epoch,
      extensions: [],
      members: () => list,
      member: (leaf) => list.find(({ leafIndex }) => leafIndex === leaf),
    });
    const [mallory] = alice.findMembers({ identity: "mallory" });
    const comer = { ...mallory!, signatureKey: new Uint8Array(32) };
    const after = view(members.map((one) => (one.leafIndex === comer.leafIndex ? comer : one)));
    const selfRemove = { type: "custom", proposalType: 10, body: new Uint8Array() } as const;
    const resync = { type: "remove", removed: comer.leafIndex } as const;
    const review = (proposal: Proposal, leafIndex: number) =>
      renewHistory().reviewCommit!({
        committer: comer.leafIndex,
        isExternal: true,
        proposals: [{ proposal, sender: { type: "member", leafIndex } }],
        authenticatedData: new Uint8Array(),
        before: view(members),
        after,
      });
    expect(seat).toBeDefined();
    expect(review(selfRemove, comer.leafIndex)).toMatchObject({ reason: expect.any(String) });
    expect(review(resync, comer.leafIndex)).toBe(true);
  });

  test("M-MD-02: it is off unless asked for, and can be ended", async () => {
    expect(historyMembers(alice)).toEqual([]);
    const [mallory] = alice.findMembers({ identity: "mallory" });
    const request = { remove: [mallory!.leafIndex] };
    const plain = await commitWithHistory(alice, make, request);
    expect(plain.history).toBeUndefined();
    await carryOut(plain);
    const { secret, welcome, from } = await carryOut(await startHistory(alice, make));
    // No removal, no renewal.
    expect((await carryOut(await commitWithHistory(alice, make))).secret).toBeUndefined();
    await carryOut({ pending: await endHistory(alice), history: undefined });
    await write("among ourselves");
    const reader = await open(secret, welcome);
    expect((await readAll(reader, kept.slice(from))).slice(-2)).toEqual([
      "removed",
      "groupInactive",
    ]);
    expect(historyMembers(alice)).toEqual([]);
  });

  test("M-MD-02: what is no secret is refused by name", async () => {
    const { secret, welcome } = await carryOut(await startHistory(alice, make));
    const changed = Uint8Array.from(secret!);
    changed[changed.length - 1]! ^= 1;
    await expect(open(new Uint8Array(5), welcome)).rejects.toMatchObject({
      code: "INVALID_HISTORY",
    });
    await expect(open(changed, welcome)).rejects.toMatchObject({ code: "STORAGE_KEY_MISMATCH" });
  });

  test("M-MD-02: the sample of the README runs", async () => {
    const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
    const [, sample] = /^```ts\n(.*?)^```$/ms.exec(readme)!;
    const folder = mkdtempSync(join(import.meta.dirname, "../.tmp-"));
    try {
      const file = join(folder, "sample.mjs");
      writeFileSync(
        file,
        `export const said = [];\n${sample!.replace("console.log", "said.push")}`,
      );
      const { said } = (await import(pathToFileURL(file).href)) as { said: string[] };
      expect(said).toEqual(["application", "application"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
