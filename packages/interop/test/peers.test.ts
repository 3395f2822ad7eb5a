/** Servers that do what some peers do, and what the driver makes of it. */
import { DecodeError, InternalError } from "mlskit";
import { describe, expect, test } from "vitest";
import { EMPTY, hex } from "../src/bytes.ts";
import { CallError, type Connection, familyOf } from "../src/driver/connection.ts";
import { EMPTY_ANSWERS, PEER_LIMITS, verdictOn } from "../src/driver/peer-limits.ts";
import { isGood, total, vanishedLimits } from "../src/driver/results.ts";
import type { Script } from "../src/driver/script.ts";
import type { CallName } from "../src/protocol.ts";
import { isRefusal } from "../src/server/outcomes.ts";
import {
  type CallOther,
  errors,
  type Habit,
  type Habits,
  type Message,
  PATIENCE,
  peer,
  play,
  server,
} from "./play.ts";

const extensions: readonly [] = [];
const members = ["bob"];
const BRANCH: Script = {
  name: "base",
  actors: ["alice", "bob"],
  steps: [
    { action: "createGroup", actor: "alice", members },
    { action: "branch", actor: "alice", members, extensions, externalTree: false, forcePath: true },
  ],
};

/** Alice is ours, bob the peer's. */
function branchWith(habits: Habits, name = "Peer", script = BRANCH.name) {
  const configs = [{ name: "branch", scripts: [{ ...BRANCH, name: script }] }];
  const launchers = [server(), peer(name, habits)];
  return play({ configs: [], launchers }, { configs, onlySuites: [1], forms: [false] });
}

/** One number for parent and branch: later calls mean the branch. */
function keepsItsNumber(): Habits {
  const renamed = new Map<unknown, unknown>();
  const later: Habits[CallName] = (pass, request) => {
    const state_id = renamed.get(request["state_id"]) ?? request["state_id"];
    return pass({ ...request, state_id });
  };
  return {
    HandleBranch: async (pass, request) => {
      const answer = await pass(request);
      renamed.set(request["state_id"], answer["state_id"]);
      return { ...answer, state_id: request["state_id"] };
    },
    Free: later,
    Protect: later,
    Unprotect: later,
    StateAuth: later,
    Export: later,
  };
}

test(
  "a branch that keeps its parent's number is not freed with the parent",
  async () => {
    const matrix = await branchWith(keepsItsNumber());
    expect(errors(matrix)).toEqual([]);
    expect(total(matrix, ["mixed"])).toMatchObject({ runs: 1, passed: 1 });
  },
  PATIENCE,
);

test(
  "an init key in a peer's own form is noted, and stops nothing",
  async () => {
    const matrix = await branchWith({
      CreateKeyPackage: async (pass, request) => {
        const answer = await pass(request);
        const key = answer["init_priv"] as Uint8Array;
        return { ...answer, init_priv: Uint8Array.of(4, key.length, ...key) };
      },
    });
    expect(errors(matrix)).toEqual([]);
    const note = "Peer: showed an init key that does not open the Welcome";
    expect(matrix.scripts[0]?.observations).toContain(note);
  },
  PATIENCE,
);

test(
  "M-INT-06 processes of one implementation are one family, whatever port their names tell",
  async () => {
    expect(familyOf("Wickr MLS on port 40515")).toBe("Wickr MLS");
    expect(familyOf("mlskit 0.1.0 :41489")).toBe("mlskit 0.1.0");
    expect(familyOf("OpenMLS")).toBe("OpenMLS");
    const configs = [{ name: "branch", scripts: [BRANCH] }];
    const launchers = [peer("Peer on port 1", {}), peer("Peer on port 2", {})];
    const changes = { configs, onlySuites: [1], forms: [false] };
    const matrix = await play({ configs: [], launchers }, changes);
    expect(matrix.servers).toEqual(["Peer"]);
    expect(total(matrix, ["mixed"]).runs).toBe(0);
    expect(total(matrix, ["peers"])).toMatchObject({ runs: 1, passed: 1 });
  },
  PATIENCE,
);

