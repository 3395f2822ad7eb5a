/** The observer: following a group without being in it, for delivery services. */
export { observe, type ObservationStep, type ObserveOptions } from "./observe.ts";
export { decodeState, encodeState, initialState, type ObserverState } from "./observer-state.ts";
export type * from "./outcome.ts";
export {
  type GroupDescription,
  PublicGroup,
  type PublicGroupOptions,
  type StartedObserver,
} from "./public-group.ts";
