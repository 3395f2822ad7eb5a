/** What all calls of one server share. */
import type { Extension } from "mlskit";
import type { CallName, Extension as WireExtension, RequestOf, ResponseOf } from "../protocol.ts";
import type { ActorSettings } from "./actors.ts";
import type { Distortion } from "./distortion.ts";
import type { Registry, State } from "./registry.ts";

export interface Context extends ActorSettings {
  readonly name: string;
  readonly registry: Registry;
  /** Whether our leaves and key packages carry random values that peers must ignore. */
  readonly grease: boolean;
  readonly distortion: Distortion;
}

/** The calls that one file carries out. */
export type Handlers<Names extends CallName = CallName> = {
  readonly [Name in Names]: (request: RequestOf<Name>) => Promise<ResponseOf<Name>>;
};

export function fromWire(extensions: readonly WireExtension[]): Extension[] {
  return extensions.map(({ extension_type, extension_data }) => {
    return { type: extension_type, data: extension_data };
  });
}

/** The answer of calls that enter a group. */
export function joined(
  { registry }: Context,
  state: State,
): { readonly state_id: number; readonly epoch_authenticator: Uint8Array } {
  return {
    state_id: registry.add(state),
    epoch_authenticator: state.group.epochAuthenticator,
  };
}

export function newState(actor: State["actor"], group: State["group"], encrypt: boolean): State {
  return { kind: "state", actor, group, encrypt, proposals: new Map() };
}
