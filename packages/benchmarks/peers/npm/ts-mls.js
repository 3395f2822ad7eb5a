/** ts-mls, by its functions over immutable states. Nothing is persisted. */
import { readFileSync } from "node:fs";
import { p256 } from "@noble/curves/nist.js";
import {
  clientStateDecoder,
  clientStateEncoder,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPubAndRatchetTree,
  decode,
  defaultCredentialTypes,
  defaultKeyRetentionConfig,
  defaultKeyPackageEqualityConfig,
  defaultLifetimeConfig,
  defaultProposalTypes,
  encode,
  generateKeyPackageWithKey,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  mlsMessageDecoder,
  mlsMessageEncoder,
  processMessage,
  protocolVersions,
  unsafeTestingAuthenticationService,
  wireformats,
} from "ts-mls";
import { check, PAYLOAD, serve } from "./serve.js";

const NAMES = {
  1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
  2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
  3: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
};
const version = protocolVersions.mls10;
/** The form of RFC 9420 §5.1.1, which other libraries insist on. */
const UNCOMPRESSED = false;

let impl;
let isP256 = false;
let context;
let size = 2;
let sender;
let receiver;
let invitation;
let welcome;
let creator;
let added = [];
let guests = [];

async function begin(suite, count) {
  size = count;
  isP256 = suite === 2;
  impl = await getCiphersuiteImpl(NAMES[suite]);
  context = {
    cipherSuite: impl,
    authService: unsafeTestingAuthenticationService,
    clientConfig: {
      keyRetentionConfig: defaultKeyRetentionConfig,
      lifetimeConfig: defaultLifetimeConfig,
      keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
      paddingConfig: { kind: "alwaysPad", paddingLength: 0 },
    },
  };
}

async function invite(name) {
  const credential = {
    credentialType: defaultCredentialTypes.basic,
    identity: new TextEncoder().encode(name),
  };
  const pair = await impl.signature.keygen();
  const publicKey = isP256 ? p256.getPublicKey(pair.signKey, UNCOMPRESSED) : pair.publicKey;
  const signatureKeyPair = { ...pair, publicKey };
  const made = await generateKeyPackageWithKey({ credential, cipherSuite: impl, signatureKeyPair });
  const message = {
    version,
    wireformat: wireformats.mls_key_package,
    keyPackage: made.publicPackage,
  };
  return { ...made, bytes: encode(mlsMessageEncoder, message) };
}

function create({ publicPackage, privatePackage }) {
  return createGroup({
    context,
    groupId: impl.rng.randomBytes(16),
    keyPackage: publicPackage,
    privateKeyPackage: privatePackage,
  });
}

/** Bytes in, bytes out; the new state takes the place of the old one. */
async function commit(state, add = [], remove = []) {
  const extraProposals = [
    ...remove.map((removed) => ({
      proposalType: defaultProposalTypes.remove,
      remove: { removed },
    })),
    ...add.map((bytes) => {
      const { keyPackage } = decode(mlsMessageDecoder, bytes);
      return { proposalType: defaultProposalTypes.add, add: { keyPackage } };
    }),
  ];
  const made = await createCommit({
    context,
    state,
    wireAsPublicMessage: true,
    extraProposals,
    ratchetTreeExtension: true,
  });
  return {
    state: made.newState,
    commit: encode(mlsMessageEncoder, made.commit),
    welcome: made.welcome === undefined ? undefined : encode(mlsMessageEncoder, made.welcome),
  };
}

function join({ publicPackage, privatePackage }, bytes) {
  const message = decode(mlsMessageDecoder, bytes);
  const keys = { keyPackage: publicPackage, privateKeys: privatePackage };
  return joinGroup({ context, welcome: message.welcome, ...keys });
}

function process(state, bytes) {
  return processMessage({ context, state, message: decode(mlsMessageDecoder, bytes) });
}

function agree() {
  const [a, b] = [sender, receiver].map((state) => state.keySchedule.epochAuthenticator);
  check(Buffer.compare(a, b) === 0, "the members are not in the same epoch");
}

