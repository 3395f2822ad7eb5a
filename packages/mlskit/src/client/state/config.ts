/** How one client treats one group. Data only, stored with the group; defaults are a contract. */
import { DEFAULT_LIMITS } from "../../group/environment.ts";
import type { Padding } from "./padding.ts";

/** Which wire format handshake messages of members use, and which are accepted. */
export interface HandshakePolicy {
  readonly send: "private" | "public";
  readonly accept: "private" | "public" | "both";
}

/** When our own keys are to be renewed. Bounds of the application; what is left out does not count. */
export interface UpdatePolicy {
  /** Application messages sent since our last update. */
  readonly messages?: number | undefined;
  /** Seconds since our last update. */
  readonly seconds?: number | undefined;
  /** A member was removed by somebody else since. */
  readonly removal?: boolean | undefined;
}

export const DEFAULT_UPDATE_POLICY: UpdatePolicy = {
  messages: 1000,
  seconds: 7 * 86_400,
  removal: true,
};

export interface GroupConfig {
  readonly handshake: HandshakePolicy;
  readonly padding: Padding;
  /** Epochs whose late messages can still be read. */
  readonly pastEpochs: number;
  /** And for how long, in seconds. */
  readonly pastEpochLifetime: number;
  /** Resumption PSKs of past epochs that are kept. */
  readonly resumptionPsks: number;
  readonly outOfOrderTolerance: number;
  readonly maximumForwardDistance: number;
  readonly maximumSkippedKeys: number;
  /**
   * How many of our own generations the store is told of at once, 1 to 16; more is taken as 16. What
   * is left of a block is skipped after a restart, and when another process of ours has sent; within
   * one, sending writes nothing. The more is skipped, the fewer late messages receivers can tolerate.
   */
  readonly generationBlock: number;
  /** Whether the store keeps the tree; if not, the client's `tree` option hands it in. */
  readonly storedTree: boolean;
  /** Whether Welcomes and GroupInfos carry the tree. */
  readonly ratchetTree: boolean;
  /** Whether GroupInfos invite external commits, and whether they are accepted. */
  readonly externalCommits: boolean;
  /** Merge Commits of others, and store their proposals, as part of processing them. */
  readonly autoAccept: boolean;
  /** When an event reminds of renewing our own keys. */
  readonly updatePolicy: UpdatePolicy;
  readonly maximumMessageSize: number;
  readonly pendingProposalsPerSender: number;
  readonly pendingProposals: number;
  /** Messages that came too early: how many are kept, how much, and for how many seconds. */
  readonly bufferedMessages: number;
  readonly bufferedBytes: number;
  readonly bufferedSeconds: number;
  /**
   * Commits whose Welcomes are kept until {@link Group.handedOut} says that they have arrived, and
   * bytes of these. Of more, the oldest go; the newest stays whatever its size, unless it is 0 Commits.
   */
  readonly handOuts: number;
  readonly handOutBytes: number;
}

export const DEFAULT_CONFIG: GroupConfig = {
  handshake: { send: "private", accept: "both" },
  padding: { type: "padme", floor: 128 },
  pastEpochs: 3,
  pastEpochLifetime: 7 * 86_400,
  resumptionPsks: 8,
  outOfOrderTolerance: DEFAULT_LIMITS.outOfOrderTolerance,
  maximumForwardDistance: DEFAULT_LIMITS.maximumForwardDistance,
  maximumSkippedKeys: DEFAULT_LIMITS.maximumSkippedKeys,
  generationBlock: 1,
  storedTree: true,
  ratchetTree: true,
  externalCommits: true,
  autoAccept: false,
  updatePolicy: DEFAULT_UPDATE_POLICY,
  maximumMessageSize: 2 ** 20,
  pendingProposalsPerSender: 64,
  pendingProposals: 1024,
  bufferedMessages: 256,
  bufferedBytes: 4 * 2 ** 20,
  bufferedSeconds: 7 * 86_400,
  handOuts: 16,
  handOutBytes: 4 * 2 ** 20,
};
