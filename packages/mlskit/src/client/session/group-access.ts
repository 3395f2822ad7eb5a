/** The way from a group as applications see it to its state. */
import type { MaybePromise } from "../../crypto/index.ts";
import type { DecodingRules } from "../../group/environment.ts";
import type { GroupState } from "../state/group-state.ts";
import type { GroupSession } from "./session.ts";

/** How a `Group` reaches its state: through its client, or inside a transaction. */
export interface GroupAccess {
  /** Of the client. */
  readonly options: DecodingRules & {
    /** Milliseconds that the transport may take; undefined: any. */
    readonly transportTimeout: number | undefined;
  };
  /** Whether nothing is written before the end of a transaction. */
  readonly isTransaction: boolean;
  peek(): GroupState;
  /** Of our application ratchet, in the state that {@link peek} shows. */
  nextGeneration(): number;
  operate<T>(operation: (session: GroupSession) => MaybePromise<T>): Promise<T>;
}
