/**
 * Proposals that are invalid or at odds with others, from members, external senders and outsiders: no
 * client is kept from committing or sending by them. RFC 9420 §12.2; M-SEC-11, pitfall prop-1.
 */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, toHex } from "../../src/codec/index.ts";
import type { Signer } from "../../src/crypto/index.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import type { Group } from "../../src/index.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import { NOW, testEnvironment } from "../support/environment.ts";
import { type ContentForgery, flipped, forgeCommit, forgeProposal } from "../support/forge.ts";
import { type Desk, newDesk } from "../support/forge-clients.ts";
import { bundleOf } from "../support/forge-join.ts";
import {
  add,
  EXTENDED,
  extend,
  externalSenders,
  psk,
  pskId,
  reInit,
  remove,
  required,
  resumption,
  stranger,
  updateBy,
} from "../support/forge-lists.ts";
import { authenticatorOf, newClient, newSigner } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

/** Alice is honest, bob is not; carol and dave are clients with stores, at leaves 2 and 3. */
interface World {
  readonly group: TestGroup;
  readonly service: Signer;
  readonly desks: readonly Desk[];
  readonly clients: readonly Group[];
}

const policy = { reviewProposal: (): true => true };
const BOB = 1;
const CAROL = 2;

async function world(): Promise<World> {
  const service = await newSigner();
  const environment = testEnvironment({ policy });
  const extensions = [externalSenders(service)];
  const group = await TestGroup.of(["alice", "bob"], { extensions, environment });
  const desks: Desk[] = [];
  const clients: Group[] = [];
  for (const name of ["carol", "dave"]) {
    const desk = await newDesk(name, { policy });
    const { bytes } = await desk.client.createKeyPackage();
    const { keyPackage } = await bundleOf(bytes);
    const proposals = [{ type: "add", keyPackage } as const];
    const { commit, welcomes } = await group.commit("alice", { proposals });
    for (const other of clients) await other.process(commit, { accept: true });
    const own = await desk.client.join(welcomes[0]!.bytes);
    desks.push(desk);
    clients.push(own);
  }
  return { group, service, desks, clients };
}

/** A proposal, or a client that is to be added: outsiders sign with the key of the latter. */
type Item = Proposal | KeyPackageBundle;
type Make = (world: World) => Promise<readonly Item[]>;
const list =
  (...items: readonly Item[]): Make =>
  async () =>
    items;

/** What may not be sent, or not together, by type. Whatever else comes of it hits bob alone. */
const POISON: Readonly<Record<string, Make>> = {
  "an Add whose signature is wrong": async () => [
    await stranger({ alterSignature: (it) => flipped(it, -1) }),
  ],
  "an Add of a member": async ({ group }) => [group.party("alice").bundle],
  "an Add of another suite": async () => [await newClient("erin", { suite: 2 })],
  "an Add that has expired": async () => [
    await newClient("erin", { lifetime: { notBefore: 0n, notAfter: NOW - 1n } }),
  ],
  "an Add with a member's encryption key": async ({ group }) => {
    const { encryptionKey } = group.party("alice").epoch.tree.leaf(0 as never)!;
    return [await stranger({ leaf: { encryptionKey } })];
  },
  "two Adds of one client": async () => {
    const erin = await newClient("erin");
    return [erin, await newClient("erin", { signer: erin.signer })];
  },
  "two Adds with one init key": async () => {
    const erin = await newClient("erin");
    const { initKey } = erin.keyPackage;
    return [erin, await stranger({ fields: { initKey } })];
  },
  "an Update whose leaf is not bob's": async ({ group }) => [
    (await updateBy(group.party("bob"), { leafSigner: await newSigner() })).cached.proposal,
    (await updateBy(group.party("bob"), { alterLeafSignature: (it) => flipped(it, 1) })).cached
      .proposal,
  ],
  "a Remove of nobody": list(remove(77), remove(2 ** 31), remove(2 ** 32 - 1)),
  "a Remove of whoever commits": list(remove(CAROL), remove(0), remove(3)),
  "two Removes of bob": list(remove(BOB), remove(BOB)),
  "a Remove and an Update of bob": async ({ group }) => [
    (await updateBy(group.party("bob"))).cached.proposal,
    remove(BOB),
    (await updateBy(group.party("bob"))).cached.proposal,
  ],
  "a PSK that nobody has": list(psk(pskId("nobody has it")), psk(resumption("application"))),
  "PSKs with bad nonces": list(psk(pskId("x", 0)), psk(pskId("x", 31)), psk(pskId("x", 33))),
  "PSKs of other flows": list(psk(resumption("reinit")), psk(resumption("branch"))),
  "one PSK twice": list(psk(pskId("same")), psk(pskId("same"))),
  "a ReInit to a lower version": list(reInit(0)),
  "a ReInit beside others": list(reInit(), remove(BOB), extend([])),
  // Where nothing else is valid, one of them is committed: that is no poison, but an end.
  "two ReInits beside a Remove": list(reInit(), reInit(), remove(BOB)),
  "an ExternalInit": list({ type: "externalInit", kemOutput: new Uint8Array(32) }),
  "extensions that nobody supports": list(extend(EXTENDED)),
  "extensions out of place": list(extend([{ type: 1, data: EMPTY_BYTES }])),
  "required capabilities that nobody has": list(extend([required({ proposalTypes: [0x7777] })])),
  "extensions whose bodies are broken": list(extend([{ type: 3, data: Uint8Array.of(0, 0) }])),
  "a ReInit whose extensions have broken bodies": list(
    reInit(1, [{ type: 3, data: Uint8Array.of(0, 0) }]),
    reInit(1, [{ type: 5, data: new Uint8Array(3).fill(1) }]),
  ),
  "new extensions twice": list(extend([]), extend([required()])),
  "a custom type": list(customProposal(0xf123, EMPTY_BYTES), customProposal(0x0a0a, EMPTY_BYTES)),
};

