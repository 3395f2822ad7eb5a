/** The driver against servers of ours, and against servers that are wrong on purpose. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadConfigs, LONG_CONFIG, OFFICIAL_FOLDER } from "../src/driver/configs.ts";
import { Connection } from "../src/driver/connection.ts";
import { isGood, total } from "../src/driver/results.ts";
import { serviceDefinition } from "../src/service-definition.ts";
import { FAULTS, type Fault } from "../src/server/broken.ts";
import { serve } from "../src/server/serve.ts";
import { errors, PATIENCE, play, server } from "./play.ts";

test(
  "M-INT-01 the server carries out all 34 calls of the service",
  async () => {
    const running = await serve({ port: 0 });
    const connection = await Connection.open(running.address);
    const names = Object.keys(serviceDefinition());
    expect(names).toHaveLength(34);
    for (const name of names) {
      // Nothing is there that these could refer to: they may refuse, but they must exist.
      const call = connection.call(name as "Free", { state_id: 999 });
      const answer = await call.then(
        () => "answered",
        (error: Error) => error.message,
      );
      expect(answer).not.toMatch(/UNIMPLEMENTED/);
    }
    connection.close();
    running.stop();
  },
  PATIENCE,
);

const isOfficial = existsSync(OFFICIAL_FOLDER);
/** With the number of their scripts. */
const CONFIGS: Readonly<Record<string, number>> = {
  application: 3,
  branch: 4,
  commit: 9,
  external_join: 5,
  external_proposals: 8,
  reinit: 6,
  welcome_join: 4,
};

describe.runIf(isOfficial)("the official scripts", () => {
  // All suites and forms, and peers: `npm run interop`. Those with larger keys take long.
  test.each(Object.entries(CONFIGS))(
    "M-INT-03 %s passes with ourselves, suites and handshake forms in turn",
    async (config, scripts) => {
      const matrix = await play({ configs: [config] }, { onlySuites: [1, 2, 3] });
      expect(errors(matrix)).toEqual([]);
      expect(isGood(matrix)).toBe(true);
      expect(total(matrix).runs).toBe(scripts);
    },
    PATIENCE,
  );

  // The whole of it takes minutes: `npm run interop -- --self --config deep_random`.
  test(
    "M-INT-04 the first epochs of deep_random pass with ourselves, in both handshake forms",
    async () => {
      const choice = { folder: undefined, configs: [LONG_CONFIG], scripts: undefined };
      const [config] = loadConfigs(choice).configs;
      const [script] = config?.scripts ?? [];
      if (script === undefined) throw new Error("there is no such script");
      const scripts = [{ ...script, steps: script.steps.slice(0, 28) }];
      const configs = [{ name: LONG_CONFIG, scripts }];
      const matrix = await play({ configs: [] }, { configs, rotates: false, onlySuites: [1] });
      expect(errors(matrix)).toEqual([]);
      expect(isGood(matrix)).toBe(true);
      expect(total(matrix).runs).toBe(2);
      expect(matrix.scripts[0]?.checks.epochs).toBe(4);
    },
    PATIENCE,
  );
});

test(
  "M-INT-07 our scripts pass: races, late messages, removal, signers, trees apart",
  async () => {
    const matrix = await play({ configs: ["strict"] }, { onlySuites: [1, 2, 3] });
    expect(errors(matrix)).toEqual([]);
    expect(isGood(matrix)).toBe(true);
    for (const { checks } of matrix.scripts) {
      expect(Math.min(...Object.values(checks))).toBeGreaterThan(0);
    }
  },
  PATIENCE,
);

describe("a server that is wrong on purpose", () => {
  const complaints: Record<Fault, RegExp> = {
    exporter: /Export differs/,
    membership: /HandleCommit accepted a Commit with a flipped bit/,
    confirmation: /TAG_INVALID|confirmation tag/,
  };
  for (const fault of FAULTS) {
    test(
      `M-INT-07 is caught: ${fault}`,
      async () => {
        const launchers = [server(), server(fault)];
        const options = { casts: "all", rotates: false, onlySuites: [1], forms: [false] } as const;
        const scripts = ["two_epochs_late"];
        const matrix = await play({ configs: ["strict"], scripts, launchers }, options);
        expect(isGood(matrix)).toBe(false);
        expect(errors(matrix).join("\n")).toMatch(complaints[fault]);
      },
      PATIENCE,
    );
  }
});

test(
  "M-INT-06 runs are counted apart: several stacks, ours alone, a peer alone",
  async () => {
    const launchers = [server(), server("exporter")];
    const options = { casts: "all", rotates: false, onlySuites: [1], forms: [false] } as const;
    const scripts = ["two_epochs_late"];
    const matrix = await play({ configs: ["strict"], scripts, launchers }, options);
    expect(matrix.servers).toEqual([
      expect.stringMatching(/^mlskit \d+\.\d+\.\d+$/),
      expect.stringMatching(/^mlskit \d+\.\d+\.\d+ broken-exporter$/),
    ]);
    expect(total(matrix, ["mixed"])).toMatchObject({ runs: 2, failed: 2 });
    expect(total(matrix, ["ours"])).toMatchObject({ runs: 2, passed: 2 });
    expect(matrix.expectedRuns).toBe(4);
  },
  PATIENCE,
);
