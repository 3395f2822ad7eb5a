/**
 * What is known to be missing at peers, with the version it was seen at. A failure that fits is
 * counted apart; a limit that does not show where it should is a failure too, so that this list
 * stays true.
 */
import type { CallName } from "../protocol.ts";
import type { ServerDescription } from "./connection.ts";

export interface PeerLimit {
  readonly id: string;
  /** Matches the server's name. */
  readonly peer: RegExp;
  /** At which it was seen. */
  readonly version: string;
  readonly reason: string;
  /** A run that cannot succeed because of it. */
  applies(run: LimitedRun): boolean;
}

/** What is known of a run before it starts. */
export interface LimitedRun {
  readonly config: string;
  readonly script: string;
  readonly encrypt: boolean;
  /** Whether this peer plays the actor. */
  isPeer(actor: string): boolean;
}

export const PEER_LIMITS: readonly PeerLimit[] = [
  {
    id: "openmls-branch-calls",
    peer: /openmls/i,
    version: "main 79ebb5b",
    reason: "main has no GroupContextExtensions, external proposals, ReInit and branches",
    applies: ({ config }) => ["branch", "reinit", "external_proposals"].includes(config),
  },
];

/** Calls that a peer answers without content. */
const EMPTY_ANSWERS: readonly { readonly peer: RegExp; readonly calls: readonly CallName[] }[] = [
  { peer: /mls-?rs/i, calls: ["StateAuth", "Export"] },
];

export function hasWorking({ name }: ServerDescription, call: CallName): boolean {
  return !EMPTY_ANSWERS.some(({ peer, calls }) => peer.test(name) && calls.includes(call));
}