const SENDERS = {
  "a member": ({ group }: World): ContentForgery => ({
    sender: { type: "member", leafIndex: group.party("bob").leaf },
  }),
  "an external sender": ({ service }: World): ContentForgery => ({
    sender: { type: "external", senderIndex: 0 },
    signer: service,
    signedContext: EMPTY_BYTES,
  }),
  "an outsider": (_: World, item: Item): ContentForgery => ({
    sender: { type: "newMemberProposal" },
    signer: "signer" in item ? item.signer : undefined,
    signedContext: EMPTY_BYTES,
  }),
} as const;

describe.each(Object.keys(SENDERS) as (keyof typeof SENDERS)[])(
  "M-SEC-11 prop-1 from %s",
  (sender) => {
    test.each(Object.keys(POISON))("%s stops nobody", async (name) => {
      const made = await world();
      await poison(made, sender, await POISON[name]!(made));
      await everybodyGoesOn(made);
    });

    test("all of it at once stops nobody", async () => {
      const made = await world();
      for (const make of Object.values(POISON)) await poison(made, sender, await make(made));
      // Not all of it can be told to be poison when it arrives.
      expect(made.clients[0]!.pendingProposals.length).toBeGreaterThan(
        sender === "an outsider" ? 1 : 5,
      );
      await everybodyGoesOn(made);
    });
  },
);

test("M-SEC-11 a ReInit by which no successor can be made ends no group", async () => {
  const made = await world();
  const broken = reInit(1, [{ type: 3, data: Uint8Array.of(0, 0) }]);
  await poison(made, "an external sender", [broken]);
  const [own] = made.clients as [Group];
  expect(own.pendingProposals).toEqual([]);
  const { bytes } = await forgeCommit(made.group.party("bob"), { proposals: [broken] });
  expect(await own.process(bytes)).toMatchObject({ kind: "invalid", error: { rule: "mk-16" } });
  await everybodyGoesOn(made);
});

test("M-SEC-11 prop-1 all of it from all three at once stops nobody", async () => {
  const made = await world();
  for (const sender of Object.keys(SENDERS) as (keyof typeof SENDERS)[]) {
    for (const make of Object.values(POISON)) await poison(made, sender, await make(made));
  }
  await everybodyGoesOn(made);
});

/** Arrives at everybody, who keep what they may. */
async function poison(
  made: World,
  sender: keyof typeof SENDERS,
  items: readonly Item[],
): Promise<void> {
  const { group, clients } = made;
  for (const item of items) {
    const proposal = "keyPackage" in item && !("type" in item) ? add(item) : item;
    const forgery = SENDERS[sender](made, item);
    const { bytes } = await forgeProposal(group.party("bob"), proposal, forgery);
    for (const own of clients) await own.process(bytes, { accept: true });
    await group
      .party("alice")
      .receive(bytes)
      .catch(() => undefined);
  }
}

/** Each client in turn commits, whatever it holds; the others follow; all can write and read. */
async function everybodyGoesOn({ group, clients }: World): Promise<void> {
  const alice = group.party("alice");
  for (const own of clients) {
    if (own.status !== "active") continue;
    await sendsOrMustCommit(own);
    // What it asks for itself goes first: nobody's ReInit or removal of the committer counts.
    const { commit } = await own.update({}, { wireForm: "public" });
    await own.acceptCommit();
    await alice.receive(commit);
    for (const other of clients) if (other !== own) await other.process(commit, { accept: true });
  }
  const still = clients.filter(({ status }) => status === "active");
  expect(still.length).toBeGreaterThan(0);
  for (const own of still) {
    if (alice.isMember) expect(toHex(own.epochAuthenticator)).toBe(authenticatorOf(alice.epoch));
    const { bytes } = await own.send("still here");
    if (alice.isMember) expect((await alice.receive(bytes)).kind).toBe("application");
    for (const other of still) {
      if (other !== own) expect((await other.process(bytes)).kind).toBe("application");
    }
  }
}

async function sendsOrMustCommit(own: Group): Promise<void> {
  try {
    await own.send("here");
  } catch (error) {
    expect(error).toMatchObject({ code: "COMMIT_REQUIRED" });
  }
}