test(
  "M-INT-06 what a peer leaves out is noted with its script, and its runs are vacuous, not passed",
  async () => {
    const steps: Script["steps"] = [
      { action: "createGroup", actor: "alice", members },
      { action: "installExternalPSK", clients: ["alice", "bob"] },
      {
        action: "externalJoin",
        actor: "alice",
        joiner: "charlie",
        members,
        externalTree: false,
        removePrior: false,
        psks: [1],
      },
    ];
    const scripts = [{ name: "with_psk", actors: ["alice", "bob", "charlie"], steps }];
    const configs = [{ name: "external_join", scripts }];
    const forgetful = peer("Peer", {
      ExternalJoin: (pass, request) => pass({ ...request, psks: [] }),
    });
    const changes = { configs, onlySuites: [1], forms: [false], casts: "all" as const };
    const matrix = await play({ configs: [], launchers: [server(), forgetful] }, changes);
    expect(errors(matrix)).toEqual([]);
    expect(matrix.scripts[0]?.observations).toEqual(["Peer: left out PSKs of an external join"]);
    // Charlie is the peer in every second cast, of which one is the peer's alone.
    expect(total(matrix, ["mixed"])).toMatchObject({ runs: 6, passed: 3, vacuous: 3, failed: 0 });
    expect(isGood(matrix)).toBe(true);
  },
  PATIENCE,
);

describe("what is asked of peers and leaves no trace where the driver can read", () => {
  const without =
    (flag: string): Habit =>
    (pass, request) =>
      pass({ ...request, [flag]: false });
  const group: Script["steps"] = [{ action: "createGroup", actor: "alice", members: ["bob"] }];
  const commit: Script["steps"][number] = {
    action: "fullCommit",
    actor: "alice",
    byReference: [],
    byValue: [
      {
        type: "externalPSK",
        keyPackage: undefined,
        removed: undefined,
        pskId: 1,
        epochId: undefined,
        extensions: [],
        changeGroupId: false,
        changeCipherSuite: false,
      },
    ],
    members: ["bob"],
    joiners: [],
    leavers: [],
    forcePath: true,
    externalTree: false,
  };
  const psk: Script["steps"][number] = { action: "installExternalPSK", clients: ["alice", "bob"] };
  const reinit = {
    action: "reinit",
    proposer: "bob",
    externalProposal: undefined,
    committer: "bob",
    welcomer: "alice",
    members: [],
    changeGroupId: true,
    changeCipherSuite: false,
    extensions: [],
    forcePath: false,
    externalTree: false,
  } as const;
  const external = {
    action: "externalJoin",
    actor: "alice",
    joiner: "charlie",
    members: ["bob"],
    externalTree: true,
    removePrior: false,
    psks: [],
  } as const;
  /** With the tree that was asked for, and with the same tree in it too. */
  const both: Habit = async (pass, request) => {
    const { ratchet_tree } = await pass(request);
    return { ...(await pass({ ...request, external_tree: false })), ratchet_tree };
  };
  const bothInWelcome: Habit = async (pass, request, call) => {
    const made = await pass({ ...request, external_tree: false });
    const { state_id } = made;
    const { ratchet_tree } = await call("GroupInfo", { state_id, external_tree: true });
    return { ...made, ratchet_tree };
  };
  const path = "Peer: left out the path that was asked for";

  test.each<[what: string, steps: Script["steps"], habits: Habits, note: string]>([
    [
      "no path in an encrypted Commit that welcomes nobody",
      [...group, psk, commit],
      { Commit: without("force_path") },
      path,
    ],
    [
      "no path in the Commit of a successor",
      [...group, { ...reinit, forcePath: true }],
      { ReInitWelcome: without("force_path") },
      path,
    ],
    [
      "a tree in the Welcome to a successor",
      [...group, { ...reinit, externalTree: true }],
      { ReInitWelcome: bothInWelcome },
      "Peer: put the tree into the Welcome although it was asked for beside it",
    ],
    [
      "another id of a successor",
      [...group, { ...reinit, proposer: "alice" }],
      {
        ReInitProposal: (pass, request) => pass({ ...request, group_id: new Uint8Array(32) }),
      },
      "Peer: gave a new group another id than was asked for",
    ],
    [
      "a tree in the GroupInfo",
      [...group, external],
      { GroupInfo: both },
      "Peer: put the tree into the GroupInfo although it was asked for beside it",
    ],
  ])(
    "M-INT-06 is seen all the same, and makes the run vacuous: %s",
    async (_what, steps, habits, note) => {
      const scripts = [{ name: "hidden", actors: ["alice", "bob", "charlie"], steps }];
      const configs = [{ name: "hidden", scripts }];
      const changes = { configs, onlySuites: [1], forms: [true] };
      const matrix = await play(
        { configs: [], launchers: [peer("Peer", habits), server()] },
        changes,
      );
      expect(errors(matrix)).toEqual([]);
      expect(matrix.scripts[0]?.observations).toEqual([note]);
      expect(total(matrix)).toMatchObject({ runs: 1, vacuous: 1 });
      const honest = [peer("Peer", {}), server()];
      const good = await play({ configs: [], launchers: honest }, changes);
      expect(good.scripts[0]?.observations).toEqual([]);
      expect(total(good)).toMatchObject({ runs: 1, passed: 1 });
    },
    PATIENCE,
  );
});

