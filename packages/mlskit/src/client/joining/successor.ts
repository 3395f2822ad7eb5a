/** Groups that follow from groups of ours: after a ReInit, or as a branch. RFC 9420 §11.2, §11.3. */
import { equalBytes } from "../../codec/index.ts";
import { StateError } from "../../errors.ts";
import type { Extension } from "../../extensions/extension.ts";
import { identityOf } from "../../group/credential-checks.ts";
import type { Environment } from "../../group/environment.ts";
import {
  type Parent,
  parentOf,
  predecessorOf,
  type Predecessor,
} from "../../group/parent-group.ts";
import {
  checkSuccession,
  createBranch,
  type CreatedSuccessor,
  createSuccessor,
  type Succession,
} from "../../group/successor.ts";
import type { StagedJoin } from "../../group/join-by-welcome.ts";
import type { ResumptionPskId } from "../../key-schedule/pre-shared-key.ts";
import type { ClientCore } from "../session/client-core.ts";
import type { GroupConfig } from "../state/config.ts";
import type { GroupState } from "../state/group-state.ts";
import type { Identity } from "../identity/identity.ts";
import { listIdentities } from "../identity/identity.ts";
import { type KeyPackageOptions, makeKeyPackage } from "../identity/key-packages.ts";
import { closeGroup } from "../receiving/merge.ts";
import { decodeKeyPackage } from "../state/messages.ts";
import { deleteState } from "../records/delete-state.ts";
import { GroupKeys } from "../records/record-keys.ts";
import type { Transaction } from "../records/transaction.ts";
import { checkActive, type GroupSession } from "../session/session.ts";

export interface SuccessorRequest {
  /** Ours in the new group. Default: the one with our credential and the new suite. */
  readonly identity?: Identity | undefined;
  readonly leaf?: KeyPackageOptions | undefined;
  readonly forcePath?: boolean | undefined;
  readonly ratchetTree?: boolean | undefined;
  readonly config?: Partial<GroupConfig> | undefined;
}

export interface BranchRequest extends SuccessorRequest {
  /** Default: KDF.Nh random bytes. */
  readonly groupId?: Uint8Array | undefined;
  /** GroupContext extensions of the branch. */
  readonly extensions?: readonly Extension[] | undefined;
}

/**
 * The successor of a suspended group.
 * @param members who has to be in it; without them: everybody
 * @throws StateError unless the group ended by a ReInit
 */
export async function makeSuccessor(
  core: ClientCore,
  transaction: Transaction,
  state: GroupState,
  keyPackages: readonly Uint8Array[],
  request: SuccessorRequest,
  members?: Predecessor["members"],
): Promise<CreatedSuccessor> {
  const whole = predecessorFrom(state);
  const predecessor = { ...whole, members: members ?? whole.members };
  const options = await commonOptions(
    core,
    transaction,
    state,
    predecessor.reInit.cipherSuite,
    keyPackages,
    request,
  );
  return createSuccessor(predecessor, options, core.environment(transaction, state.config));
}

/** A group of some members of this one, which goes on unchanged. */
export async function makeBranch(
  core: ClientCore,
  transaction: Transaction,
  state: GroupState,
  keyPackages: readonly Uint8Array[],
  request: BranchRequest,
): Promise<CreatedSuccessor> {
  checkActive(state);
  const { crypto, context } = state.epoch;
  const options = await commonOptions(
    core,
    transaction,
    state,
    context.cipherSuite,
    keyPackages,
    request,
  );
  const groupId = request.groupId?.slice() ?? crypto.randomBytes(crypto.suite.kdf.size);
  const extensions = request.extensions ?? [];
  const environment = core.environment(transaction, state.config);
  return createBranch(parentOf(state.epoch), { ...options, groupId, extensions }, environment);
}

