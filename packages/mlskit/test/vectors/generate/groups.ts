/** Generates welcome and the three kinds of passive-client files. */
import { toHex, utf8 } from "../../../src/codec/index.ts";
import { createSigner } from "../../../src/crypto/index.ts";
import {
  type Extension,
  ExtensionType,
  ExternalSenders,
  makeExtension,
  RequiredCapabilities,
} from "../../../src/extensions/extension.ts";
import { encodeMlsMessage } from "../../../src/framing/mls-message.ts";
import type { CreatedCommit } from "../../../src/group/create-commit.ts";
import {
  createExternalProposal,
  createNewMemberProposal,
} from "../../../src/group/external-proposal.ts";
import type { Proposal } from "../../../src/messages/proposal.ts";
import { GREASE, makePerson, type Person } from "./people.ts";
import type { Source } from "./random.ts";
import { World } from "./world.ts";

/** Several entries, the one that counts in the middle. */
export async function welcomeCase(source: Source): Promise<unknown> {
  const [alice, bob, carol, dave] = await people(source, "alice", "bob", "carol", "dave");
  const world = await World.create(source, alice);
  const created = await world.commit(alice, { proposals: [bob, carol, dave].map(add) });
  return {
    cipher_suite: source.crypto.suite.id,
    init_priv: toHex(carol.initKey.bytes),
    signer_pub: toHex(alice.keyPackage.leafNode.signatureKey),
    key_package: keyPackageMessage(carol),
    welcome: welcomeOf(created),
  };
}

/** Tree inside or beside, with and without PSK, with and without path. */
export async function passiveWelcomeCases(source: Source): Promise<unknown[]> {
  const cases: unknown[] = [];
  for (const ratchetTree of [true, false]) {
    for (const withPsk of [true, false]) {
      const [alice, bob, joiner, last] = await people(source, "alice", "bob", "joiner", "last");
      const world = await World.create(source, alice, [{ type: GREASE, data: utf8("context") }]);
      await world.commit(alice, { proposals: [add(bob)] });
      const psks: Proposal[] = withPsk
        ? ["one", "two"].map((name) => ({ type: "psk", psk: world.externalPsk(name) }))
        : [];
      const proposals = [...psks, add(joiner), add(last)];
      const forcePath = withPsk;
      const created = await world.commit(alice, { proposals, ratchetTree, forcePath });
      world.takeRecord();
      cases.push(passiveCase(world, joiner, created, world.authenticator));
    }
  }
  return cases;
}

/** What the official file does not show: private handshakes, senders from outside, external commits. */
export async function passiveCommitCases(source: Source): Promise<unknown[]> {
  return [await privateStory(source), await publicStory(source)];
}

async function privateStory(source: Source): Promise<unknown> {
  const [alice, bob, joiner, carol] = await people(source, "alice", "bob", "joiner", "carol");
  const world = await World.create(source, alice, [requiredCapabilities([])]);
  const created = await world.commit(alice, { proposals: [add(bob), add(joiner)] });
  const start = world.authenticator;
  world.takeRecord();
  await enterByWelcome(world, alice, bob, created);
  await world.propose(bob, "update", "privateMessage");
  await world.propose(alice, add(carol), "privateMessage");
  await world.propose(bob, { type: "psk", psk: world.externalPsk("shared") }, "privateMessage");
  await world.commit(alice);
  const authority = await makeAuthority(source);
  const extensions = [requiredCapabilities([GREASE]), authority.extension];
  await world.commit(bob, { proposals: [{ type: "groupContextExtensions", extensions }] });
  const { context } = world.actor(alice).epoch;
  const removal: Proposal = { type: "remove", removed: 3 };
  const types = { proposals: new Map(), credentials: new Map(), extensions: new Set<number>() };
  await world.deliver(await createExternalProposal(context, removal, authority.signer, types));
  const resumed: Proposal = { type: "psk", psk: world.resumptionPsk(alice, 1n) };
  await world.propose(alice, resumed, "publicMessage");
  await world.commit(bob);
  await world.commit(alice, { proposals: [resumedAgain(world, alice)], forcePath: false });
  return passiveCase(world, joiner, created, start);
}

