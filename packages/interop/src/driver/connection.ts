/** One server, as the driver sees it. */
import * as grpc from "@grpc/grpc-js";
import type { CallName, RequestOf, ResponseOf } from "../protocol.ts";
import { CHANNEL_OPTIONS, clientConstructor } from "../service-definition.ts";

/** A call that the server answered with an error, or did not answer. */
export class CallError extends Error {
  readonly call: CallName;
  readonly server: string;
  readonly code: grpc.status;
  readonly details: string;

  constructor(call: CallName, server: string, code: grpc.status, details: string) {
    super(`${call} at ${server}: ${grpc.status[code]}: ${details}`);
    this.call = call;
    this.server = server;
    this.code = code;
    this.details = details;
  }

  /** The same, and whose message it was about: either of the two may be to blame. */
  sentBy(sender: string): CallError {
    return new CallError(this.call, `${this.server}, sent by ${sender}`, this.code, this.details);
  }

  /** Whether the server refused, rather than being slow, gone or without this call. */
  get isRefusal(): boolean {
    const { DEADLINE_EXCEEDED, UNAVAILABLE, UNIMPLEMENTED, CANCELLED } = grpc.status;
    return ![DEADLINE_EXCEEDED, UNAVAILABLE, UNIMPLEMENTED, CANCELLED].includes(this.code);
  }

  /** Whether nobody was there, or not any more. */
  get isUnanswered(): boolean {
    return this.code === grpc.status.UNAVAILABLE;
  }

  /** Ours tells apart what it refuses and what went wrong in it. */
  get isRefusalOfOurs(): boolean {
    return this.code === grpc.status.ABORTED;
  }
}

export interface ServerDescription {
  /** As the server calls itself. */
  readonly name: string;
  /** Of all processes of one build alike: what results are counted by. */
  readonly family: string;
  readonly suites: readonly number[];
  /** Held to everything that the driver can check, not only to what the harness asks. */
  readonly isOurs: boolean;
}

const MINUTE = 60_000;

export class Connection {
  readonly #client: grpc.Client;
  readonly #methods: grpc.ServiceDefinition;
  readonly address: string;
  description: ServerDescription = { name: "", family: "", suites: [], isOurs: false };

  private constructor(address: string) {
    const Service = clientConstructor();
    this.address = address;
    this.#methods = Service.service;
    this.#client = new Service(address, grpc.credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** Connects and asks who is there. */
  static async open(address: string): Promise<Connection> {
    const connection = new Connection(address);
    await connection.#ready();
    const { name } = await connection.call("Name", {});
    const { ciphersuites } = await connection.call("SupportedCiphersuites", {});
    const family = familyOf(name);
    const isOurs = isOursByName(name);
    connection.description = { name, family, suites: [...ciphersuites].sort(ascending), isOurs };
    return connection;
  }

  call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>> {
    const method = this.#methods[name];
    if (method === undefined) throw new Error(`the service has no call ${name}`);
    const { path, requestSerialize, responseDeserialize } = method;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + 2 * MINUTE },
        (error: grpc.ServiceError | null, response?: unknown) => {
          if (error === null) resolve(response as ResponseOf<Name>);
          else reject(new CallError(name, this.description.name, error.code, error.details));
        },
      );
    });
  }

  /** Whether it was cut and could not be made again; asking makes it try. */
  get isLost(): boolean {
    const state = this.#client.getChannel().getConnectivityState(true);
    return state === grpc.connectivityState.TRANSIENT_FAILURE;
  }

  close(): void {
    this.#client.close();
  }

  #ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + 2 * MINUTE, (error) => {
        if (error === undefined) resolve();
        else reject(new Error(`nobody answers at ${this.address}: ${error.message}`));
      });
    });
  }
}

/** Without the port, which tells processes apart and not implementations. */
export function familyOf(name: string): string {
  return name.replace(/\s*(:|on port )\d+$/, "");
}

export function isOursByName(name: string): boolean {
  return name.startsWith("mlskit");
}

function ascending(a: number, b: number): number {
  return a - b;
}
