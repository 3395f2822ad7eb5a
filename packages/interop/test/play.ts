/** Servers in this process, and the driver playing with them. */
import { loadConfigs, LONG_CONFIG } from "../src/driver/configs.ts";
import { Connection, familyOf } from "../src/driver/connection.ts";
import { type MatrixOptions, runMatrix } from "../src/driver/matrix.ts";
import type { Launcher } from "../src/driver/processes.ts";
import type { MatrixResult } from "../src/driver/results.ts";
import type { CallName } from "../src/protocol.ts";
import { distortionOf, type Fault } from "../src/server/broken.ts";
import { serve } from "../src/server/serve.ts";

/** Only against hanging for good: how long the work takes depends on what else the machine does. */
export const PATIENCE = 1_800_000;

/** In this process, for a process of its own takes longer to start than a script to run. */
export function server(fault?: Fault, disguise?: (connection: Connection) => void): Launcher {
  return {
    async start() {
      const distortion = fault === undefined ? undefined : distortionOf(fault);
      const running = await serve({ port: 0, distortion });
      const connection = await Connection.open(running.address);
      disguise?.(connection);
      return {
        connection,
        stop() {
          connection.close();
          running.stop();
        },
        isGone: () => false,
      };
    },
  };
}

export type Message = Record<string, unknown>;
/** The call as it is, for answers that a peer gives in its own way. */
export type Pass = (request: Message) => Promise<Message>;
/** Any other call of the same server. */
export type CallOther = (name: CallName, request: Message) => Promise<Message>;
export type Habit = (pass: Pass, request: Message, call: CallOther) => Promise<Message>;
export type Habits = Partial<Record<CallName, Habit>>;

/** Our server under another name and with a peer's habits. */
export function peer(name: string, habits: Habits): Launcher {
  return server(undefined, (connection: Connection) => {
    const call = connection.call.bind(connection) as CallOther;
    const act = (callName: CallName, request: Message): unknown => {
      const habit = habits[callName];
      const pass: Pass = (given) => call(callName, given);
      return habit === undefined ? pass(request) : habit(pass, request, call);
    };
    connection.call = act as Connection["call"];
    const { description } = connection;
    connection.description = { ...description, name, family: familyOf(name), isOurs: false };
  });
}

export interface Choice {
  readonly configs?: readonly string[];
  readonly scripts?: readonly string[];
  readonly launchers?: readonly Launcher[];
}

export function play(choice: Choice, changes: Partial<MatrixOptions> = {}): Promise<MatrixResult> {
  const { configs, scripts } = choice;
  const loaded = loadConfigs({ folder: undefined, configs, scripts });
  return runMatrix({
    configs: loaded.configs.filter(({ name }) => name !== LONG_CONFIG),
    launchers: choice.launchers ?? [server(), server()],
    casts: "one",
    onlySuites: undefined,
    forms: [false, true],
    rotates: true,
    seed: "test",
    provokesPeers: false,
    origin: { date: "2026-01-02", commit: "0123456789" },
    skip: () => undefined,
    progress: () => undefined,
    ...changes,
  });
}

export const errors = (matrix: MatrixResult): string[] =>
  matrix.scripts.flatMap(({ failures }) => failures.map(({ error }) => error));
