/** What the server does when it is asked for more than the usual. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { EMPTY, hex, utf8 } from "../src/bytes.ts";
import { Connection } from "../src/driver/connection.ts";
import { openedWelcome } from "../src/driver/open-welcome.ts";
import { World } from "../src/driver/world.ts";
import { messages } from "../src/internals.ts";
import type { ResponseOf } from "../src/protocol.ts";
import { serve, type RunningServer } from "../src/server/serve.ts";
import { PATIENCE } from "./play.ts";

const SUITE = 1;
const PLAIN = { by_reference: [], by_value: [], force_path: false, external_tree: false };
/** No external senders. */
const EXTENSION = { extension_type: 5, extension_data: Uint8Array.of(0) };

let running: RunningServer;
let at: Connection;
beforeAll(async () => {
  running = await serve({ port: 0 });
  at = await Connection.open(running.address);
}, PATIENCE);
afterAll(() => {
  at.close();
  running.stop();
});

async function createGroup(name = "group"): Promise<number> {
  const group_id = utf8(name);
  const request = {
    group_id,
    cipher_suite: SUITE,
    encrypt_handshake: false,
    identity: utf8("alice"),
  };
  return (await at.call("CreateGroup", request)).state_id;
}

function createKeyPackage(): Promise<ResponseOf<"CreateKeyPackage">> {
  return at.call("CreateKeyPackage", { cipher_suite: SUITE, identity: utf8("bob") });
}

async function addBob(state_id: number, flags: Partial<typeof PLAIN> = {}) {
  const bob = await createKeyPackage();
  return { bob, made: await add(state_id, bob.key_package, flags) };
}

function add(state_id: number, key_package: Uint8Array, flags: Partial<typeof PLAIN> = {}) {
  const by_value = [{ proposal_type: utf8("add"), key_package }];
  return at.call("Commit", { ...PLAIN, state_id, ...flags, by_value });
}

function join(bob: ResponseOf<"CreateKeyPackage">, welcome: Uint8Array, ratchet_tree = EMPTY) {
  const { transaction_id } = bob;
  const request = { transaction_id, welcome, ratchet_tree, encrypt_handshake: false };
  return at.call("JoinGroup", { ...request, identity: utf8("bob") });
}

/** What bob can read of the Welcome. */
function lookInto(bob: ResponseOf<"CreateKeyPackage">, welcome: Uint8Array) {
  const cast = new Map([["bob", at]]);
  const world = new World({ suite: SUITE, encrypt: false, cast, seed: "", provokesPeers: false });
  world.showedKeys("bob", { keyPackage: bob.key_package, initKey: bob.init_priv });
  return openedWelcome(world, "bob", welcome);
}

function commitIn(bytes: Uint8Array) {
  const decoded = messages.decodeMlsMessage(bytes);
  if (decoded.wireFormat !== "publicMessage") throw new Error("this is not public");
  const { content } = decoded.message.content;
  if (content.contentType !== "commit") throw new Error("this is no Commit");
  return content.commit;
}

async function extensionsOf(state_id: number): Promise<string[]> {
  const { group_info } = await at.call("GroupInfo", { state_id, external_tree: true });
  const decoded = messages.decodeMlsMessage(group_info);
  if (decoded.wireFormat !== "groupInfo") throw new Error("this is no GroupInfo");
  const { extensions } = decoded.message.groupContext;
  return extensions.map(({ type, data }) => `${type} ${hex(data)}`);
}

async function authenticator(state_id: number): Promise<string> {
  return hex((await at.call("StateAuth", { state_id })).state_auth_secret);
}

test(
  "M-INT-01 force_path decides whether a Commit that only adds has a path",
  async () => {
    for (const force_path of [false, true]) {
      const { bob, made } = await addBob(await createGroup(), { force_path });
      expect(commitIn(made.commit).path !== undefined).toBe(force_path);
      const opened = await lookInto(bob, made.welcome);
      expect(opened).toEqual({ hasPathSecret: force_path, hasTree: true });
    }
  },
  PATIENCE,
);

test(
  "M-INT-01 external_tree takes the tree out of the Welcome, and the joiner needs it",
  async () => {
    const { bob, made } = await addBob(await createGroup(), { external_tree: true });
    expect(await lookInto(bob, made.welcome)).toMatchObject({ hasTree: false });
    expect(made.ratchet_tree.length).toBeGreaterThan(0);
    await expect(join(bob, made.welcome)).rejects.toThrow(/ABORTED/);
    const joined = await join(bob, made.welcome, made.ratchet_tree);
    expect(joined.epoch_authenticator.length).toBeGreaterThan(0);
  },
  PATIENCE,
);

