/** What must hold in every epoch: one secret state, and everybody reads everybody. */
import { hex, sameBytes, utf8 } from "../bytes.ts";
import type { CallName } from "../protocol.ts";
import { CallError } from "./connection.ts";
import { emptyAnswersOf } from "./peer-limits.ts";
import { refused, tamperings } from "./tampering.ts";
import { CheckError, type World } from "./world.ts";

/** The new epoch of these members, who gave these authenticators when they entered it. */
export async function checkEpoch(
  world: World,
  members: readonly string[],
  authenticators: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  world.members = members;
  world.tally.epochs += 1;
  checkEntered(world, authenticators);
  await compareStates(world, members, authenticators);
  await compareExports(world, members);
  await exchangeMessages(world, members);
}

/** What members gave when they entered an epoch: all the same, and something new. */
export function checkEntered(world: World, authenticators: ReadonlyMap<string, Uint8Array>): void {
  compare(world, "epoch authenticators differ", authenticators);
  const [entered] = authenticators.values();
  if (entered === undefined) return;
  if (world.authenticator !== undefined && sameBytes(entered, world.authenticator)) {
    const servers = world.serversOf([...authenticators.keys()]);
    throw new CheckError("a new epoch has the authenticator of the one before", servers);
  }
  world.authenticator = entered;
}

function compare(world: World, complaint: string, values: ReadonlyMap<string, Uint8Array>): void {
  const [first, ...rest] = [...values];
  for (const [actor, value] of rest) {
    world.tally.authenticators += 1;
    if (first !== undefined && !sameBytes(first[1], value)) {
      throw new CheckError(complaint, world.serversOf([first[0], actor]));
    }
  }
}

async function compareStates(
  world: World,
  members: readonly string[],
  authenticators: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const values = new Map<string, Uint8Array>();
  for (const actor of members) {
    const { state_auth_secret } = await world.call(actor, "StateAuth", {
      state_id: world.state(actor),
    });
    if (!isAnswered(world, actor, "StateAuth", state_auth_secret)) continue;
    values.set(actor, state_auth_secret);
    const entered = authenticators.get(actor);
    if (entered === undefined) continue;
    world.tally.authenticators += 1;
    if (sameBytes(entered, state_auth_secret)) continue;
    const complaint = "StateAuth differs from what the call gave that began the epoch";
    throw new CheckError(complaint, world.serversOf([actor]));
  }
  compare(world, "StateAuth differs", values);
}

/** Whether there is something to compare; a peer that is listed as giving nothing must do so. */
function isAnswered(world: World, actor: string, call: CallName, answer: Uint8Array): boolean {
  const { description } = world.server(actor);
  const listed = emptyAnswersOf(description, call);
  if (listed === undefined) return true;
  if (answer.length === 0) return false;
  throw new CheckError(`${call} is answered, other than ${listed.id} says`, [description.name]);
}

const LABELS: readonly (readonly [label: string, context: string, length: number])[] = [
  ["interop one", "", 32],
  ["interop two", "", 32],
  ["interop one", "a context", 32],
  ["interop two", "another context", 77],
];

async function compareExports(world: World, members: readonly string[]): Promise<void> {
  const chosen = members.length > LARGE ? LABELS.slice(-1) : LABELS;
  const different = new Set<string>();
  for (const [label, context, key_length] of chosen) {
    const values = new Map<string, Uint8Array>();
    for (const actor of members) {
      const { exported_secret } = await world.call(actor, "Export", {
        state_id: world.state(actor),
        label,
        context: utf8(context),
        key_length,
      });
      if (!isAnswered(world, actor, "Export", exported_secret)) continue;
      world.tally.exports += 1;
      if (exported_secret.length !== key_length) {
        throw new CheckError("Export has the wrong length", world.serversOf([actor]));
      }
      values.set(actor, exported_secret);
    }
    compare(world, `Export differs for "${label}"`, values);
    const [value] = values.values();
    if (value !== undefined) different.add(hex(value.subarray(0, 32)));
  }
  if (different.size > 0 && different.size < chosen.length) {
    throw new CheckError("Export does not depend on its arguments", world.serversOf(members));
  }
}

/** More members than this, and not every pair can talk in every epoch. */
const LARGE = 12;

/** Everybody to everybody; in large groups each to the next, and the first to all. */
async function exchangeMessages(world: World, members: readonly string[]): Promise<void> {
  // One is given bad messages, by whoever writes to it first: the creator only if no other may be.
  let provoked = world.firstToProvoke([...members.slice(1), ...members.slice(0, 1)]);
  for (const [at, sender] of members.entries()) {
    const isFirst = at === 0;
    const next = members[(at + 1) % members.length];
    const receivers =
      members.length > LARGE && !isFirst
        ? members.filter((actor) => actor === next && actor !== sender)
        : members.filter((actor) => actor !== sender);
    if (receivers.length === 0) continue;
    const messages = [await protect(world, sender)];
    if (isFirst) messages.push(await protect(world, sender));
    for (const [i, receiver] of receivers.entries()) {
      // The first to open a pair opens it in the wrong order.
      const order = i === 0 ? [...messages].reverse() : messages;
      const isProvoked = receiver === provoked;
      for (const message of order) await unprotect(world, receiver, message, isProvoked);
      if (isProvoked) provoked = undefined;
    }
  }
}

interface Message {
  readonly sender: string;
  readonly authenticatedData: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

async function protect(world: World, sender: string): Promise<Message> {
  const [authenticatedData, plaintext] = [world.draw(9), world.draw(40)];
  const { ciphertext } = await world.call(sender, "Protect", {
    state_id: world.state(sender),
    authenticated_data: authenticatedData,
    plaintext,
  });
  return { sender, authenticatedData, plaintext, ciphertext };
}

async function unprotect(
  world: World,
  receiver: string,
  message: Message,
  isProvoked: boolean,
): Promise<void> {
  const request = { state_id: world.state(receiver), ciphertext: message.ciphertext };
  if (isProvoked) {
    for (const ciphertext of tamperings(message.ciphertext)) {
      const what = "a message with a flipped bit";
      await refused(world, receiver, "Unprotect", { ...request, ciphertext }, what);
    }
  }
  const opened = await world.call(receiver, "Unprotect", request).catch((error: unknown) => {
    const [sender = ""] = world.serversOf([message.sender]);
    throw error instanceof CallError ? error.sentBy(sender) : error;
  });
  world.tally.messages += 1;
  if (
    !sameBytes(opened.plaintext, message.plaintext) ||
    !sameBytes(opened.authenticated_data, message.authenticatedData)
  ) {
    const servers = world.serversOf([message.sender, receiver]);
    throw new CheckError("a message was opened to something else", servers);
  }
  if (isProvoked) await refused(world, receiver, "Unprotect", request, "a replayed message");
}
