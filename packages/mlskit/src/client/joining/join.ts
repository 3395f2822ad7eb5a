/** Joining groups. RFC 9420 §12.4.3. */
import { EMPTY_BYTES, equalBytes, opaque } from "../../codec/index.ts";
import type { Signer } from "../../crypto/index.ts";
import { MlsError, StateError } from "../../errors.ts";
import type { Extension } from "../../extensions/extension.ts";
import type { Environment } from "../../group/environment.ts";
import type { Epoch } from "../../group/epoch.ts";
import { joinByExternalCommit } from "../../group/join-by-external-commit.ts";
import {
  type KeyPackageBundle,
  openGroupInfo,
  openWelcome,
  type OpenedWelcome,
  stageJoin,
  type StagedJoin,
} from "../../group/join-by-welcome.ts";
import type { Succession } from "../../group/successor.ts";
import { type ValidatedGroupInfo, validateGroupInfo } from "../../group/validate-group-info.ts";
import { type PreSharedKeyId, type PskName, pskIdOf } from "../../key-schedule/pre-shared-key.ts";
import { isLastResort } from "../../key-packages/key-package.ts";
import type { GroupInfo } from "../../messages/group-info.ts";
import type { Capabilities } from "../../tree/nodes.ts";
import type { ClientCore } from "../session/client-core.ts";
import type { GroupConfig } from "../state/config.ts";
import { type ClientEvent, epochBegins, ownEntry } from "../state/events.ts";
import type { GroupState } from "../state/group-state.ts";
import type { Identity } from "../identity/identity.ts";
import {
  defaultCapabilities,
  eraseKeys,
  findKeyPackage,
  hasKeyPackage,
  wasOurs,
} from "../identity/key-packages.ts";
import { findMembers, type MemberSelector } from "../state/members.ts";
import { decodeGroupInfo, decodeWelcome } from "../state/messages.ts";
import { checkStagedSuccession } from "./successor.ts";
import { isOfHook } from "../receiving/failed-message.ts";
import { encodeRecord } from "../records/record-codecs.ts";
import { enteredKey } from "../records/record-keys.ts";
import { Transaction } from "../records/transaction.ts";

export interface JoinOptions {
  /** Body of the ratchet_tree extension, if the Welcome does not carry the tree. */
  readonly ratchetTree?: Uint8Array | undefined;
  readonly config?: Partial<GroupConfig> | undefined;
}

/** What a Welcome says before anything about it is verified. */
export interface WelcomePeek {
  /** KeyPackageRef of ours that it is for. */
  readonly reference: Uint8Array;
  readonly psks: readonly PreSharedKeyId[];
  /** Only if all PSKs are at hand; not verified. */
  readonly unverifiedGroupInfo: GroupInfo | undefined;
}

export function peekWelcome(core: ClientCore, bytes: Uint8Array): Promise<WelcomePeek> {
  return useWelcome(core, bytes, async (opened, environment) => {
    eraseKeys(opened.bundle);
    const { reference, psks } = opened;
    try {
      const { groupInfo, member } = await openGroupInfo(opened, environment);
      member.erase();
      return { reference, psks, unverifiedGroupInfo: groupInfo };
    } catch (error) {
      if (!MlsError.is(error, "MISSING_PSK")) throw error;
      return { reference, psks, unverifiedGroupInfo: undefined };
    }
  });
}

/** Full validation; nothing is stored. */
export async function stageWelcome(
  core: ClientCore,
  bytes: Uint8Array,
  { ratchetTree }: JoinOptions,
): Promise<StagedJoin> {
  return useWelcome(core, bytes, async (opened, environment) => {
    const staged = await stageJoin(opened, ratchetTree, environment);
    const succession = await checkStagedSuccession(core, staged, environment);
    await requireNoLiveGroup(core, staged.epoch.context.groupId, succession);
    await requireNotEntered(core, staged);
    return staged;
  });
}

/**
 * An epoch is entered once. Whoever entered it again, after leaving or deleting the group, would
 * start its ratchets over and encrypt a second time under keys that were used. RFC 9420 §9.2.
 */
export async function requireNotEntered(core: ClientCore, { epoch }: StagedJoin): Promise<void> {
  if ((await core.storage.get(enteredKey(epoch.confirmationTag))) === undefined) return;
  throw new StateError("GROUP_EXISTS", "this client entered this epoch before", {
    rule: "valn1403",
  });
}

/** Entering is a change like any other: we joined, and an epoch began for us. M-EVT-03. */
export function announceEntry(transaction: Transaction, { epoch, inviter }: StagedJoin): void {
  transaction.events.push(ownEntry(epoch), epochBegins(epoch, inviter));
}