test(
  "M-INT-01 an external join carries one proposal for each PSK, and needs their secrets",
  async () => {
    const alice = await createGroup();
    const psks = [1, 2].map((n) => ({ psk_id: Uint8Array.of(n), psk_secret: Uint8Array.of(n, n) }));
    for (const psk of psks) await at.call("StorePSK", { ...psk, state_or_transaction_id: alice });
    const group = await at.call("GroupInfo", { state_id: alice, external_tree: true });
    const who = { encrypt_handshake: false, identity: utf8("bob"), remove_prior: false };
    const joined = await at.call("ExternalJoin", { ...group, ...who, psks });
    const types = commitIn(joined.commit).proposals.map((entry) => {
      return entry.type === "proposal" ? entry.proposal.type : entry.type;
    });
    expect(types.filter((type) => type === "psk")).toHaveLength(2);
    const request = { state_id: alice, proposal: [], commit: joined.commit };
    const handled = await at.call("HandleCommit", request);
    expect(hex(handled.epoch_authenticator)).toBe(hex(joined.epoch_authenticator));
  },
  PATIENCE,
);

test(
  "M-INT-01 a branch has the extensions that are asked for",
  async () => {
    const alice = await createGroup();
    const { bob, made } = await addBob(alice);
    await at.call("HandlePendingCommit", { state_id: alice });
    const joined = await join(bob, made.welcome);
    expect(await extensionsOf(alice)).toEqual([]);
    const again = await createKeyPackage();
    const branch = await at.call("CreateBranch", {
      state_id: alice,
      group_id: utf8("branch"),
      extensions: [EXTENSION],
      key_packages: [again.key_package],
      force_path: false,
      external_tree: false,
    });
    expect(await extensionsOf(branch.state_id)).toEqual(["5 00"]);
    const { welcome } = branch;
    const place = { state_id: joined.state_id, transaction_id: again.transaction_id };
    const entered = await at.call("HandleBranch", { ...place, welcome, ratchet_tree: EMPTY });
    expect(await extensionsOf(entered.state_id)).toEqual(["5 00"]);
    expect(hex(entered.epoch_authenticator)).toBe(hex(branch.epoch_authenticator));
  },
  PATIENCE,
);

test(
  "M-INT-01 a Welcome that names no PSK of the older group leads neither to a branch nor to a successor",
  async () => {
    const alice = await createGroup();
    const { bob, made } = await addBob(alice);
    await at.call("HandlePendingCommit", { state_id: alice });
    const { state_id } = await join(bob, made.welcome);
    const again = await createKeyPackage();
    const { welcome } = await add(await createGroup("no branch"), again.key_package);
    const place = { state_id, transaction_id: again.transaction_id, ratchet_tree: EMPTY };
    await expect(at.call("HandleBranch", { ...place, welcome })).rejects.toThrow(
      /ABORTED: the Welcome names no PSK of usage branch$/,
    );
    const next = { cipher_suite: SUITE, group_id: utf8("next"), extensions: [] };
    const { proposal } = await at.call("ReInitProposal", { state_id: alice, ...next });
    const request = { ...PLAIN, state_id: alice, by_reference: [proposal] };
    const { commit } = await at.call("ReInitCommit", request);
    const handle = { state_id, proposal: [proposal], commit };
    const { reinit_id, key_package } = await at.call("HandleReInitCommit", handle);
    const other = await add(await createGroup("no successor"), key_package);
    const entry = { reinit_id, welcome: other.welcome, ratchet_tree: EMPTY };
    await expect(at.call("HandleReInitWelcome", entry)).rejects.toThrow(
      /ABORTED: the Welcome names no PSK of usage reinit$/,
    );
  },
  PATIENCE,
);

test(
  "M-INT-01 a Commit is pending until it is taken up, and gone when another wins",
  async () => {
    const alice = await createGroup();
    const { bob, made } = await addBob(alice);
    const before = await authenticator(alice);
    await at.call("HandlePendingCommit", { state_id: alice });
    const after = await authenticator(alice);
    expect(after).not.toBe(before);
    const { state_id } = await join(bob, made.welcome);
    const [mine, theirs] = [
      await at.call("Commit", { ...PLAIN, state_id: alice, force_path: true }),
      await at.call("Commit", { ...PLAIN, state_id, force_path: true }),
    ];
    expect([await authenticator(alice), await authenticator(state_id)]).toEqual([after, after]);
    await at.call("HandlePendingCommit", { state_id });
    const request = { state_id: alice, proposal: [], commit: theirs.commit };
    await at.call("HandleCommit", request);
    expect(await authenticator(alice)).toBe(await authenticator(state_id));
    await expect(at.call("HandlePendingCommit", { state_id: alice })).rejects.toThrow();
    const late = { state_id, proposal: [], commit: mine.commit };
    await expect(at.call("HandleCommit", late)).rejects.toThrow();
  },
  PATIENCE,
);
