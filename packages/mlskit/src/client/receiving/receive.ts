/** One entry for everything that arrives for a group. RFC 9420 §6, §12.4.2; catalogue M-RCV. */
import { leafIndex } from "../../tree/tree-math.ts";
import { bytesKey, equalBytes, toHex } from "../../codec/index.ts";
import { DecodeError, InternalError, MlsError, PolicyError, StateError } from "../../errors.ts";
import { readExternalSenders } from "../../extensions/extension.ts";
import type { PrivateMessage, PublicMessage } from "../../framing/mls-message.ts";
import type { EpochKeys } from "../../group/content.ts";
import { OpenedContent, VerifiedContent } from "../../group/content.ts";
import { andThen, type MaybePromise } from "../../crypto/index.ts";
import { wireTypes } from "../../group/environment.ts";
import { currentKeys, pastKeys } from "../../group/past-epoch.ts";
import type { StagedCommit } from "../../group/process-commit.ts";
import { processCommit } from "../../group/process-commit.ts";
import type { CachedProposal } from "../../group/proposal-entry.ts";
import { proposalRef } from "../../group/proposal-entry.ts";
import { acceptProposal } from "../../group/proposal-message.ts";
import { violation } from "../../rules.ts";
import { commitDefaults } from "../sending/commit-defaults.ts";
import { suspectFork } from "./fork.ts";
import { keepOnlyPast, keepPast } from "./merge.ts";
import type { MessageInfo, MessageSender } from "../state/outcome.ts";
import type { GroupSession } from "../session/session.ts";

/** A message of a group in either envelope. */
export type GroupMessage =
  | { readonly wireFormat: "publicMessage"; readonly message: PublicMessage }
  | { readonly wireFormat: "privateMessage"; readonly message: PrivateMessage };

interface Base {
  readonly info: MessageInfo;
}

interface Authored extends Base {
  readonly sender: MessageSender;
  readonly authenticatedData: Uint8Array;
}

/** The handshake key that opened a message; it goes when the message takes effect. */
export interface MessageKeyId {
  readonly leaf: number;
  readonly generation: number;
}

/** A Commit that waits to be merged, with the message key that opened it. */
export interface IncomingCommit extends StagedCommit {
  /** Undefined for a PublicMessage. */
  readonly key: MessageKeyId | undefined;
}

/** What a message turned out to be. Only `application` has changed anything: it used a key. */
export type Received =
  | (Authored & {
      readonly kind: "application";
      readonly data: Uint8Array;
      readonly generation: number;
    })
  | (Authored & {
      readonly kind: "proposal";
      readonly cached: CachedProposal;
      readonly key: MessageKeyId | undefined;
    })
  | (Authored & { readonly kind: "commit"; readonly staged: IncomingCommit })
  | (Base & { readonly kind: "ownCommit" | "ownMessage" | "duplicate" })
  | (Base & { readonly kind: "ownProposal"; readonly reference: Uint8Array })
  | (Base & {
      readonly kind: "future" | "farFuture" | "stale" | "epochTooOld";
      readonly contentType: "application" | "proposal" | "commit";
    });

/** @throws MlsError for everything that is wrong with the message; the session is unchanged then */
export function receiveMessage(
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
): MaybePromise<Received> {
  const { epoch, config } = session.state;
  const info = infoOf(decoded);
  if (bytes.length > config.maximumMessageSize * 16) {
    throw new DecodeError("the message is larger than the group's limit", { rule: "mk-14" });
  }
  const { joinCommit } = session.state;
  if (joinCommit !== undefined && equalBytes(joinCommit, bytes)) return { kind: "ownCommit", info };
  const contentType = contentTypeOf(decoded);
  const current = epoch.context.epoch;
  if (contentType !== "application" && isSeen(session, bytes)) return { kind: "duplicate", info };
  if (info.epoch === current + 1n) return { kind: "future", info, contentType };
  if (info.epoch > current) return { kind: "farFuture", info, contentType };
  if (info.epoch === current) return receiveCurrent(session, bytes, decoded, info);
  if (contentType === "application") return receivePast(session, decoded, info);
  const duplicate: Received = { kind: "duplicate", info };
  if (isKnown(session, decoded)) return duplicate;
  const stale: Received = { kind: "stale", info, contentType };
  if (contentType === "proposal") return stale;
  return andThen(isSecondEnvelope(session, decoded, info), (is) => (is ? duplicate : stale));
}

