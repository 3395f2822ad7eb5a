/**
 * Where things are in the store. Groups are addressed by a short handle of this client, not by their
 * id: a ReInit successor may carry its predecessor's id, and keys are part of what a message writes.
 *
 *   meta                      format version, instance id, next handle
 *   moved                     instead of all others: the client, sealed, after it was exported
 *   target                    a random id while a client is being moved into the store
 *   identity/<public key>     credential and, unless it lives elsewhere, private signature key
 *   keypackage/<reference>    key package with its private keys
 *   used/<reference>          a last resort of ours that entered a group
 *   gone/<reference>          since when a key package of ours is used up or deleted
 *   entered/<tag>             an epoch that was entered with this last resort, and never is again
 *   psk/<id>                  external PSK; psk/<type>:<id> one of a registered type
 *   group/<group id>          handle of the group with this id; names too long for a key are hashed
 *   app/<key>                 the application's own records; app-checkpoint, its checkpoint
 *   stock/<reference>         what the directory knows of a key package of ours
 *   retired/<public key>      an identity that another one is replacing
 *   job/<name>                work that goes on after a restart
 *   buffered/<handle>         how much waits in a group's buffer, and since when
 *   event/<number>            an event that was not acknowledged; event-head, the next number
 *   g<handle>/v               raised by every transaction on the group
 *            /h               head: status, context, secrets, own keys, configuration
 *            /t<level>.<id>   a chunk of the ratchet tree
 *            /n<epoch>.<node> a node of an epoch's secret tree
 *            /r<epoch>.<leaf><kind>  a ratchet
 *            /x<epoch>        a past epoch
 *            /k<epoch>        its resumption PSK
 *            /p<number>       a pending proposal
 *            /d<number>       one that the application dropped, which others may commit
 *            /c               the pending commit
 *            /w<epoch>        Welcomes and GroupInfo of our Commit that began it, to be handed out
 *            /f               the last epoch in which nothing may be encrypted, after a rollback
 *            /s<slot>         hashes of a handshake message seen
 *            /b<hash>         a message that came too early
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { fromHex, toHex, utf8 } from "../../codec/index.ts";
import type { PskName } from "../../key-schedule/pre-shared-key.ts";
import type { RatchetKind } from "../../secret-tree/hash-ratchet.ts";

export const META_KEY = "meta";
export const MOVED_KEY = "moved";
/** Names a store that a client is being moved into; gone when it has arrived. */
export const TARGET_KEY = "target";
export const CHECKPOINT_KEY = "app-checkpoint";
export const IDENTITY_PREFIX = "identity/";
export const KEY_PACKAGE_PREFIX = "keypackage/";
export const PSK_PREFIX = "psk/";
export const GROUP_PREFIX = "group/";
export const APP_PREFIX = "app/";
export const STOCK_PREFIX = "stock/";
export const RETIRED_PREFIX = "retired/";
const JOB_PREFIX = "job/";
export const BUFFERED_PREFIX = "buffered/";
export const EVENT_PREFIX = "event/";
export const EVENT_HEAD_KEY = "event-head";

export const identityKey = (publicKey: Uint8Array): string => IDENTITY_PREFIX + toHex(publicKey);
export const keyPackageKey = (reference: Uint8Array): string =>
  KEY_PACKAGE_PREFIX + toHex(reference);
export const USED_PREFIX = "used/";

export const usedKey = (reference: Uint8Array): string => USED_PREFIX + toHex(reference);
export const GONE_PREFIX = "gone/";
export const ENTERED_PREFIX = "entered/";
export const goneKey = (reference: Uint8Array): string => GONE_PREFIX + toHex(reference);
export const enteredKey = (confirmationTag: Uint8Array): string =>
  ENTERED_PREFIX + toHex(confirmationTag);
export const pskName = (name: PskName): string =>
  name instanceof Uint8Array ? toHex(name) : `${name.pskType}:${toHex(name.body)}`;
export const pskKey = (name: PskName): string => PSK_PREFIX + shorten(pskName(name));
export const groupKey = (groupId: Uint8Array): string => GROUP_PREFIX + shorten(toHex(groupId));
/** Undefined if the id was too long. */
export function groupIdOf(key: string): Uint8Array | undefined {
  const name = key.slice(GROUP_PREFIX.length);
  return name.startsWith("~") ? undefined : fromHex(name);
}

/** Ids may be of any length, storage keys may not. */
function shorten(name: string): string {
  return name.length <= MAXIMUM_NAME ? name : `~${toHex(sha256(utf8(name)))}`;
}

const MAXIMUM_NAME = 256;

export const stockKey = (reference: Uint8Array): string => STOCK_PREFIX + toHex(reference);
export const retiredKey = (publicKey: Uint8Array): string => RETIRED_PREFIX + toHex(publicKey);
export const jobKey = (name: string): string => JOB_PREFIX + shorten(name);
export const bufferedKey = (handle: number): string => `${BUFFERED_PREFIX}${handle}`;
/** Sorts like the numbers. */
export const eventKey = (sequence: bigint): string =>
  EVENT_PREFIX + sequence.toString(16).padStart(16, "0");

/** Keys of one group's records. */
export class GroupKeys {
  readonly prefix: string;

  constructor(handle: number) {
    this.prefix = `g${handle}/`;
  }

  get version(): string {
    return `${this.prefix}v`;
  }
  get head(): string {
    return `${this.prefix}h`;
  }
  get pendingCommit(): string {
    return `${this.prefix}c`;
  }
  get handOuts(): string {
    return `${this.prefix}w`;
  }
  handOut(epoch: bigint): string {
    return `${this.handOuts}${epoch}`;
  }
  get frozen(): string {
    return `${this.prefix}f`;
  }
  chunk(level: number, id: number): string {
    return `${this.prefix}t${level}.${id}`;
  }
  nodes(epoch: bigint): string {
    return `${this.prefix}n${epoch}.`;
  }
  ratchets(epoch: bigint): string {
    return `${this.prefix}r${epoch}.`;
  }
  node(epoch: bigint, node: number): string {
    return `${this.nodes(epoch)}${node}`;
  }
  ratchet(epoch: bigint, leaf: number, kind: RatchetKind): string {
    return `${this.ratchets(epoch)}${leaf}${kind === "handshake" ? "h" : "a"}`;
  }
  past(epoch: bigint): string {
    return `${this.prefix}x${epoch}`;
  }
  resumptionPsk(epoch: bigint): string {
    return `${this.prefix}k${epoch}`;
  }
  proposal(number: number): string {
    return `${this.prefix}p${number}`;
  }
  setAside(number: number): string {
    return `${this.prefix}d${number}`;
  }
  seen(slot: number): string {
    return `${this.prefix}s${slot}`;
  }
  buffered(hash: string): string {
    return `${this.prefix}b${hash}`;
  }
}