test(
  "M-INT-06 a run with private handshakes in which a peer made none of its own so is vacuous",
  async () => {
    const open = { encrypt_handshake: false };
    const inTheOpen: Habits = {
      CreateGroup: (pass, request) => pass({ ...request, ...open }),
      JoinGroup: (pass, request) => pass({ ...request, ...open }),
    };
    const steps: Script["steps"] = [{ action: "createGroup", actor: "alice", members }];
    const scripts = [{ name: "private", actors: ["alice", "bob"], steps }];
    const changes = { configs: [{ name: "private", scripts }], onlySuites: [1] };
    const asCreator = { configs: [], launchers: [peer("Peer", inTheOpen), server()] };
    const asJoiner = { configs: [], launchers: [server(), peer("Peer", inTheOpen)] };
    const made = await play(asCreator, { ...changes, forms: [true] });
    expect(errors(made)).toEqual([]);
    const note = "Peer: sent a handshake that is not private";
    expect(made.scripts[0]?.observations).toEqual([note]);
    expect(total(made)).toMatchObject({ runs: 1, vacuous: 1 });
    // Nothing of its own, or nothing that was to be private.
    const joined = await play(asJoiner, { ...changes, forms: [true] });
    expect(total(joined)).toMatchObject({ runs: 1, passed: 1 });
    const asked = await play(asCreator, { ...changes, forms: [false] });
    expect(total(asked)).toMatchObject({ runs: 1, passed: 1 });
  },
  PATIENCE,
);

test(
  "M-INT-06 several peers without ours show nothing of mlskit, and are not mixed",
  async () => {
    const steps: Script["steps"] = [{ action: "createGroup", actor: "alice", members }];
    const configs = [
      { name: "pair", scripts: [{ name: "pair", actors: ["alice", "bob"], steps }] },
    ];
    const launchers = [server(), peer("Peer", {}), peer("Other", {})];
    const changes = { configs, onlySuites: [1], forms: [false], casts: "all" as const };
    const matrix = await play({ configs: [], launchers }, changes);
    expect(total(matrix, ["mixed"]).runs).toBe(4);
    expect(total(matrix, ["ours"]).runs).toBe(1);
    expect(total(matrix, ["peers"]).runs).toBe(4);
  },
  PATIENCE,
);

test(
  "M-INT-07 a server of ours that stumbles over tampered input has not refused it",
  async () => {
    const stumbling = server(undefined, (connection: Connection) => {
      const call = connection.call.bind(connection) as CallOther;
      const act = async (name: CallName, request: Message): Promise<Message> => {
        try {
          return await call(name, request);
        } catch (error) {
          if (name !== "Unprotect") throw error;
          throw new CallError(name, connection.description.name, 13, "x is not a function");
        }
      };
      connection.call = act as Connection["call"];
    });
    const configs = [{ name: "branch", scripts: [BRANCH] }];
    const changes = { configs, onlySuites: [1], forms: [false] };
    const matrix = await play({ configs: [], launchers: [stumbling, stumbling] }, changes);
    expect(errors(matrix)).toEqual([expect.stringMatching(/INTERNAL: x is not a function/)]);
    expect(isGood(matrix)).toBe(false);
    expect(isRefusal(new TypeError("x is not a function"))).toBe(false);
    expect(isRefusal(new InternalError("a bug"))).toBe(false);
    expect(isRefusal(new DecodeError("bytes are missing"))).toBe(true);
  },
  PATIENCE,
);

test(
  "M-INT-07 a peer that is provoked is not failed for what it accepts, but it is noted",
  async () => {
    const answers = new Map<string, Message>();
    const forgiving: Habits = {
      Unprotect: async (pass, request) => {
        const key = hex(request["ciphertext"] as Uint8Array);
        const known = answers.get(key);
        if (known !== undefined) return known;
        const answer = await pass(request);
        answers.set(key, answer);
        return answer;
      },
    };
    const configs = [{ name: "branch", scripts: [BRANCH] }];
    const launchers = [server(), peer("Peer", forgiving)];
    const changes = { configs, onlySuites: [1], forms: [false] };
    const note = "Peer: Unprotect accepted a replayed message";
    for (const provokesPeers of [false, true]) {
      const matrix = await play({ configs: [], launchers }, { ...changes, provokesPeers });
      expect(errors(matrix)).toEqual([]);
      expect(matrix.scripts[0]?.observations.includes(note)).toBe(provokesPeers);
    }
  },
  PATIENCE,
);

