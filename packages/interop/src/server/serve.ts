/** A server of the harness's service around mlskit. */
import { createRequire } from "node:module";
import * as grpc from "@grpc/grpc-js";
import { DEFAULT_CONFIG, defaultProvider, type Padding } from "mlskit";
import type { CallName } from "../protocol.ts";
import { CHANNEL_OPTIONS, serviceDefinition } from "../service-definition.ts";
import { commitCalls } from "./commit-calls.ts";
import type { Context, Handlers } from "./context.ts";
import { type Distortion, honest } from "./distortion.ts";
import { externalCalls } from "./external-calls.ts";
import { groupCalls } from "./group-calls.ts";
import { describeError, isRefusal } from "./outcomes.ts";
import { proposalCalls } from "./proposal-calls.ts";
import { Registry, UnknownIdError } from "./registry.ts";
import { successorCalls } from "./successor-calls.ts";

export interface ServerOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default: yes. */
  readonly grease?: boolean | undefined;
  /** Default: as the library does it. */
  readonly padding?: Padding | undefined;
  readonly distortion?: Distortion | undefined;
}

export interface RunningServer {
  readonly port: number;
  readonly address: string;
  stop(): void;
}

export async function serve(options: ServerOptions): Promise<RunningServer> {
  const { host = "127.0.0.1", distortion = honest } = options;
  const server = new grpc.Server(CHANNEL_OPTIONS);
  const context: Context & { name: string } = {
    name: "",
    provider: defaultProvider(),
    registry: new Registry(),
    grease: options.grease ?? true,
    padding: options.padding ?? DEFAULT_CONFIG.padding,
    distortion,
  };
  server.addService(serviceDefinition(), implementation(allCalls(context)));
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`${host}:${options.port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  context.name = nameOf(port, distortion);
  return { port, address: `${host}:${port}`, stop: () => server.forceShutdown() };
}

function allCalls(context: Context): Handlers {
  return {
    ...groupCalls(context),
    ...proposalCalls(context),
    ...commitCalls(context),
    ...successorCalls(context),
    ...externalCalls(context),
  };
}

/** Unique for each build and port, for results know clients by their names only. */
function nameOf(port: number, { name }: Distortion): string {
  const { version } = createRequire(import.meta.url)("mlskit/package.json") as { version: string };
  return `mlskit ${version}${name === undefined ? "" : ` ${name}`} :${port}`;
}

/** All calls go through one queue: handlers await, and what they change must not interleave. */
function implementation(handlers: Handlers): grpc.UntypedServiceImplementation {
  let last: Promise<unknown> = Promise.resolve();
  const table: grpc.UntypedServiceImplementation = {};
  for (const name of Object.keys(handlers) as CallName[]) {
    const handler = handlers[name] as (request: unknown) => Promise<unknown>;
    const handle: grpc.handleUnaryCall<unknown, unknown> = (call, answer) => {
      last = last.then(async () => {
        try {
          answer(null, await handler(ownBytes(call.request)));
        } catch (error) {
          answer({ code: codeOf(error), details: describeError(error) });
        }
      });
    };
    table[name] = handle;
  }
  return table;
}

function codeOf(error: unknown): grpc.status {
  if (error instanceof UnknownIdError) return grpc.status.NOT_FOUND;
  return isRefusal(error) ? grpc.status.ABORTED : grpc.status.INTERNAL;
}

/** Buffers are views on a memory that gRPC may use again. */
function ownBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(ownBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, ownBytes(field)]));
}
