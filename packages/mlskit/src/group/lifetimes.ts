/** How the lifetimes of leaves are judged. RFC 9420 §7.2, §7.3. */
import type { LifetimeRules } from "../tree/leaf-node-validation.ts";
import type { Environment } from "./environment.ts";

type Clock = Pick<Environment, "now" | "limits">;

/** Of leaves in what we send: rules valn0105, mk-55. */
export function sentLifetimes({ now, limits }: Clock): LifetimeRules {
  return { now, mode: "sending", maximum: limits.maximumLifetime };
}

/** Of leaves that others sent: rules valn0106 and, on request, mk-55. */
export function receivedLifetimes({ now, limits }: Clock): LifetimeRules {
  if (!limits.strictLifetimes) return { now, mode: "notice" };
  return { now, mode: "strict", maximum: limits.maximumLifetime };
}