async function receiveCurrent(
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
  info: MessageInfo,
): Promise<Received> {
  const { epoch } = session.state;
  checkWireFormat(session, decoded);
  const keys = currentKeys(epoch);
  if (isOwnCommit(session, bytes, decoded)) return { kind: "ownCommit", info };
  const opened = open(session, decoded, keys);
  if (opened === "own") return ownMessage(session, bytes, decoded, info);
  const types = wireTypes(session.environment);
  const verified = await VerifiedContent.verify(epoch.crypto, opened, keys, types);
  return finish(session, verified, keys, info);
}

async function receivePast(
  session: GroupSession,
  decoded: GroupMessage,
  info: MessageInfo,
): Promise<Received> {
  const { state, environment } = session;
  const kept = keepPast(state, state.past, environment.now);
  const past = kept.find(({ context }) => context.epoch === info.epoch);
  if (past === undefined) return { kind: "epochTooOld", info, contentType: "application" };
  const keys = pastKeys(past);
  const opened = open(session, decoded, keys);
  if (opened === "own") return { kind: "ownMessage", info };
  const types = wireTypes(session.environment);
  const verified = await VerifiedContent.verify(past.crypto, opened, keys, types);
  // In the write of the key that is used; a message that fails writes nothing.
  dropExpired(session);
  return finish(session, verified, keys, info);
}

/** Rule mk-111: time ends an epoch's keys also in a group in which nobody commits. */
export function dropExpired(session: GroupSession): void {
  const { state, environment } = session;
  if (!hasExpired(state, environment.now)) return;
  keepOnlyPast(session, keepPast(state, state.past, environment.now));
}

export function hasExpired(state: GroupSession["state"], now: bigint): boolean {
  return keepPast(state, state.past, now).length < state.past.length;
}

/**
 * Whether it is the Commit that won. Another one that a member signed is reported: somebody may have
 * followed it.
 */
async function isSecondEnvelope(
  session: GroupSession,
  decoded: GroupMessage,
  info: MessageInfo,
): Promise<boolean> {
  const past = session.state.past.find(({ context }) => context.epoch === info.epoch);
  if (past === undefined) return false;
  const keys = pastKeys(past);
  if (isFrom(past.ownLeaf, decoded)) return false;
  try {
    const opened =
      decoded.wireFormat === "publicMessage"
        ? OpenedContent.fromPublic(keys.crypto, decoded.message, keys.contextBytes, undefined)
        : open(session, decoded, keys);
    if (opened === "own") return false;
    const { environment } = session;
    const genuine = await VerifiedContent.verify(past.crypto, opened, keys, wireTypes(environment));
    if (hasName(session, genuine.authenticated.auth.confirmationTag)) return true;
    // The signature of a joiner is nobody's word: without the tag it may have joined nothing.
    if (genuine.sender.type === "member") suspectFork(session, "secondCommit");
  } catch (error) {
    // Not genuine, or out of reach by now: no evidence of anything.
    if (!(error instanceof MlsError)) throw error;
  }
  return false;
}

/** Of ours, in an envelope that says so: one that lost the race, and that nobody else follows. */
function isFrom(leaf: number, { wireFormat, message }: GroupMessage): boolean {
  if (wireFormat !== "publicMessage") return false;
  const { sender } = message.content;
  return sender.type === "member" && sender.leafIndex === leaf;
}

function open(
  session: GroupSession,
  decoded: GroupMessage,
  keys: EpochKeys,
): OpenedContent | "own" {
  const { environment, state } = session;
  if (decoded.wireFormat === "publicMessage") {
    const { membershipKey } = state.epoch.secrets;
    return OpenedContent.fromPublic(keys.crypto, decoded.message, keys.contextBytes, membershipKey);
  }
  const types = wireTypes(environment);
  return OpenedContent.fromPrivate(keys, decoded.message, environment.limits, types);
}