const runs = {
  async add(time, bytes) {
    const made = await time("add", async () => commit(await create(creator), added));
    bytes("add", made.commit.length + made.welcome.length);
  },
  async join(time, bytes) {
    await time("join", () => join(invitation, welcome));
    bytes("join", welcome.length);
  },
  async commit(time, bytes) {
    const made = await time("commit", () => commit(sender));
    const followed = await time("process", () => process(receiver, made.commit));
    sender = made.state;
    receiver = followed.newState;
    bytes("commit", made.commit.length);
    agree();
  },
  async message(time, bytes) {
    const sent = await time("send", async () => {
      const made = await createApplicationMessage({ context, state: sender, message: PAYLOAD });
      return { state: made.newState, message: encode(mlsMessageEncoder, made.message) };
    });
    const received = await time("receive", () => process(receiver, sent.message));
    sender = sent.state;
    receiver = received.newState;
    bytes("send", sent.message.length);
    check(Buffer.compare(received.message, PAYLOAD) === 0, "another plaintext was received");
  },
  async membership(time, bytes) {
    const { bytes: keyPackage } = await invite("guest");
    const one = await time("addOne", () => commit(sender, [keyPackage]));
    const followed = await time("processAdd", () => process(receiver, one.commit));
    sender = one.state;
    receiver = followed.newState;
    bytes("addOne", one.commit.length + one.welcome.length);
    agree();
    // Removals are not timed: the other libraries send a path along.
    const two = await commit(sender, [], [size]);
    receiver = (await process(receiver, two.commit)).newState;
    sender = two.state;
  },
  async storage(time, bytes) {
    const stored = await time("store", async () => encode(clientStateEncoder, receiver));
    const loaded = await time("load", async () => decode(clientStateDecoder, stored));
    bytes("store", stored.length);
    bytes("load", stored.length);
    const [a, b] = [loaded, receiver].map((state) => state.keySchedule.epochAuthenticator);
    check(Buffer.compare(a, b) === 0, "another group was loaded");
  },
  async externalJoin(time, bytes) {
    const { publicPackage, privatePackage } = await invite("outsider");
    const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(sender, [], impl);
    const message = { version, wireformat: wireformats.mls_group_info, groupInfo };
    const published = encode(mlsMessageEncoder, message);
    const joined = await time("externalJoin", async () => {
      const keys = { keyPackage: publicPackage, privateKeys: privatePackage };
      const decoded = decode(mlsMessageDecoder, published).groupInfo;
      const made = await joinGroupExternal({ context, groupInfo: decoded, ...keys, resync: false });
      const { publicMessage } = made;
      const own = { version, wireformat: wireformats.mls_public_message, publicMessage };
      return encode(mlsMessageEncoder, own);
    });
    bytes("externalJoin", joined.length);
  },
};

const manifest = new URL("node_modules/ts-mls/package.json", import.meta.url);
await serve(
  {
    library: "ts-mls",
    version: JSON.parse(readFileSync(manifest, "utf8")).version,
    runtime: `Node ${globalThis.process.versions.node}, WebCrypto; P-256 signatures by noble`,
    suites: [1, 2, 3],
  },
  {
    async cold(suite, count) {
      await begin(suite, count);
      creator = await invite("creator");
      const invitations = [];
      for (let i = 1; i < count; i++) invitations.push(await invite(`member ${i}`));
      added = invitations.map(({ bytes }) => bytes);
      const made = await commit(await create(creator), added);
      sender = made.state;
      welcome = made.welcome;
      invitation = invitations.at(-1);
      receiver = await join(invitation, welcome);
    },
    async guests(suite, count) {
      await begin(suite, count);
      guests = [await invite("guest 1"), await invite("guest 2")];
      return guests.map(({ bytes }) => bytes);
    },
    async warm(bytes) {
      [welcome, invitation] = [bytes, guests[1]];
      sender = await join(guests[0], welcome);
      receiver = await join(guests[1], welcome);
      const one = await commit(sender);
      receiver = (await process(receiver, one.commit)).newState;
      const two = await commit(receiver);
      sender = (await process(one.state, two.commit)).newState;
      receiver = two.state;
      agree();
    },
    runs,
  },
);