/** A Welcome for any other package than a last resort cannot be opened again. */
export function noteEntered(
  transaction: Transaction,
  { epoch, keyPackage, reference }: StagedJoin,
): void {
  if (!isLastResort(keyPackage)) return;
  transaction.put(enteredKey(epoch.confirmationTag), encodeRecord(opaque, reference));
}

/** A group that we make takes no id of another, but of one that is over. */
export async function requireFree(
  core: ClientCore,
  groupId: Uint8Array,
  replace: boolean,
): Promise<void> {
  const handle = await core.findHandle(groupId);
  if (handle === undefined) return;
  const { state } = await core.load(handle);
  if (replace && state.status === "inactive") return;
  throw new StateError("GROUP_EXISTS", "this client has a group with this id", {
    rule: "mk-107",
  });
}

/** Rule valn1403: a live group cannot be joined again; one that a ReInit closed may have a successor. */
export async function requireNoLiveGroup(
  core: ClientCore,
  groupId: Uint8Array,
  succession?: Succession,
): Promise<void> {
  const handle = await core.findHandle(groupId);
  if (handle === undefined) return;
  const { state } = await core.load(handle);
  if (state.status === "inactive") return;
  const isSuccessor =
    succession?.type === "reinit" && equalBytes(succession.predecessor.groupId, groupId);
  if (state.status === "suspended" && isSuccessor) return;
  throw new StateError("GROUP_EXISTS", "this client has a group with this id", {
    rule: "valn1403",
  });
}

/**
 * KeyPackageRef of ours that a Welcome is for: the one that opens it, else the first that it names.
 * Only one, for whoever writes a Welcome may name all that we ever published.
 */
export async function referenceOf(
  core: ClientCore,
  welcome: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    return await useWelcome(core, welcome, async ({ bundle, reference }) => {
      eraseKeys(bundle);
      return reference;
    });
  } catch (error) {
    if (!(error instanceof MlsError) || error.blame === "storage") throw error;
  }
  for (const newMember of referencesOf(core, welcome)) {
    if (await hasKeyPackage(core, newMember)) return newMember;
  }
  return undefined;
}

/** Of those whom it is for; none if it cannot be read, or is for more than are accepted. */
function referencesOf(core: ClientCore, welcome: Uint8Array): readonly Uint8Array[] {
  try {
    const { secrets } = decodeWelcome(welcome);
    const isTooLarge = secrets.length > core.options.limits.maximumWelcomeSecrets;
    return isTooLarge ? [] : secrets.map(({ newMember }) => newMember);
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    return [];
  }
}

/** Whether the reason lies in what others made, such as a Welcome, so that trying again is of no use. */
export function isFaultOfOthers(error: unknown): error is MlsError {
  if (!(error instanceof MlsError) || isOfHook(error)) return false;
  return ["decode", "unsupported", "validation", "crypto", "policy"].includes(error.blame);
}

/** Tells which key package it was for; whoever keeps the stock marks it, rule P-KP-05. Nothing else changes. */
export async function reportFailure(
  core: ClientCore,
  welcome: Uint8Array,
  { code, rule }: MlsError,
): Promise<void> {
  const reference = await referenceOf(core, welcome);
  const event: ClientEvent = { type: "welcomeFailed", reference, code, rule };
  const { isReadOnly, eventLog } = core.options;
  if (isReadOnly || eventLog === undefined) return core.events.emit([event]);
  await core.write(async (transaction) => {
    transaction.events.push(event);
  });
}

/**
 * Opens a Welcome for `use`, after which the secrets that it held are gone; so are the keys of the key
 * package if that fails. Otherwise the key of the leaf stays, for who joins.
 */
async function useWelcome<T>(
  core: ClientCore,
  bytes: Uint8Array,
  use: (opened: OpenedWelcome, environment: Environment) => Promise<T>,
): Promise<T> {
  const environment = joinEnvironment(core);
  const opened = await open(core, bytes, environment);
  try {
    return await use(opened, environment);
  } catch (error) {
    eraseKeys(opened.bundle);
    throw error;
  } finally {
    opened.joinerSecret.erase();
    opened.pathSecret?.erase();
  }
}

async function open(
  core: ClientCore,
  bytes: Uint8Array,
  environment: Environment,
): Promise<OpenedWelcome> {
  const welcome = decodeWelcome(bytes);
  const read: KeyPackageBundle[] = [];
  let opened: OpenedWelcome | undefined;
  const find = async (reference: Uint8Array): Promise<KeyPackageBundle | undefined> => {
    const bundle = await findKeyPackage(core, reference);
    if (bundle !== undefined) read.push(bundle);
    return bundle;
  };
  try {
    opened = await openWelcome(core.options.provider, welcome, find, environment);
    return opened;
  } catch (cause) {
    if (!MlsError.is(cause, "NO_MATCHING_KEY_PACKAGE")) throw cause;
    for (const { newMember } of welcome.secrets) {
      if (!(await wasOurs(core, newMember))) continue;
      throw new StateError("ORPHAN_WELCOME", "the key package of this Welcome is gone", {
        rule: "mk-93",
        cause,
      });
    }
    throw cause;
  } finally {
    // Each attempt reads them anew; who joins still needs the key of the leaf.
    for (const bundle of read) {
      if (bundle === opened?.bundle) bundle.initKey.erase();
      else eraseKeys(bundle);
    }
  }
}