function finish(
  session: GroupSession,
  verified: VerifiedContent,
  keys: EpochKeys,
  info: MessageInfo,
): MaybePromise<Received> {
  const { content, change, generation = 0 } = verified;
  const { authenticatedData } = verified.authenticated.content;
  const sender = senderOf(session, verified, keys);
  const authored: Authored = { info, sender, authenticatedData };
  switch (content.contentType) {
    case "application":
      // Rule mk-40: the key is gone only now that everything about the message was right.
      session.useKey(keys.secretTree, info.epoch, change);
      return { kind: "application", data: content.applicationData, generation, ...authored };
    case "proposal":
      return blaming(sender, finishProposal(session, verified, authored));
    case "commit":
      return blaming(sender, finishCommit(session, verified, authored));
  }
}

async function finishProposal(
  session: GroupSession,
  verified: VerifiedContent,
  authored: Authored,
): Promise<Received> {
  const { state, environment } = session;
  const { epoch } = state;
  const { info } = authored;
  const reference = proposalRef(epoch.crypto, verified.authenticated);
  const key = bytesKey(reference);
  const known = state.proposals.get(key) ?? state.setAside.get(key);
  if (known?.bytes !== undefined) return { kind: "ownProposal", info, reference };
  if (known !== undefined) return { kind: "duplicate", info };
  const cached = await acceptProposal(epoch, verified, environment);
  // Its key stays until it is stored: who dropped it may need it yet, for a Commit that names it.
  return { kind: "proposal", cached, key: keyOf(verified), ...authored };
}

async function finishCommit(
  session: GroupSession,
  verified: VerifiedContent,
  authored: Authored,
): Promise<Received> {
  const { state, environment } = session;
  const isFromOutside = verified.sender.type === "newMemberCommit";
  if (isFromOutside && !(await commitDefaults(session)).externalCommits) {
    throw new PolicyError("POLICY_REJECTED", "this group accepts no external commits", {
      rule: "mk-91",
    });
  }
  const proposals = new Map([...state.setAside, ...state.proposals]);
  const staged = await processCommit(state.epoch, verified, proposals, environment);
  return { kind: "commit", staged: { key: keyOf(verified), ...staged }, ...authored };
}

/** Who sent the messages that led to these errors, where it is certain. */
const authors = new WeakMap<MlsError, MessageSender>();

async function blaming<T>(sender: MessageSender, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof MlsError) authors.set(error, sender);
    throw error;
  }
}

export function authorOfFailure(error: MlsError): MessageSender | undefined {
  return authors.get(error);
}

function keyOf({ sender, generation }: VerifiedContent): MessageKeyId | undefined {
  if (sender.type !== "member" || generation === undefined) return undefined;
  return { leaf: sender.leafIndex, generation };
}

/** A message of ours in an envelope that we cannot open: told by what we remember of it. */
function ownMessage(
  session: GroupSession,
  bytes: Uint8Array,
  decoded: GroupMessage,
  info: MessageInfo,
): Received {
  switch (contentTypeOf(decoded)) {
    case "application":
      return { kind: "ownMessage", info };
    case "proposal": {
      const { proposals, setAside } = session.state;
      const known = [...proposals.values(), ...setAside.values()].find(({ bytes: sent }) => {
        return sent !== undefined && equalBytes(sent, bytes);
      });
      if (known === undefined) return { kind: "ownMessage", info };
      return { kind: "ownProposal", info, reference: known.reference };
    }
    case "commit":
      throw new StateError("OWN_COMMIT_MISMATCH", "a Commit of ours that is not the pending one", {
        rule: "mk-79",
      });
  }
}

function isOwnCommit({ state }: GroupSession, bytes: Uint8Array, decoded: GroupMessage): boolean {
  const { pending } = state;
  if (pending === undefined) return false;
  if (equalBytes(pending.commit, bytes)) return true;
  if (decoded.wireFormat !== "publicMessage") return false;
  const { confirmationTag } = decoded.message.auth;
  return confirmationTag !== undefined && equalBytes(confirmationTag, pending.confirmationTag);
}

