/**
 * Groups that continue others: the successor of a ReInit, and branches. RFC 9420 §11.2, §11.3.
 *
 *   creator: Predecessor | Parent --create--> CreatedSuccessor, with Welcomes
 *   joiner:  StagedJoin --checkSuccession--> Succession
 *
 * The two are tied by a resumption PSK, which `environment.psks` need not know: it comes from the
 * description of the older group.
 */
import { EMPTY_BYTES, equalBytes, MLS10 } from "../codec/index.ts";
import type { MaybePromise, SuiteCrypto } from "../crypto/index.ts";
import { StateError, UnsupportedError, UsageError } from "../errors.ts";
import type { Extension } from "../extensions/extension.ts";
import { noPadding } from "../framing/padding.ts";
import type { KeyPackage } from "../key-packages/key-package.ts";
import type { PreSharedKeyId, ResumptionPskId } from "../key-schedule/pre-shared-key.ts";
import type { Proposal } from "../messages/proposal.ts";
import { createCommit, type CommitOptions, type CreatedCommit } from "./create-commit.ts";
import { createGroup } from "./create-group.ts";
import type { Environment } from "./environment.ts";
import type { KeyPackageBundle, StagedJoin } from "./join-by-welcome.ts";
import type { Parent, Predecessor } from "./parent-group.ts";
import type { PskFlow } from "./proposal-rules.ts";
import { checkBranch, checkReInitSuccessor, checkSuccessorParameters } from "./successor-rules.ts";
import { successionPsk } from "./welcome-psks.ts";

export interface SuccessorOptions {
  /** Of the new group's suite. */
  readonly crypto: SuiteCrypto;
  /** A key package of our own, for the new suite. */
  readonly creator: Omit<KeyPackageBundle, "initKey">;
  /** Of everybody else that is to be in the new group. */
  readonly keyPackages: readonly KeyPackage[];
  /** More PSKs, of other usages. */
  readonly psks?: readonly PreSharedKeyId[] | undefined;
  readonly forcePath: boolean;
  /** Whether Welcomes and the GroupInfo carry the tree. */
  readonly ratchetTree: boolean;
  readonly groupInfo?: CommitOptions["groupInfo"];
  readonly welcomeExtensions?: CommitOptions["welcomeExtensions"];
  readonly joinersPerWelcome?: CommitOptions["joinersPerWelcome"];
}

export interface BranchOptions extends SuccessorOptions {
  /** A fresh one; not the parent's. */
  readonly groupId: Uint8Array;
  /** GroupContext extensions; they may differ from the parent's. */
  readonly extensions: readonly Extension[];
}

/** The new group in its epoch 1. The first Commit has no receivers and is not part of it. */
export type CreatedSuccessor = Pick<
  CreatedCommit,
  "next" | "welcomes" | "groupInfo" | "ratchetTree" | "summary" | "confirmationTag"
>;

/**
 * The successor that a ReInit asks for; any member of the old group may make it. RFC 9420 §11.2.
 *
 * @throws UnsupportedError `UNSUPPORTED_VERSION`, UsageError `INVALID_SUITE`, ValidationError
 */
export async function createSuccessor(
  predecessor: Predecessor,
  options: SuccessorOptions,
  environment: Environment,
): Promise<CreatedSuccessor> {
  const { reInit } = predecessor;
  if (reInit.version !== MLS10) {
    throw new UnsupportedError("UNSUPPORTED_VERSION", "the ReInit asks for another version", {
      rule: "valn1413",
      details: { version: reInit.version },
    });
  }
  if (reInit.cipherSuite !== options.crypto.suite.id) {
    throw new UsageError("INVALID_SUITE", "the ReInit asks for another cipher suite", {
      rule: "valn1413",
      details: { cipherSuite: reInit.cipherSuite },
    });
  }
  const { groupId, extensions } = reInit;
  const made = await start(predecessor, "reinit", { ...options, groupId, extensions }, environment);
  await checkReInitSuccessor(made.next, predecessor, environment);
  return made;
}

/**
 * A group of some members of another, which goes on unchanged. RFC 9420 §11.3.
 *
 * @throws UsageError `GROUP_EXISTS`, `INVALID_SUITE`, ValidationError
 */
