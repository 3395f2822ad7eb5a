/** Catalogue M-UPD: new keys, new credentials. */
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/codec/index.ts";
import {
  type ClientEvent,
  createSigner,
  defaultProvider,
  exportSendingKey,
  type Group,
  type GroupConfig,
  type Identity,
} from "../../src/index.ts";
import { testGroup, type TestGroup } from "../../src/testing/index.ts";
import { decodeMlsMessage, viewPublicCommit } from "../../src/wire.ts";
import { contents } from "../support/forge-join.ts";

const own = (group: Group) => group.members().find(({ isOwn }) => isOwn)!;

/** A second key of the same name, vouched for. */
async function secondKey(world: TestGroup, at: number): Promise<Identity> {
  const { client, name } = world.member(at);
  const identity = await client.addIdentity({ identity: name });
  world.directory.add(identity);
  return identity;
}

describe("updates", () => {
  test("M-UPD-01: a self-update is a Commit with path and fresh leaf key, with pending proposals", async () => {
    const world = await testGroup({ members: 3 });
    const { group } = world.member(0);
    const before = own(group).encryptionKey;
    const { client } = await world.newClient("new");
    const sent = await group.proposeAdd((await client.createKeyPackage()).bytes);
    await world.deliver(sent.bytes, 0);
    const { summary, commit } = await group.update({}, { groupInfo: true });
    expect(summary.hasPath).toBe(true);
    expect(summary.added).toHaveLength(1);
    await world.deliver(commit, 0);
    const accepted = await group.acceptCommit();
    expect(accepted.welcomes).toHaveLength(1);
    expect(accepted.groupInfo).toBeDefined();
    expect(own(group).encryptionKey).not.toEqual(before);
    world.assertAgreement();
    expect((await client.join(accepted.welcomes[0]!.bytes)).epoch).toBe(group.epoch);
  });

  test("M-UPD-02: an Update waits with its key under its reference, and goes with the epoch", async () => {
    const world = await testGroup({ members: 2 });
    const { group, storage } = world.member(1);
    const waiting = async (): Promise<number> =>
      (await contents(storage)).filter((record) => /^g\d+\/p/.test(record)).length;
    const sent = await group.proposeUpdate();
    expect(await waiting()).toBe(1);
    expect((await group.process(sent.bytes)).kind).toBe("ownProposal");
    const reopened = await world.reopen(1, storage);
    await world.deliver(sent.bytes, 1);
    const before = own(reopened.group).encryptionKey;
    await world.commit(0);
    expect(own(reopened.group).encryptionKey).not.toEqual(before);
    expect(await waiting()).toBe(0);
    world.assertAgreement();
    const after = own(reopened.group).encryptionKey;
    await reopened.group.proposeUpdate();
    await world.commit(0);
    expect(own(reopened.group).encryptionKey).toEqual(after);
    expect(await waiting()).toBe(0);
  });

  test("M-UPD-03: of several own Updates the committed one wins, the others disappear", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(1);
    const sent = [await group.proposeUpdate(), await group.proposeUpdate()];
    expect(group.pendingProposals).toHaveLength(2);
    const keys = group.pendingProposals.map(({ proposal }) =>
      proposal.type === "update" ? proposal.leafNode.encryptionKey : undefined,
    );
    await world.deliver(sent[1]!.bytes, 1);
    await world.commit(0);
    expect(own(group).encryptionKey).toEqual(keys[1]);
    expect(group.pendingProposals).toEqual([]);
    world.assertAgreement();
    expect((await world.say(0, "for the new keys"))[0]!.kind).toBe("application");
  });

  test("M-UPD-04: capabilities, extensions and credential change, the rest is carried over", async () => {
    const world = await testGroup({
      members: 2,
      authenticationService: {
        validate: (all) => all.map(() => true),
        isSuccessor: () => true,
      },
    });
    const { group } = world.member(0);
    const first = own(group);
    const capabilities = { ...first.capabilities, extensions: [0xf0f0] };
    await world.commit(0, { leaf: { capabilities } });
    const second = own(group);
    expect(second.capabilities).toEqual(capabilities);
    expect(second.credential).toEqual(first.credential);
    expect(second.signatureKey).toEqual(first.signatureKey);
    const extensions = [{ type: 0xf0f0, data: utf8("here") }];
    await world.commit(0, { leaf: { extensions } });
    const third = own(group);
    expect(third.extensions).toEqual(extensions);
    expect(third.capabilities).toEqual(capabilities);
    const credential = { type: "basic", identity: utf8("renamed") } as const;
    const sent = await group.proposeUpdate({ credential });
    await world.deliver(sent.bytes, 0);
    await world.commit(1);
    const fourth = own(group);
    expect(fourth.credential).toEqual(credential);
    expect(fourth.extensions).toEqual(extensions);
    const keys = [first, second, third, fourth].map(({ encryptionKey }) => toHex(encryptionKey));
    expect(new Set(keys).size).toBe(4);
    world.assertAgreement();
  });

  test("M-UPD-05: a Commit rotates the signature key; the wrong scheme is INVALID_SIGNER", async () => {
    const world = await testGroup({
      members: 2,
      config: { handshake: { send: "public", accept: "both" } },
    });
    const { group, client } = world.member(0);
    const old = client.identity.signatureKey;
    const next = await secondKey(world, 0);
    const { commit, summary } = await group.commit({
      identity: next,
      withoutPath: true,
      groupInfo: true,
    });
    expect(summary.hasPath).toBe(true);
    expect(viewPublicCommit(commit)!.pathLeaf!.signatureKey).toEqual(next.signatureKey);
    // Accepted by a member that knows the old key only: the framing is signed with it.
    const [outcome] = await world.deliver(commit, 0);
    expect(outcome).toMatchObject({ kind: "commit", sender: { signatureKey: old } });
    const { groupInfo } = await group.acceptCommit();
    world.assertAgreement();
    expect(own(group).signatureKey).toEqual(next.signatureKey);
    const checked = await world.member(1).client.checkGroupInfo(groupInfo!);
    expect(checked.groupInfo.signer).toBe(group.ownLeafIndex);
    expect((await world.say(0, "signed with the new key"))[0]!.kind).toBe("application");
    const p256 = defaultProvider().suite(2);
    const wrong = createSigner(p256, await p256.generateSignatureKeyPair());
    await expect(group.update({ signer: wrong })).rejects.toMatchObject({ code: "INVALID_SIGNER" });
  });

  test("M-UPD-06: an Update proposal rotates the signature key", async () => {
    const world = await testGroup({ members: 2 });
    const { group } = world.member(1);
    const suite = defaultProvider().suite(1);
    const signer = createSigner(suite, await suite.generateSignatureKeyPair());
    world.directory.add({ identity: "member 1", signatureKey: signer.publicKey });
    const sent = await group.proposeUpdate({ signer });
    await world.deliver(sent.bytes, 1);
    await world.commit(0);
    expect(own(group).signatureKey).toEqual(signer.publicKey);
    world.assertAgreement();
    expect((await world.say(1, "signed with the new key"))[0]!.kind).toBe("application");
  });

  test("M-UPD-09: a policy by messages, time and removals answers and reminds, and sends nothing", async () => {
    const updatePolicy = { messages: 3, seconds: 1000, removal: true };
    const world = await testGroup({ members: 3, config: { updatePolicy } });
    const { group, client } = world.member(1);
    const events: ClientEvent[] = [];
    client.on((event) => void events.push(event));
    const reminded = (): number => events.filter(({ type }) => type === "updateAdvised").length;
    expect(await group.needsUpdate()).toEqual([]);
    for (let i = 0; i < 3; i++) await group.send("x");
    expect(await group.needsUpdate()).toEqual(["messages"]);
    expect(reminded()).toBe(1);
    await group.send("x");
    expect(reminded(), "once in an epoch").toBe(1);
    world.clock.advance(1000);
    expect(await group.needsUpdate()).toEqual(["messages", "seconds"]);
    await world.commit(0, { remove: [2] });
    expect(await group.needsUpdate()).toEqual(["messages", "seconds", "removal"]);
    expect(group.epoch).toBe(2n);
    expect(group.pendingProposals).toEqual([]);
    await world.commit(1);
    expect(await group.needsUpdate()).toEqual([]);
    expect(await group.needsUpdate({ messages: 0 })).toEqual(["messages"]);
  });

  test("M-UPD-09: each reason reminds, however it comes about", async () => {
    const reasons: readonly [Partial<GroupConfig>, (world: TestGroup) => Promise<unknown>][] = [
      [{ updatePolicy: { removal: true } }, (world) => world.commit(0, { remove: [2] })],
      [
        { updatePolicy: { seconds: 1000 } },
        (world) => {
          world.clock.advance(1000);
          return world.say(0, "anything");
        },
      ],
      [{ updatePolicy: { messages: 1 } }, (world) => exportSendingKey(world.member(1).group)],
      [
        {},
        async (world) => {
          const { group } = world.member(1);
          await group.send("x");
          await group.send("x");
          await group.configure({ updatePolicy: { messages: 1 } });
        },
      ],
    ];
    for (const [config, come] of reasons) {
      const world = await testGroup({ members: 3, config });
      const { client, group } = world.member(1);
      const reminders: ClientEvent[] = [];
      client.on((event) => void (event.type === "updateAdvised" && reminders.push(event)));
      await group.configure({ pastEpochs: 1 });
      expect(reminders).toEqual([]);
      await come(world);
      expect(reminders).toEqual([{ type: "updateAdvised", groupId: group.id, epoch: group.epoch }]);
      expect(await group.needsUpdate()).toHaveLength(1);
    }
  });

  test("M-UPD-10: an own update that another commits switches the keys by itself", async () => {
    const world = await testGroup({ members: 3 });
    const { group, client } = world.member(2);
    const events: ClientEvent[] = [];
    client.on((event) => void events.push(event));
    const before = own(group).encryptionKey;
    const sent = await group.proposeUpdate();
    await world.deliver(sent.bytes, 2);
    await world.commit(1);
    expect(own(group).encryptionKey).not.toEqual(before);
    expect(events).toContainEqual({ type: "ownUpdateDone", groupId: group.id, epoch: 2n });
    await world.commit(0);
    world.assertAgreement();
    expect(decodeMlsMessage((await group.send("x")).bytes).wireFormat).toBe("privateMessage");
  });
});