function senderOf(
  { state, environment }: GroupSession,
  verified: VerifiedContent,
  keys: EpochKeys,
): MessageSender {
  const { sender, content } = verified;
  switch (sender.type) {
    case "member": {
      const { leafIndex } = sender;
      const member = memberIn(state, keys.context.epoch, leafIndex);
      if (member === undefined)
        throw violation("mk-26", "INVALID_MESSAGE", "there is no such member");
      const { credential, signatureKey } = member;
      return { type: "member", leafIndex, credential, signatureKey };
    }
    case "external": {
      const { extensions } = state.epoch.context;
      const senders = readExternalSenders(extensions, wireTypes(environment));
      const found = senders[sender.senderIndex];
      if (found === undefined) {
        throw violation("mk-33", "UNKNOWN_EXTERNAL_SENDER", "the group does not list this sender");
      }
      return { type: "external", senderIndex: sender.senderIndex, credential: found.credential };
    }
    default: {
      const leaf =
        content.contentType === "proposal" && content.proposal.type === "add"
          ? content.proposal.keyPackage.leafNode
          : content.contentType === "commit"
            ? content.commit.path?.leafNode
            : undefined;
      if (leaf === undefined) throw new InternalError("a new member has no leaf");
      return { type: "newMember", credential: leaf.credential };
    }
  }
}

function memberIn(state: GroupSession["state"], epoch: bigint, leaf: number) {
  if (epoch === state.epoch.context.epoch) {
    return state.epoch.tree.leaf(leafIndex(leaf));
  }
  return state.past.find(({ context }) => context.epoch === epoch)?.member(leaf);
}

/** Rule mk-35. Application data is always private; senders from outside are always public. */
function checkWireFormat({ state }: GroupSession, decoded: GroupMessage): void {
  const { accept } = state.config.handshake;
  if (accept === "both" || contentTypeOf(decoded) === "application") return;
  const isPublic = decoded.wireFormat === "publicMessage";
  if (isPublic && decoded.message.content.sender.type !== "member") return;
  if (isPublic === (accept === "public")) return;
  throw new PolicyError("INCOMPATIBLE_WIRE_FORMAT", "handshake messages must not come like this", {
    rule: "mk-35",
  });
}

export function contentTypeOf(decoded: GroupMessage): "application" | "proposal" | "commit" {
  return decoded.wireFormat === "publicMessage"
    ? decoded.message.content.content.contentType
    : decoded.message.contentType;
}

export function infoOf(decoded: GroupMessage): MessageInfo {
  const { groupId, epoch } =
    decoded.wireFormat === "publicMessage" ? decoded.message.content : decoded.message;
  return { groupId, epoch, wireFormat: decoded.wireFormat };
}

/** Short hash of a message, to know it again. */
export function messageHash({ state }: GroupSession, bytes: Uint8Array): string {
  return toHex(state.epoch.crypto.hash(bytes).subarray(0, 16));
}

/** These very bytes. */
export function isSeen(session: GroupSession, bytes: Uint8Array): boolean {
  const hash = messageHash(session, bytes);
  for (const seen of session.state.seen.hashes.values()) if (seen.startsWith(hash)) return true;
  return false;
}

/** The same PublicMessage but for its membership tag. */
function isKnown(session: GroupSession, { wireFormat, message }: GroupMessage): boolean {
  if (wireFormat !== "publicMessage") return false;
  const { content, auth } = message;
  const { crypto } = session.state.epoch;
  const name =
    content.content.contentType === "proposal"
      ? proposalRef(crypto, { wireFormat, content, auth })
      : auth.confirmationTag;
  return hasName(session, name);
}

/** A Commit with this confirmation tag, or a proposal with this reference. */
function hasName(session: GroupSession, name: Uint8Array | undefined): boolean {
  if (name === undefined) return false;
  const hash = messageHash(session, name);
  for (const seen of session.state.seen.hashes.values()) {
    if (seen.length > hash.length && seen.endsWith(hash)) return true;
  }
  return false;
}
