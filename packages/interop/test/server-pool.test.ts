/** Servers that end while the driver plays with them. */
import { setTimeout as pause } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { CallError, type Connection } from "../src/driver/connection.ts";
import { type Launcher, listening } from "../src/driver/processes.ts";
import { total } from "../src/driver/results.ts";
import type { Script } from "../src/driver/script.ts";
import type { CallName } from "../src/protocol.ts";
import { serve } from "../src/server/serve.ts";
import { type CallOther, errors, type Message, PATIENCE, peer, play, server } from "./play.ts";

const PAIR: Script = {
  name: "pair",
  actors: ["alice", "bob"],
  steps: [{ action: "createGroup", actor: "alice", members: ["bob"] }],
};
const INFO: Script = {
  name: "info",
  actors: PAIR.actors,
  steps: [...PAIR.steps, { action: "groupInfo", actor: "bob", externalTree: false }],
};
const UNAVAILABLE = 14;

interface Mortal extends Launcher {
  readonly starts: number;
}

/** Its first server ends in this call, which is known a little after it fell silent. */
function mortal(launcher: Launcher, lastCall: CallName): Mortal {
  let starts = 0;
  return {
    get starts() {
      return starts;
    },
    async start() {
      const launched = await launcher.start();
      starts += 1;
      const isMortal = starts === 1;
      const { connection } = launched;
      const call = connection.call.bind(connection) as CallOther;
      let end: number | undefined;
      const act = async (name: CallName, request: Message): Promise<Message> => {
        if (isMortal && name === lastCall) end ??= Date.now();
        if (end === undefined) return call(name, request);
        throw new CallError(name, connection.description.name, UNAVAILABLE, "it is gone");
      };
      connection.call = act as Connection["call"];
      const isGone = (): boolean => end !== undefined && Date.now() - end > 100;
      return { connection, stop: () => launched.stop(), isGone };
    },
  };
}

test(
  "M-INT-02 a peer that ends fails its run, and fresh servers play the rest of the script",
  async () => {
    const dying = mortal(peer("Peer", {}), "Unprotect");
    const configs = [{ name: "config", scripts: [PAIR] }];
    const changes = { configs, casts: "all", rotates: false, onlySuites: [1] } as const;
    const matrix = await play({ configs: [], launchers: [server(), dying] }, changes);
    const error = /^Unprotect at Peer, sent by mlskit .*: UNAVAILABLE: it is gone$/;
    expect(errors(matrix)).toEqual([expect.stringMatching(error)]);
    expect(total(matrix)).toMatchObject({ runs: 8, passed: 7, failed: 1 });
    expect(dying.starts).toBe(2);
  },
  PATIENCE,
);

test(
  "M-INT-02 where a server of ours ends, the driver ends too, and what it played last is not told",
  async () => {
    const configs = [{ name: "config", scripts: [PAIR, INFO, PAIR] }];
    const told: string[] = [];
    const matrix = play(
      { configs: [], launchers: [mortal(server(), "GroupInfo"), peer("Peer", {})] },
      {
        configs,
        onlySuites: [1],
        forms: [false],
        progress: ({ script, counts }) => told.push(`${script} ${JSON.stringify(counts)}`),
      },
    );
    await expect(matrix).rejects.toThrow(/^mlskit \S+ :\d+ has ended/);
    expect(told).toEqual([expect.stringMatching(/^pair .*"runs":1,"passed":1,.*"failed":0/)]);
  },
  PATIENCE,
);

test(
  "M-INT-02 what another job plays when the driver ends is not told either",
  async () => {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const dying = mortal(server(), "GroupInfo");
    const waiting = server(undefined, (connection) => {
      const call = connection.call.bind(connection) as CallOther;
      const act = async (name: CallName, request: Message): Promise<Message> => {
        if (name === "Protect") await ended;
        return call(name, request);
      };
      connection.call = act as Connection["call"];
    });
    // Of the two jobs the first plays the first script.
    const jobs = [waiting, dying];
    const launcher: Launcher = { start: () => (jobs.shift() ?? server()).start() };
    const told: string[] = [];
    const matrix = play(
      { configs: [], launchers: [launcher] },
      {
        configs: [{ name: "config", scripts: [PAIR, INFO, PAIR] }],
        onlySuites: [1],
        forms: [false],
        jobs: 2,
        progress: ({ script }) => told.push(script),
      },
    );
    await expect(matrix).rejects.toThrow(/ has ended/);
    end();
    await pause(200);
    expect(told).toEqual([]);
    expect(jobs).toEqual([]);
  },
  PATIENCE,
);

test("somebody else's server is gone as soon as nobody answers at its address", async () => {
  const running = await serve({ port: 0 });
  const { connection, isGone, stop } = await listening({
    at: running.address,
    version: undefined,
  }).start();
  expect(isGone()).toBe(false);
  running.stop();
  await expect(connection.call("Name", {})).rejects.toMatchObject({ isUnanswered: true });
  await vi.waitFor(() => expect(isGone()).toBe(true), { timeout: 10_000 });
  stop();
});