test(
  "M-INT-02 a suite that a peer lacks is told, and the others are played",
  async () => {
    const small = server(undefined, (connection: Connection) => {
      const { description } = connection;
      connection.description = {
        ...description,
        name: "P",
        family: "P",
        suites: [1],
        isOurs: false,
      };
    });
    const told: string[] = [];
    const changes = {
      configs: [{ name: "branch", scripts: [BRANCH] }],
      onlySuites: [1, 4],
      forms: [false],
      skip: (reason: string) => told.push(reason),
    };
    const matrix = await play({ configs: [], launchers: [server(), small] }, changes);
    expect(told).toEqual(["suites 4: P lacks them"]);
    expect(matrix.scripts.map(({ suite }) => suite)).toEqual([1]);
    expect(isGood(matrix)).toBe(true);
  },
  PATIENCE,
);

describe("known limits", () => {
  /** What peers said when they failed. */
  const SAID: Readonly<Record<string, readonly string[]>> = {
    "mls-go-given-tree": [
      "Unprotect at mls-go: INTERNAL: decrypting message: group: decryption failed (message): framing: decryption failed: content: ciphersuite: AEAD decryption failed: cipher: message authentication failed",
    ],
    "mls-go-truncated-tree": [
      "ExternalJoin at mls-go: INTERNAL: external commit: ratchet tree hash mismatch: computed=aad0 want=1ef1: group: tree hash mismatch",
    ],
    "mls-go-merges-at-once": [
      "HandleCommit at mls-go: INTERNAL: decrypting PrivateMessage commit: framing: decryption failed: sender_data: ciphersuite: AEAD decryption failed: cipher: message authentication failed",
    ],
    "openmls-merges-at-once": [
      "HandleCommit at OpenMLS: ABORTED: mls group error Message epoch differs from the group's epoch.",
    ],
    "mls-go-reinit-psk": [
      "HandleReInitWelcome at mlskit 0.1.0 :39409: ABORTED: the Welcome names no PSK of usage reinit",
      "HandleReInitWelcome at mlskit 0.1.0 :39409: ABORTED: this client has a group with this id [GROUP_EXISTS, rule valn1403]",
    ],
    "mls-go-reinit-leaf-key": [
      "HandleCommit at mls-go: INTERNAL: processing commit: decrypting path secret: decrypting path secret at level 2: parsing private key: crypto/ecdh: invalid private key size",
    ],
    "mls-rs-branch-signer": [
      "Unprotect at Wickr MLS on port 40515, sent by Wickr MLS on port 40515: ABORTED: Aborted with error InvalidSignature",
      "Unprotect at mlskit 0.1.0 :39409, sent by Wickr MLS on port 40515: ABORTED: the signature of the message is wrong [SIGNATURE_INVALID, rule valn1304]",
    ],
    "mls-rs-reinit-nonce": [
      "HandleReInitWelcome at mlskit 0.1.0 :39409: ABORTED: a PSK nonce must be as long as the KDF's output [PSK_INVALID, rule valn0803]",
    ],
    "mls-rs-branch-extensions": [
      "HandleBranch at Wickr MLS on port 33109: ABORTED: Aborted with error ReInitExtensionsMismatch",
    ],
    "mlspp-branch-tree": ["CreateBranch at mlspp: INTERNAL: map::at"],
  };

  test("each is told by what was said, and by nothing that another says", () => {
    expect(Object.keys(SAID).sort()).toEqual(PEER_LIMITS.map(({ id }) => id).sort());
    for (const { id, error } of PEER_LIMITS) {
      for (const [other, texts] of Object.entries(SAID)) {
        for (const text of texts) expect([id, error.test(text)]).toEqual([id, id === other]);
      }
      const sent = "sent by mlskit 0.1.0 :39409: ABORTED";
      for (const text of [
        "Unprotect at Wickr MLS: ABORTED: no group with such index.",
        // Whoever signs wrongly is to blame, not who says so.
        `Unprotect at Wickr MLS on port 40515, ${sent}: Aborted with error InvalidSignature`,
        `Unprotect at mlskit 0.1.0 :39410, ${sent}: the signature of the message is wrong [SIGNATURE_INVALID, rule valn1304]`,
      ]) {
        expect([id, error.test(text)]).toEqual([id, false]);
      }
    }
  });

  test("M-INT-06 each that counts as limited quotes the RFC, the others are said to be unsettled", () => {
    const settled = PEER_LIMITS.filter(({ evidence }) => evidence === "RFC sentence");
    for (const { id, reason } of settled) {
      expect([id, reason]).toEqual([id, expect.stringMatching(/RFC 9420 §[\d.]+: “[^”]+”/)]);
      expect([id, verdictOn(id)]).toEqual([id, "limited"]);
    }
    const others = PEER_LIMITS.filter((limit) => !settled.includes(limit)).map(({ id }) => id);
    expect(others).toEqual(["mls-rs-branch-extensions", "mlspp-branch-tree"]);
    for (const id of others) expect([id, verdictOn(id)]).toEqual([id, "unsettled"]);
  });

  const WICKR = "Wickr MLS on port 1";
  /** As it is known to be. */
  const EMPTY_EXPORTS: Habits = {
    StateAuth: async () => ({ state_auth_secret: EMPTY }),
    Export: async () => ({ exported_secret: EMPTY }),
  };
  const failing = (details: string): Habits => ({
    ...EMPTY_EXPORTS,
    Unprotect: () => Promise.reject(new CallError("Unprotect", WICKR, ABORTED, details)),
  });
  const ABORTED = 10;

  test(
    "a run that fails as listed is limited; one that fails otherwise has failed",
    async () => {
      const signer = failing("Aborted with error InvalidSignature");
      const launchers = [peer(WICKR, signer), peer("Wickr MLS on port 2", signer)];
      const configs = [{ name: "branch", scripts: [BRANCH] }];
      const changes = { configs, onlySuites: [1], forms: [false] };
      const alone = await play({ configs: [], launchers }, changes);
      expect(total(alone)).toMatchObject({ runs: 1, limited: 1, unsettled: 0, failed: 0 });
      expect(isGood(alone)).toBe(true);
      // What ours sent cannot be unreadable because of that limit.
      const ours = await branchWith(signer, WICKR);
      expect(total(ours)).toMatchObject({ runs: 1, limited: 0, failed: 1 });
      const mismatch = "Aborted with error ReInitExtensionsMismatch";
      const refuses: Habits = {
        ...EMPTY_EXPORTS,
        HandleBranch: () => Promise.reject(new CallError("HandleBranch", WICKR, ABORTED, mismatch)),
      };
      const listed = await branchWith(refuses, WICKR, "with_extensions");
      expect(errors(listed)).toEqual([`HandleBranch at ${WICKR}: ABORTED: ${mismatch}`]);
      expect(total(listed)).toMatchObject({ runs: 1, limited: 0, unsettled: 1, failed: 0 });
      const other = await branchWith(failing("no group with such index."), WICKR);
      expect(total(other)).toMatchObject({ runs: 1, limited: 0, failed: 1 });
      expect(isGood(other)).toBe(false);
    },
    PATIENCE,
  );

  test(
    "M-INT-06 a peer's empty answers are asked for all the same: nothing is compared, and a content fails",
    async () => {
      expect(EMPTY_ANSWERS.flatMap(({ calls }) => calls)).toEqual(["StateAuth", "Export"]);
      const empty = await branchWith(EMPTY_EXPORTS, WICKR);
      expect(errors(empty)).toEqual([]);
      // Of the two members, in the group and in its branch, with four labels, ours alone.
      expect(empty.scripts[0]?.checks.exports).toBe(8);
      for (const call of ["StateAuth", "Export"] as const) {
        const { [call]: _without, ...rest } = EMPTY_EXPORTS;
        const [error] = errors(await branchWith(rest, WICKR));
        expect(error).toBe(`${call} is answered, other than mls-rs-empty-exports says (${WICKR})`);
      }
    },
    PATIENCE,
  );

  test(
    "a limit that does not show any more is a failure",
    async () => {
      const matrix = await branchWith(EMPTY_EXPORTS, WICKR);
      expect(total(matrix)).toMatchObject({ runs: 1, passed: 1 });
      expect(vanishedLimits(matrix)).toEqual(["mls-rs-branch-signer"]);
      expect(isGood(matrix)).toBe(false);
    },
    PATIENCE,
  );
});
