/** What the driver sees in every epoch, with servers on whom little else would show. */
import { describe, expect, test } from "vitest";
import type { Connection } from "../src/driver/connection.ts";
import type { Launcher } from "../src/driver/processes.ts";
import type { Script, Step } from "../src/driver/script.ts";
import type { CallName } from "../src/protocol.ts";
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

function played(launchers: readonly Launcher[], steps: Script["steps"], actors = ["alice", "bob"]) {
  const scripts = [{ name: "checks", actors, steps }];
  const configs = [{ name: "checks", scripts }];
  return play({ configs: [], launchers }, { configs, onlySuites: [1], forms: [false] });
}

const group = (...members: string[]): Step => ({ action: "createGroup", actor: "alice", members });

describe("bad messages", () => {
  /** Our server, and how many of them it refused. */
  function counting() {
    const seen = { refusals: 0 };
    const launcher = server(undefined, (connection) => {
      const call = connection.call.bind(connection) as CallOther;
      const act = async (name: CallName, request: Message): Promise<Message> => {
        try {
          return await call(name, request);
        } catch (error) {
          if (name === "Unprotect") seen.refusals += 1;
          throw error;
        }
      };
      connection.call = act as Connection["call"];
    });
    return { launcher, seen };
  }

  // Three flipped bits and a replay, of two messages by the creator, or of one by somebody else.
  test.each<[place: string, at: number, refusals: number]>([
    ["created the group", 0, 4],
    ["joined first", 1, 8],
    ["joined last", 2, 8],
  ])(
    "M-INT-07 are given to ours among peers wherever it stands: where it %s",
    async (_place, at, refusals) => {
      const { launcher, seen } = counting();
      const launchers = [peer("Peer on port 1", {}), peer("Peer on port 2", {})];
      launchers.splice(at, 0, launcher);
      const actors = ["alice", "bob", "charlie"];
      const matrix = await played(launchers, [group("bob", "charlie")], actors);
      expect(errors(matrix)).toEqual([]);
      expect(seen.refusals).toBe(refusals);
    },
    PATIENCE,
  );

  test(
    "M-INT-07 are given to one of ours only, in each epoch",
    async () => {
      const [first, second] = [counting(), counting()];
      const matrix = await played([first.launcher, second.launcher], [group("bob")]);
      expect(errors(matrix)).toEqual([]);
      expect([first.seen.refusals, second.seen.refusals]).toEqual([0, 8]);
    },
    PATIENCE,
  );
});

describe("epoch authenticators", () => {
  const OLD = new Uint8Array(32);
  const keepsOld: Habit = async (pass, request) => {
    return { ...(await pass(request)), epoch_authenticator: OLD };
  };
  const stateAuth: Habits = { StateAuth: async () => ({ state_auth_secret: OLD }) };
  const frozen: Habits = {
    ...stateAuth,
    HandlePendingCommit: keepsOld,
    JoinGroup: keepsOld,
    HandleCommit: keepsOld,
    HandlePendingReInitCommit: keepsOld,
    HandleReInitCommit: keepsOld,
  };
  const both = (habits: Habits): Launcher[] => {
    return [peer("Peer on port 1", habits), peer("Peer on port 2", habits)];
  };
  const commit: Step = {
    action: "fullCommit",
    actor: "alice",
    byReference: [],
    byValue: [],
    members: ["bob"],
    joiners: [],
    leavers: [],
    forcePath: true,
    externalTree: false,
  };
  const reinit: Step = {
    action: "reinit",
    proposer: "alice",
    externalProposal: undefined,
    committer: "alice",
    welcomer: "alice",
    members: ["bob"],
    changeGroupId: true,
    changeCipherSuite: false,
    extensions: [],
    forcePath: false,
    externalTree: false,
  };

  test.each<[what: string, step: Step]>([
    ["a Commit", commit],
    ["a ReInit", reinit],
  ])(
    "M-INT-07 that all agree on are no new epoch if they are those of the one before: %s",
    async (_what, step) => {
      expect(errors(await played(both(frozen), [group("bob")]))).toEqual([]);
      expect(errors(await played(both({}), [group("bob"), step]))).toEqual([]);
      expect(errors(await played(both(frozen), [group("bob"), step]))).toEqual([
        "a new epoch has the authenticator of the one before (Peer on port 1, Peer on port 2)",
      ]);
    },
    PATIENCE,
  );

  test(
    "M-INT-07 are compared with those of the calls, even where all members say the same later",
    async () => {
      expect(errors(await played(both(stateAuth), [group("bob")]))).toEqual([
        "StateAuth differs from what the call gave that began the epoch (Peer on port 1)",
      ]);
    },
    PATIENCE,
  );
});
