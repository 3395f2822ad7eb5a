/** Whether what was asked for was done: wire format, path, tree. */
import { defaultProvider } from "mlskit";
import { hex, sameBytes } from "../bytes.ts";
import { findLeaf } from "../find-leaf.ts";
import type { LeafNode } from "../internals.ts";
import { decodeQuietly } from "./decode-quietly.ts";
import type { Invitation } from "./invitation.ts";
import { openedWelcome, RATCHET_TREE, type WelcomeContents } from "./open-welcome.ts";
import type { Successor, World } from "./world.ts";

/** The wire format of a proposal or a Commit. */
export function checkForm(
  world: World,
  author: string,
  bytes: Uint8Array,
  expected: "public" | "asConfigured",
): void {
  const isPrivate = expected === "asConfigured" && world.setting.encrypt;
  const form = isPrivate ? "private" : "public";
  const isRight = bytes[3] === (isPrivate ? 2 : 1);
  if (isPrivate) world.sawHandshake(author, isRight);
  world.report(author, isRight, `sent a handshake that is not ${form}`);
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
  world.requireDone(actor, hasPath, NO_PATH);
}

const NO_PATH = "left out the path that was asked for";

/**
 * The same for a Commit that cannot be read, seen by one of ours: a path gives its author a new
 * leaf key. RFC 9420 §7.5. To be called before the members follow; the answer is for afterwards.
 */
export async function watchPath(
  world: World,
  actor: string,
  members: readonly string[],
  commit: Uint8Array,
): Promise<() => Promise<void>> {
  const witness = members.find((member) => world.isOurs(member));
  if (witness === undefined || pathOf(commit) !== undefined) return async () => undefined;
  const before = await leafSeenBy(world, witness, actor);
  return async () => {
    const { encryptionKey } = await leafSeenBy(world, witness, actor);
    world.requireDone(actor, !sameBytes(encryptionKey, before.encryptionKey), NO_PATH);
  };
}

/** The same for the Commit that filled a new group: its author's leaf tells where it is from. */
export async function checkFirstPath(
  world: World,
  creator: string,
  others: readonly string[],
): Promise<void> {
  const witness = [creator, ...others].find((member) => world.isOurs(member));
  if (witness === undefined) return;
  const { origin } = await leafSeenBy(world, witness, creator);
  world.requireDone(creator, origin.source === "commit", NO_PATH);
}

async function leafSeenBy(world: World, witness: string, actor: string): Promise<LeafNode> {
  const request = { state_id: world.state(witness), external_tree: true };
  const { ratchet_tree } = await world.call(witness, "GroupInfo", request);
  const [, leaf] = findLeaf(provider.suite(world.suite), ratchet_tree, world.identity(actor));
  return leaf;
}

const provider = defaultProvider();

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

/** The group that follows another is the one that was asked for. */
export async function checkParameters(
  world: World,
  creator: string,
  expected: Omit<Successor, "proposer">,
  asked: string = creator,
): Promise<void> {
  const request = { state_id: world.state(creator), external_tree: true };
  const { group_info } = await world.call(creator, "GroupInfo", request);
  const decoded = decodeQuietly(group_info);
  if (decoded?.wireFormat !== "groupInfo") return;
  const text = (type: number, data: Uint8Array): string => `${type} ${hex(data)}`;
  const { groupId, cipherSuite, extensions } = decoded.message.groupContext;
  const found = extensions.map(({ type, data }) => text(type, data));
  const wanted = expected.extensions.map(({ extension_type, extension_data }) => {
    return text(extension_type, extension_data);
  });
  const isRight = found.sort().join() === wanted.sort().join();
  world.requireDone(asked, isRight, "gave a new group other extensions than were asked for");
  const isNamed = sameBytes(groupId, expected.groupId);
  world.requireDone(asked, isNamed, "gave a new group another id than was asked for");
  const hasSuite = cipherSuite === world.suite;
  world.requireDone(asked, hasSuite, "gave a new group another cipher suite than was asked for");
}

/** What a Welcome says about path and tree, with the keys that the joiner showed. */
export async function checkWelcome(
  world: World,
  joiner: string,
  { sponsor, welcome, commit, ratchetTree, forcePath }: Invitation,
): Promise<void> {
  const opened = await openedWelcome(world, joiner, welcome);
  if (ratchetTree !== undefined) checkTreeIsApart(world, sponsor, welcome, ratchetTree, opened);
  if (opened === undefined) return;
  const { hasPathSecret, hasTree } = opened;
  const hasPath = commit === undefined ? undefined : pathOf(commit);
  if (hasPath !== undefined) {
    const complaint = "made a Welcome whose path secret does not fit its Commit";
    world.report(sponsor, hasPathSecret === hasPath, complaint);
  } else if (forcePath === true) {
    world.requireDone(sponsor, hasPathSecret, NO_PATH);
  }
  if (ratchetTree !== undefined || hasTree === undefined) return;
  world.report(sponsor, hasTree, "left the tree out of a Welcome");
}

/** Where a Welcome cannot be opened, its length tells: nothing else in it is as long as a tree. */
export function checkTreeIsApart(
  world: World,
  sponsor: string,
  welcome: Uint8Array,
  ratchetTree: Uint8Array,
  opened?: WelcomeContents,
): void {
  const decoded = decodeQuietly(welcome);
  // That it is not there is said elsewhere.
  if (decoded?.wireFormat !== "welcome" || ratchetTree.length === 0) return;
  const isLong = decoded.message.encryptedGroupInfo.length >= ratchetTree.length;
  const isInside = opened?.hasTree ?? isLong;
  const complaint = "put the tree into the Welcome although it was asked for beside it";
  world.requireDone(sponsor, !isInside, complaint);
}

/** A GroupInfo has the tree in it unless that was asked for beside it. */
export function checkGroupInfo(
  world: World,
  actor: string,
  groupInfo: Uint8Array,
  isBeside: boolean,
): void {
  const decoded = decodeQuietly(groupInfo);
  if (decoded?.wireFormat !== "groupInfo") return;
  const hasTree = decoded.message.extensions.some(({ type }) => type === RATCHET_TREE);
  const complaint = "put the tree into the GroupInfo although it was asked for beside it";
  if (isBeside) world.requireDone(actor, !hasTree, complaint);
  else world.report(actor, hasTree, "left the tree out of a GroupInfo");
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