async function publicStory(source: Source): Promise<unknown> {
  const names = ["alice", "bob", "joiner", "dave", "erin", "erin"] as const;
  const [alice, bob, joiner, dave, erin, erinAgain] = await people(source, ...names);
  const wireFormat = "publicMessage";
  const world = await World.create(source, alice);
  const proposals = [add(bob), add(joiner)];
  const created = await world.commit(alice, { proposals, ratchetTree: false, wireFormat });
  const start = world.authenticator;
  world.takeRecord();
  await enterByWelcome(world, alice, bob, created);
  await world.joinExternally(erin, alice);
  const { context } = world.actor(alice).epoch;
  await world.deliver(await createNewMemberProposal(context, dave.keyPackage, dave.signer));
  await world.commit(bob, { wireFormat });
  // Erin lost her state and comes back with a new key.
  const former = world.actor(erin).epoch.ownLeaf;
  world.leave(erin);
  await world.joinExternally(erinAgain, bob, former);
  await world.propose(erinAgain, "update", wireFormat);
  world.leave(bob);
  await world.commit(alice, { proposals: [{ type: "remove", removed: 1 }], wireFormat });
  await world.commit(erinAgain, { wireFormat: "privateMessage" });
  return passiveCase(world, joiner, created, start);
}

/** A longer run in which members come and go, and public and private messages alternate. */
export async function passiveRandomCase(source: Source): Promise<unknown> {
  const [alice, joiner] = await people(source, "alice", "joiner");
  const world = await World.create(source, alice);
  const created = await world.commit(alice, { proposals: [add(joiner)] });
  const start = world.authenticator;
  world.takeRecord();
  for (let round = 0; round < 8; round++) {
    const [dice = 0, count = 0] = source.random(2);
    const wireFormat = dice % 2 === 0 ? "publicMessage" : "privateMessage";
    for (let i = 0; i <= count % 3; i++) {
      const newcomer = await makePerson(source, `${round}.${i}`);
      await world.propose(alice, add(newcomer), i % 2 === 0 ? "publicMessage" : "privateMessage");
    }
    const others = [...world.actor(alice).epoch.tree.members()].map(([index]) => Number(index));
    const removable = others.filter((index) => index > 1 && (index + dice) % 3 === 0);
    const proposals = removable.map((removed): Proposal => ({ type: "remove", removed }));
    await world.commit(alice, { proposals, wireFormat, forcePath: dice % 4 < 2 });
  }
  return passiveCase(world, joiner, created, start);
}

function passiveCase(
  world: World,
  joiner: Person,
  created: CreatedCommit,
  initialAuthenticator: string,
): unknown {
  const { ratchetTree } = created;
  return {
    cipher_suite: world.source.crypto.suite.id,
    external_psks: world.externalPsks,
    key_package: keyPackageMessage(joiner),
    signature_priv: toHex(joiner.signaturePrivateKey),
    encryption_priv: toHex(joiner.encryptionKey.bytes),
    init_priv: toHex(joiner.initKey.bytes),
    welcome: welcomeOf(created),
    ratchet_tree: ratchetTree === undefined ? null : toHex(ratchetTree),
    initial_epoch_authenticator: initialAuthenticator,
    epochs: world.takeRecord(),
  };
}

/** A new member begins to act, too. */
async function enterByWelcome(
  world: World,
  inviter: Person,
  person: Person,
  created: CreatedCommit,
): Promise<void> {
  await world.join(person, welcomeBytes(created), created.ratchetTree);
  if (toHex(world.actor(person).authenticator) !== toHex(world.actor(inviter).authenticator)) {
    throw new Error("the newcomer is in another epoch");
  }
}

function resumedAgain(world: World, person: Person): Proposal {
  return { type: "psk", psk: world.resumptionPsk(person, 2n) };
}

async function makeAuthority({ crypto }: Source) {
  const keys = await crypto.generateSignatureKeyPair();
  const credential = { type: "basic", identity: utf8("authority") } as const;
  const senders = [{ signatureKey: keys.publicKey, credential }];
  const extension = makeExtension(ExtensionType.externalSenders, ExternalSenders, senders);
  return { signer: createSigner(crypto, keys), extension };
}

function requiredCapabilities(extensionTypes: readonly number[]): Extension {
  const body = { extensionTypes, proposalTypes: [], credentialTypes: [1] };
  return makeExtension(ExtensionType.requiredCapabilities, RequiredCapabilities, body);
}

function add({ keyPackage }: Person): Proposal {
  return { type: "add", keyPackage };
}

function welcomeBytes({ welcomes }: CreatedCommit): Uint8Array {
  const [welcome] = welcomes;
  if (welcome === undefined) throw new Error("there is no Welcome");
  return welcome.bytes;
}

function welcomeOf(created: CreatedCommit): string {
  return toHex(welcomeBytes(created));
}

export function keyPackageMessage({ keyPackage }: Person): string {
  return toHex(encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage }));
}

/** As many people as names. */
async function people<const N extends readonly string[]>(
  source: Source,
  ...names: N
): Promise<{ readonly [K in keyof N]: Person }> {
  const made: Person[] = [];
  for (const name of names) made.push(await makePerson(source, name));
  return made as unknown as { readonly [K in keyof N]: Person };
}