async function commonOptions(
  core: ClientCore,
  transaction: Transaction,
  state: GroupState,
  cipherSuite: number,
  keyPackages: readonly Uint8Array[],
  request: SuccessorRequest,
) {
  const identity = request.identity ?? (await ownIdentity(core, state, cipherSuite));
  const signer = await core.signerFor(transaction, identity.signatureKey);
  const made = await makeKeyPackage(core, identity, signer, request.leaf ?? {});
  const { crypto, initKey, ...creator } = made;
  initKey.erase();
  return {
    crypto,
    creator,
    keyPackages: keyPackages.map((bytes) => decodeKeyPackage(bytes, core.options)),
    forcePath: request.forcePath ?? true,
    ratchetTree: request.ratchetTree ?? state.config.ratchetTree,
  };
}

/** @throws StateError `SIGNER_NOT_FOUND` if we have no key for the suite yet */
async function ownIdentity(
  core: ClientCore,
  { epoch }: GroupState,
  cipherSuite: number,
): Promise<Identity> {
  const own = epoch.tree.leaf(epoch.ownLeaf)?.credential;
  const found = (await listIdentities(core)).find(({ credential, cipherSuite: suite }) => {
    if (suite !== cipherSuite || own === undefined) return false;
    if (own.type !== "basic" || credential.type !== "basic") return own.type === credential.type;
    return equalBytes(own.identity, credential.identity);
  });
  if (found === undefined) {
    throw new StateError("SIGNER_NOT_FOUND", "there is no identity for the new cipher suite", {
      details: { cipherSuite },
    });
  }
  return found;
}

function predecessorFrom({ status, epoch, reInit }: GroupState): Predecessor {
  if (status !== "suspended" || reInit === undefined) {
    throw new StateError("NO_REINIT", "the group did not end with a ReInit");
  }
  return predecessorOf(epoch, reInit);
}

/** Whether a staged join may follow from what it says it follows from. */
export function checkStagedSuccession(
  core: ClientCore,
  staged: StagedJoin,
  environment: Environment,
): Promise<Succession> {
  return checkSuccession(staged, (psk) => findParent(core, psk), environment);
}

async function findParent(
  core: ClientCore,
  { usage, groupId, epoch }: ResumptionPskId,
): Promise<Parent | Predecessor | undefined> {
  const handle = await core.findHandle(groupId);
  if (handle === undefined) return undefined;
  const { state } = await core.load(handle);
  if (usage === "reinit" && state.reInit !== undefined) {
    return predecessorOf(state.epoch, state.reInit);
  }
  return state.epoch.context.epoch === epoch ? parentOf(state.epoch) : pastParent(state, epoch);
}

/** A branch may have been made in an epoch that is over for us. */
function pastParent(state: GroupState, epoch: bigint): Parent | undefined {
  const past = state.past.find(({ context }) => context.epoch === epoch);
  const resumptionPsk = state.resumptionPsks.get(epoch);
  if (past === undefined || resumptionPsk === undefined) return undefined;
  const { groupId, version, cipherSuite } = state.epoch.context;
  const members: Parent["members"][number][] = [];
  for (let leaf = 0; leaf < past.secretTree.leafCount; leaf++) {
    const member = past.member(leaf);
    if (member !== undefined) members.push(identityOf(member));
  }
  return { groupId, epoch, version, cipherSuite, members, resumptionPsk };
}

/** Rule mk-104: the old group ends when its successor is entered. */
export async function closePredecessor(
  session: GroupSession,
  successorId: Uint8Array,
): Promise<void> {
  const { handle, epoch } = session.state;
  if (!equalBytes(epoch.context.groupId, successorId)) {
    const closed = closeGroup(session.state, session.environment.now);
    session.state = closed.state;
    session.eraseLater(closed.erase);
    return;
  }
  // Under the same id nobody could reach the old group any more: it goes altogether.
  session.transaction.expect(new GroupKeys(handle).version, session.version);
  await deleteState(session.transaction, handle);
}
