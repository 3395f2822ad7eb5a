/** What a member must refuse, and still be able to go on. */
import { flipped } from "../bytes.ts";
import type { CallName, RequestOf } from "../protocol.ts";
import { CallError } from "./connection.ts";
import { CheckError, type World } from "./world.ts";

/** The same bytes, each time with another bit flipped: at the end, near it, and in the middle. */
export function tamperings(bytes: Uint8Array): Uint8Array[] {
  const positions = [-1, -40, bytes.length >> 1].filter((at) => Math.abs(at) < bytes.length);
  return positions.map((at) => flipped(bytes, at));
}

/** The call must be answered with an error; what peers let pass is noted. */
export async function refused<Name extends CallName>(
  world: World,
  actor: string,
  name: Name,
  request: RequestOf<Name>,
  what: string,
): Promise<void> {
  if (!world.mayProvoke(actor)) return;
  try {
    await world.call(actor, name, request);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    if (!(world.isOurs(actor) ? error.isRefusalOfOurs : error.isRefusal)) throw error;
    world.tally.refusals += 1;
    return;
  }
  const complaint = `${name} accepted ${what}`;
  const { name: server, family } = world.server(actor).description;
  if (world.isOurs(actor)) throw new CheckError(complaint, [server]);
  world.observations.add(`${family}: ${complaint}`);
}
