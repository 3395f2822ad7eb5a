/** Whether what was asked for was done: wire format, path, tree. */
import { hex } from "../bytes.ts";
import type { Extension } from "../protocol.ts";
import { decodeQuietly } from "./decode-quietly.ts";
import type { Invitation } from "./invitation.ts";
import { openedWelcome } from "./open-welcome.ts";
import type { World } from "./world.ts";

/** The wire format of a proposal or a Commit. */
export function checkForm(
  world: World,
  author: string,
  bytes: Uint8Array,
  expected: "public" | "asConfigured",
): void {
  const isPrivate = expected === "asConfigured" && world.setting.encrypt;
  const form = isPrivate ? "private" : "public";
  world.report(author, bytes[3] === (isPrivate ? 2 : 1), `sent a handshake that is not ${form}`);
}

/** A tree comes beside a message exactly when it was asked for. */
export function checkTreeBeside(
  world: World,
  actor: string,
  tree: Uint8Array,
  wasAsked: boolean,
): void {
  const isThere = tree.length > 0;
  if (wasAsked) world.requireDone(actor, isThere, "did not hand out the tree that was asked for");
  else world.report(actor, !isThere, "handed out a tree that nobody asked for");
}

/** A Commit has a path if it was asked for; visible in public handshakes only. */
export function checkPath(
  world: World,
  actor: string,
  commit: Uint8Array,
  forcePath: boolean,
): void {
  const hasPath = pathOf(commit);
  if (!forcePath || hasPath === undefined) return;
  world.requireDone(actor, hasPath, "left out the path that was asked for");
}

/** An external Commit carries the PSKs and the removal that were asked for; it is always public. */
export function checkExternalCommit(
  world: World,
  joiner: string,
  commit: Uint8Array,
  { psks, removePrior }: { readonly psks: readonly number[]; readonly removePrior: boolean },
): void {
  const types = proposalTypes(commit);
  if (types === undefined) return;
  const count = types.filter((type) => type === "psk").length;
  world.requireDone(joiner, count === psks.length, "left out PSKs of an external join");
  const removes = types.includes("remove");
  world.requireDone(joiner, removes === removePrior, "left its prior leaf in place");
}

/** The group that follows another has the extensions that were asked for. */
export async function checkExtensions(
  world: World,
  creator: string,
  expected: readonly Extension[],
  asked: string = creator,
): Promise<void> {
  const request = { state_id: world.state(creator), external_tree: true };
  const { group_info } = await world.call(creator, "GroupInfo", request);
  const decoded = decodeQuietly(group_info);
  if (decoded?.wireFormat !== "groupInfo") return;
  const text = (type: number, data: Uint8Array): string => `${type} ${hex(data)}`;
  const found = decoded.message.groupContext.extensions.map(({ type, data }) => text(type, data));
  const wanted = expected.map(({ extension_type: type, extension_data: data }) => text(type, data));
  const isRight = found.sort().join() === wanted.sort().join();
  world.requireDone(asked, isRight, "gave a new group other extensions than were asked for");
}

/** What a Welcome says about path and tree, with the keys that the joiner showed. */
export async function checkWelcome(
  world: World,
  joiner: string,
  { sponsor, welcome, commit, ratchetTree, forcePath }: Invitation,
): Promise<void> {
  const opened = await openedWelcome(world, joiner, welcome);
  if (opened === undefined) return;
  const hasPath = commit === undefined ? undefined : pathOf(commit);
  if (forcePath === true || hasPath !== undefined) {
    const isExpected = forcePath === true || hasPath === true;
    const isRight = opened.hasPathSecret === isExpected;
    const complaint = "made a Welcome whose path secret does not fit its Commit";
    if (forcePath === true) world.requireDone(sponsor, isRight, complaint);
    else world.report(sponsor, isRight, complaint);
  }
  if (opened.hasTree === undefined) return;
  const isBeside = ratchetTree !== undefined;
  const complaint = isBeside
    ? "put the tree into the Welcome although it was asked for beside it"
    : "left the tree out of a Welcome";
  if (isBeside) world.requireDone(sponsor, !opened.hasTree, complaint);
  else world.report(sponsor, opened.hasTree, complaint);
}

/** Undefined if it cannot be seen. */
function pathOf(bytes: Uint8Array): boolean | undefined {
  const commit = publicCommit(bytes);
  return commit === undefined ? undefined : commit.path !== undefined;
}

function proposalTypes(bytes: Uint8Array): string[] | undefined {
  return publicCommit(bytes)?.proposals.map((entry) => {
    return entry.type === "proposal" ? entry.proposal.type : "reference";
  });
}

function publicCommit(bytes: Uint8Array) {
  const decoded = decodeQuietly(bytes);
  if (decoded?.wireFormat !== "publicMessage") return undefined;
  const { content } = decoded.message.content;
  return content.contentType === "commit" ? content.commit : undefined;
}
