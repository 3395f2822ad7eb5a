/** Where a test may make the server lie, to see whether a driver notices. */
import type { State } from "./registry.ts";

export interface Distortion {
  /** Appears in the server's name if it is not honest. */
  readonly name: string | undefined;
  exportLabel(label: string): string;
  /** What a Commit of ours looks like when it leaves. */
  outgoingCommit(state: State, commit: Uint8Array): Promise<Uint8Array>;
  /** What a Commit of somebody else looks like to us. */
  incomingCommit(state: State, commit: Uint8Array): Promise<Uint8Array>;
}

export const honest: Distortion = {
  name: undefined,
  exportLabel: (label) => label,
  outgoingCommit: async (_state, commit) => commit,
  incomingCommit: async (_state, commit) => commit,
};
