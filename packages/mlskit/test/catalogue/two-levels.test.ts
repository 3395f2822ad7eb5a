/**
 * Catalogue M-GRP-19: the client and the group functions are two levels of one thing. The same member
 * lives twice here, once in a client and once as a bare epoch, and draws the same random bytes.
 */
import { expect, test } from "vitest";
import { EMPTY_BYTES, utf8 } from "../../src/codec/index.ts";
import * as core from "../../src/group/index.ts";
import { Client, defaultProvider, type Group } from "../../src/index.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { encodeMlsMessage, decodeMlsMessage } from "../../src/wire.ts";
import { memoryStorage } from "../../src/storage/memory.ts";
import { acceptAnyCredential, NOW, testEnvironment } from "../support/environment.ts";

const environment = testEnvironment();
const types = { proposals: new Map(), credentials: new Map() };
const lifetime = { notBefore: NOW - 3600n, notAfter: NOW + 86_400n };
const capabilities = {
  versions: [1],
  cipherSuites: [1],
  extensions: [],
  proposals: [],
  credentials: [1],
};
const plain = { type: "none" } as const;

/** A provider whose randomness can be set back to any seed. */
function replayable() {
  let random = new SeededRandom("start");
  const provider = defaultProvider({ randomBytes: (length) => random.bytes(length) });
  return { provider, rewind: (seed: string) => void (random = new SeededRandom(seed)) };
}

async function newClient(name: string, provider = defaultProvider(), signer?: core.Signer) {
  return Client.create({
    identity: name,
    storage: memoryStorage(),
    provider,
    clock: () => NOW,
    authenticationService: acceptAnyCredential,
    ...(signer === undefined ? {} : { signer }),
  });
}

/** What the low-level member does with a message of another member. */
async function receive(epoch: core.Epoch, bytes: Uint8Array) {
  const message = decodeMlsMessage(bytes);
  if (message.wireFormat !== "privateMessage") throw new Error("a PrivateMessage was expected");
  const keys = core.currentKeys(epoch);
  const opened = core.OpenedContent.fromPrivate(keys, message.message, core.DEFAULT_LIMITS, types);
  if (opened === "own") throw new Error("our own message");
  return core.VerifiedContent.verify(epoch.crypto, opened, keys);
}

test("M-GRP-19: a stored client and the pure group functions make the same bytes", async () => {
  const [upper, lower] = [replayable(), replayable()];
  const both = async <A, B>(
    seed: string,
    client: () => Promise<A>,
    pure: () => Promise<B>,
  ): Promise<[A, B]> => {
    upper.rewind(seed);
    lower.rewind(seed);
    return [await client(), await pure()];
  };
  const crypto = lower.provider.suite(1);
  const signer = core.createSigner(crypto, await crypto.generateSignatureKeyPair());
  const client = await newClient("alice", upper.provider, signer);

  // Key package and join.
  const [published, created] = await both(
    "key package",
    () => client.createKeyPackage({ lifetime, capabilities, grease: false }),
    () =>
      core.createKeyPackage({
        crypto,
        signer,
        credential: { type: "basic", identity: utf8("alice") },
        capabilities,
        lifetime,
      }),
  );
  const { keyPackage, privateKeys } = created;
  expect(encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage })).toEqual(
    published.bytes,
  );
  const carol = await (await newClient("carol")).createGroup();
  await carol.add([published.bytes]);
  const [welcome] = (await carol.acceptCommit()).welcomes;
  const group = await client.join(welcome!.bytes);
  const decoded = decodeMlsMessage(welcome!.bytes);
  if (decoded.wireFormat !== "welcome") throw new Error("a Welcome was expected");
  const opened = await core.openWelcome(
    lower.provider,
    decoded.message,
    () => ({ keyPackage, ...privateKeys, signer }),
    environment,
  );
  let { epoch } = await core.stageJoin(opened, undefined, environment);
  expectSameEpoch(group, epoch);

  // Application messages.
  const authenticatedData = utf8("header");
  const [sent, pureSent] = await both(
    "message",
    () => group.send("hello", { authenticatedData, padding: plain }),
    () =>
      core.protectApplicationData(epoch, {
        data: utf8("hello"),
        authenticatedData,
        padding: core.noPadding,
      }),
  );
  epoch.secretTree.apply(pureSent.change);
  expect(pureSent.bytes).toEqual(sent.bytes);
  expect((await carol.process(sent.bytes)).kind).toBe("application");

  // Proposals.
  const options = {
    authenticatedData: EMPTY_BYTES,
    wireFormat: "privateMessage",
    padding: core.padme(128),
  } as const;
  const [proposed, pureProposed] = await both(
    "update",
    () => group.proposeUpdate(),
    async () => {
      const { proposal, ownUpdate } = await core.createUpdate(epoch, {}, environment);
      return core.createProposal(epoch, proposal, options, environment, ownUpdate);
    },
  );
  epoch.secretTree.apply(pureProposed.change!);
  expect(pureProposed.bytes).toEqual(proposed.bytes);
  await carol.process(proposed.bytes, { accept: true });
  const covering = await carol.commit();
  await carol.acceptCommit();
  await group.process(covering.commit, { accept: true });
  const pending = new Map([
    [core.cacheKey(pureProposed.cached.reference), pureProposed.cached],
  ] as const);
  const verified = await receive(epoch, covering.commit);
  epoch = (await core.processCommit(epoch, verified, pending, environment)).next!;
  expectSameEpoch(group, epoch);

  // Commits with Welcome and GroupInfo.
  const dave = await newClient("dave");
  const invited = (await dave.createKeyPackage()).bytes;
  const davePackage = decodeMlsMessage(invited);
  if (davePackage.wireFormat !== "keyPackage") throw new Error("a KeyPackage was expected");
  const [made, pureMade] = await both(
    "commit",
    async () => {
      await group.add([invited], { groupInfo: true });
      const bytes = group.pendingCommit!.commit;
      return { bytes, ...(await group.acceptCommit()) };
    },
    () =>
      core.createCommit(
        epoch,
        {
          ...options,
          proposals: [{ type: "add", keyPackage: davePackage.message }],
          pending: [],
          forcePath: true,
          ratchetTree: true,
          groupInfo: { externalPub: true },
        },
        environment,
      ),
  );
  epoch = pureMade.next;
  expect(pureMade.commit).toEqual(made.bytes);
  expect(pureMade.welcomes).toEqual(made.welcomes);
  expect(pureMade.groupInfo).toEqual(made.groupInfo);
  expectSameEpoch(group, epoch);
  await carol.process(made.bytes, { accept: true });
  const joined = await dave.join(pureMade.welcomes[0]!.bytes);
  expect([carol.epochAuthenticator, joined.epochAuthenticator]).toEqual([
    group.epochAuthenticator,
    group.epochAuthenticator,
  ]);
});

function expectSameEpoch(group: Group, { context, crypto, secrets, tree }: core.Epoch): void {
  expect(context.epoch).toBe(group.epoch);
  expect(secrets.epochAuthenticator.bytes).toEqual(group.epochAuthenticator);
  expect(tree.encode()).toEqual(group.ratchetTree());
  const exported = core.exportSecret(crypto, secrets.exporterSecret, "x", utf8("y"), 32);
  expect(exported).toEqual(group.export("x", utf8("y"), 32));
}