export async function createBranch(
  parent: Parent,
  options: BranchOptions,
  environment: Environment,
): Promise<CreatedSuccessor> {
  if (equalBytes(options.groupId, parent.groupId)) {
    throw new UsageError("GROUP_EXISTS", "a branch needs a group id of its own", {
      rule: "mk-105",
    });
  }
  if (parent.cipherSuite !== options.crypto.suite.id) {
    throw new UsageError("INVALID_SUITE", "a branch has the cipher suite of its parent", {
      rule: "valn1414",
      details: { cipherSuite: parent.cipherSuite },
    });
  }
  const made = await start(parent, "branch", options, environment);
  await checkBranch(made.next, parent, environment);
  return made;
}

/** Epoch 0 with us alone, and the Commit that adds the others under the PSK of the older group. */
async function start(
  parent: Parent,
  flow: Exclude<PskFlow, "ordinary">,
  options: BranchOptions,
  environment: Environment,
): Promise<CreatedSuccessor> {
  const { crypto, creator, groupId, extensions, keyPackages } = options;
  const first = await createGroup({ crypto, groupId, extensions, creator }, environment);
  const psk: ResumptionPskId = {
    type: "resumption",
    usage: flow,
    groupId: parent.groupId,
    epoch: parent.epoch,
    // Fresh for every group, so that no two share key material. RFC 9420 §11.3.
    nonce: crypto.randomBytes(crypto.suite.kdf.size),
  };
  const others = options.psks ?? [];
  if (successionPsk(others) !== undefined) {
    throw new UsageError("INVALID_PSK", "the PSK of the older group is named by us", {
      rule: "mk-103",
    });
  }
  const psks = [psk, ...others];
  const proposals: Proposal[] = [
    ...keyPackages.map((keyPackage): Proposal => ({ type: "add", keyPackage })),
    ...psks.map((id): Proposal => ({ type: "psk", psk: id })),
  ];
  const { forcePath, ratchetTree, groupInfo, welcomeExtensions, joinersPerWelcome } = options;
  const made = await createCommit(
    first,
    {
      proposals,
      pending: [],
      forcePath,
      authenticatedData: EMPTY_BYTES,
      wireFormat: "publicMessage",
      padding: noPadding,
      ratchetTree,
      groupInfo,
      welcomeExtensions,
      joinersPerWelcome,
      flow,
    },
    withResumptionPsk(environment, parent),
  );
  // The private key of the leaf stays: it may live on in the next epoch.
  for (const secret of Object.values(first.secrets)) secret.erase();
  first.secretTree.erase();
  const { next, welcomes, summary, confirmationTag } = made;
  const { groupInfo: info, ratchetTree: tree } = made;
  return { next, welcomes, groupInfo: info, ratchetTree: tree, summary, confirmationTag };
}

/** An environment whose PSK source also knows the resumption PSK of this group. */
export function withResumptionPsk(environment: Environment, parent: Parent): Environment {
  return {
    ...environment,
    psks: (id) => (names(id, parent) ? parent.resumptionPsk : environment.psks(id)),
  };
}

function names(id: PreSharedKeyId, { groupId, epoch }: Parent): boolean {
  return id.type === "resumption" && id.epoch === epoch && equalBytes(id.groupId, groupId);
}

/** The older group that a PSK names: with `reInit` if it ended by one. Undefined if not known. */
export type FindParent = (psk: ResumptionPskId) => MaybePromise<Parent | Predecessor | undefined>;

/** How a group that we are about to join follows from another. */
export type Succession =
  | { readonly type: "none" }
  | { readonly type: "reinit"; readonly predecessor: Predecessor }
  | { readonly type: "branch"; readonly parent: Parent };

/**
 * Whether a group that was joined by a Welcome may claim to follow from the one that its PSK names.
 * RFC 9420 §12.4.3.1.
 *
 * @throws ValidationError, StateError `UNKNOWN_PARENT`
 */
export async function checkSuccession(
  { epoch, psks }: Pick<StagedJoin, "epoch" | "psks">,
  find: FindParent,
  environment: Environment,
): Promise<Succession> {
  const psk = successionPsk(psks);
  if (psk === undefined) return { type: "none" };
  const parent = await find(psk);
  if (parent === undefined) {
    throw new StateError("UNKNOWN_PARENT", "the group that this one follows from is not known", {
      rule: psk.usage === "reinit" ? "valn1413" : "valn1414",
      details: { epoch: psk.epoch },
    });
  }
  if (psk.usage === "branch") {
    await checkBranch(epoch, parent, environment);
    return { type: "branch", parent };
  }
  const predecessor = checkSuccessorParameters(psk, parent);
  await checkReInitSuccessor(epoch, predecessor, environment);
  return { type: "reinit", predecessor };
}