/** A GroupInfo on its own: everything that a joiner would check. Nothing is stored. */
export async function checkGroupInfo(
  core: ClientCore,
  bytes: Uint8Array,
  ratchetTree: Uint8Array | undefined,
): Promise<ValidatedGroupInfo> {
  const environment = joinEnvironment(core);
  const groupInfo = decodeGroupInfo(bytes, core.options);
  const crypto = core.options.provider.suite(groupInfo.groupContext.cipherSuite);
  return validateGroupInfo(crypto, groupInfo, environment, { ratchetTree });
}

function joinEnvironment(core: ClientCore): Environment {
  return core.environment(new Transaction(core.storage), core.options.config);
}

export interface ExternalJoinRequest extends JoinOptions {
  /** Ids of external PSKs. */
  readonly psks?: readonly PskName[] | undefined;
  /** Replace a former leaf of ours: its index, or `true` for the one with our identity. */
  readonly resync?: true | MemberSelector | undefined;
  readonly capabilities?: Capabilities | undefined;
  readonly leafExtensions?: readonly Extension[] | undefined;
  readonly authenticatedData?: Uint8Array | undefined;
  /** Messages with pending proposals that external commits may cover, such as SelfRemove. */
  readonly pendingProposals?: readonly Uint8Array[] | undefined;
}

export interface StagedExternalJoin {
  readonly commit: Uint8Array;
  readonly epoch: Epoch;
}

/** Builds the external commit. Nothing is stored. */
export async function stageExternalJoin(
  core: ClientCore,
  { identity, signer }: { readonly identity: Identity; readonly signer: Signer },
  bytes: Uint8Array,
  request: ExternalJoinRequest,
): Promise<StagedExternalJoin> {
  const { provider, types } = core.options;
  const environment = joinEnvironment(core);
  const groupInfo = decodeGroupInfo(bytes, environment);
  if (request.resync === undefined) {
    await requireNoLiveGroup(core, groupInfo.groupContext.groupId);
  }
  const crypto = provider.suite(groupInfo.groupContext.cipherSuite);
  const nonce = (): Uint8Array => crypto.randomBytes(crypto.suite.kdf.size);
  const psks = (request.psks ?? []).map((name) => pskIdOf(name, nonce()));
  const joined = await joinByExternalCommit(
    {
      crypto,
      groupInfo,
      ratchetTree: request.ratchetTree,
      leaf: {
        credential: identity.credential,
        capabilities:
          request.capabilities ?? defaultCapabilities(provider.suites, types, identity.credential),
        extensions: request.leafExtensions ?? [],
        signer,
      },
      resync: (tree) => formerLeaf(tree, identity, request.resync),
      psks,
      pending: [],
      pendingMessages: request.pendingProposals,
      authenticatedData: request.authenticatedData ?? EMPTY_BYTES,
    },
    environment,
  );
  return { commit: joined.commit, epoch: joined.next };
}

/** Which leaf the external commit removes. @throws StateError `MEMBER_NOT_FOUND` */
function formerLeaf(
  tree: Epoch["tree"],
  { identity, signatureKey }: Identity,
  resync: ExternalJoinRequest["resync"],
): number | undefined {
  if (resync === undefined) return undefined;
  const candidates = resync === true ? [{ signatureKey }, { identity }] : [resync];
  for (const selector of candidates) {
    const [leaf] = findMembers(tree, selector);
    if (leaf !== undefined) return leaf;
  }
  throw new StateError("MEMBER_NOT_FOUND", "there is no former leaf of ours");
}

/** The state of a group that was just created or entered. */
export function freshState(
  handle: number,
  epoch: Epoch,
  config: GroupConfig,
  now: bigint,
  join?: { readonly commit: Uint8Array; readonly replaces: number | undefined },
): GroupState {
  return {
    handle,
    status: join === undefined ? "active" : "pendingJoin",
    epoch,
    config,
    proposals: new Map(),
    setAside: new Map(),
    queued: [],
    ownUpdate: { updatedAt: now, messages: 0, sawRemoval: false },
    pending: undefined,
    handOuts: [],
    past: [],
    resumptionPsks: new Map(),
    reInit: undefined,
    isLeaving: false,
    joinCommit: join?.commit,
    replaces: join?.replaces,
    frozenUpTo: undefined,
    buffer: new Map(),
    seen: { hashes: new Map(), next: 0 },
  };
}
