/**
 * Commits whose secrets leave the client: the caller keeps them, sealed, and brings them back when the
 * delivery service took the Commit. Nothing is pending meanwhile, so that several may be prepared for
 * one epoch and one of them chosen. Catalogue M-COM-15.
 */
import { concat, utf8 } from "../codec/index.ts";
import type { SuiteCrypto } from "../crypto/index.ts";
import { MlsError, StateError, StorageError, UsageError } from "../errors.ts";
import { type Epoch, eraseEpoch } from "../group/epoch.ts";
import { wireTypes } from "../group/environment.ts";
import { type AcceptedCommit, acceptPending } from "./receiving/accept-commit.ts";
import { type CommitRequest, type PendingCommitView, stageRequest } from "./sending/commit.ts";
import { accessOf, type Group } from "./group.ts";
import { allChunks } from "../tree/stored-chunks.ts";
import { decodePending, encodePending } from "./records/pending-record.ts";
import { storedTypes } from "./records/record-codecs.ts";

export interface DetachedCommit extends Omit<PendingCommitView, "next"> {
  /** Secrets and next state, encrypted. Worthless once the group has left its epoch. */
  readonly sealed: Uint8Array;
}

/**
 * Builds a Commit and keeps nothing of it but the used message key.
 *
 * @param storageKey 32 bytes, such as the key of an encrypted store; needed again in {@link acceptDetached}
 * @throws StateError `PENDING_COMMIT`, UsageError
 */
export async function commitDetached(
  group: Group,
  storageKey: Uint8Array,
  request: CommitRequest = {},
): Promise<DetachedCommit> {
  checkKey(storageKey);
  return accessOf(group).operate(async (session) => {
    const { next: _, ...view } = await stageRequest(session, request);
    const { pending, epoch } = session.state;
    if (pending === undefined)
      throw new StateError("NO_PENDING_COMMIT", "there is no pending Commit");
    const record = encodePending(session.state, pending);
    const sealed = seal(epoch, storageKey, record);
    record.fill(0);
    session.state = { ...session.state, pending: undefined };
    session.eraseLater(() => eraseEpoch(pending.next, epoch));
    return { ...view, sealed };
  });
}

/**
 * The delivery service took a detached Commit: begins its epoch. Its echo need not be processed.
 *
 * @throws StateError `WRONG_EPOCH` if the group has moved on; StorageError `STORAGE_KEY_MISMATCH`
 */
export async function acceptDetached(
  group: Group,
  storageKey: Uint8Array,
  { sealed, epoch: target }: Pick<DetachedCommit, "sealed" | "epoch">,
): Promise<AcceptedCommit> {
  checkKey(storageKey);
  const access = accessOf(group);
  return access.operate(async (session) => {
    // Also in a frozen group, where nothing is encrypted for it any more.
    session.requireWritable();
    session.requireActive();
    session.requireNoCommit();
    const { epoch } = session.state;
    if (epoch.context.epoch + 1n !== target) {
      throw new StateError("WRONG_EPOCH", "the group has left the epoch of this Commit", {
        details: { epoch: epoch.context.epoch },
      });
    }
    const record = open(epoch, storageKey, sealed);
    const { crypto, tree } = epoch;
    const types = storedTypes(wireTypes(session.environment));
    const signer = (publicKey: Uint8Array) => session.signer(publicKey);
    const pending = await decodePending(record, crypto, allChunks(tree), types, signer);
    session.state = { ...session.state, pending };
    return acceptPending(access, session);
  });
}

/** salt[32] | AEAD under a key of this salt alone; bound to the epoch that the Commit leaves. */
function seal(epoch: Epoch, storageKey: Uint8Array, record: Uint8Array): Uint8Array {
  const { crypto, contextBytes } = epoch;
  const salt = crypto.randomBytes(SALT_SIZE);
  const { key, nonce } = sealingKey(crypto, storageKey, salt);
  const sealed = concat(salt, crypto.aeadSeal(key, nonce, contextBytes, record));
  key.fill(0);
  return sealed;
}

function open(epoch: Epoch, storageKey: Uint8Array, sealed: Uint8Array): Uint8Array {
  const { crypto, contextBytes } = epoch;
  const { key, nonce } = sealingKey(crypto, storageKey, sealed.subarray(0, SALT_SIZE));
  try {
    return crypto.aeadOpen(key, nonce, contextBytes, sealed.subarray(SALT_SIZE));
  } catch (cause) {
    if (!MlsError.is(cause, "DECRYPTION_FAILED")) throw cause;
    throw new StorageError("STORAGE_KEY_MISMATCH", "the Commit was sealed with another key", {
      cause,
    });
  } finally {
    key.fill(0);
  }
}

function sealingKey(crypto: SuiteCrypto, storageKey: Uint8Array, salt: Uint8Array) {
  const { keySize, nonceSize } = crypto.suite.aead;
  const prk = crypto.extract(salt, storageKey);
  const key = crypto.expand(prk, utf8("mlskit detached commit key"), keySize);
  const nonce = crypto.expand(prk, utf8("mlskit detached commit nonce"), nonceSize);
  prk.fill(0);
  return { key, nonce };
}

function checkKey({ length }: Uint8Array): void {
  if (length === KEY_SIZE) return;
  throw new UsageError("INVALID_LENGTH", "the storage key has 32 bytes", { details: { length } });
}

const KEY_SIZE = 32;
const SALT_SIZE = 32;
