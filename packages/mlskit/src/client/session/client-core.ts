/** What all groups of one client share: store, keys, locks, cached states. */
import { bytesKey, uint32 } from "../../codec/index.ts";
import type { AuthenticationService } from "../../credentials/authentication-service.ts";
import {
  andThen,
  type CryptoProvider,
  type MaybePromise,
  type Secret,
  type Signer,
} from "../../crypto/index.ts";
import { createSigner } from "../../crypto/signer.ts";
import { MlsError, StateError, StorageError, UsageError } from "../../errors.ts";
import type {
  Environment,
  GroupLimits,
  GroupPolicy,
  PskSource,
  RegisteredTypes,
} from "../../group/environment.ts";
import { wireTypes } from "../../group/environment.ts";
import type { PreSharedKeyId, ResumptionPskId } from "../../key-schedule/pre-shared-key.ts";
import { conflict } from "../../storage/batch.ts";
import type { Storage } from "../../storage/storage.ts";
import { checkedSigner } from "./checked-signer.ts";
import type { Clock } from "../state/clock.ts";
import { eraseState } from "../state/erase-state.ts";
import type { GroupConfig } from "../state/config.ts";
import type { EventLog } from "../records/event-log.ts";
import { type ClientEvent, EventHub } from "../state/events.ts";
import type { GroupState } from "../state/group-state.ts";
import { requireNotMoved } from "./not-moved.ts";
import { Mutex } from "./mutex.ts";
import type { TreeSource } from "../state/outside-tree.ts";
import { type LoadContext, readGroup } from "../records/read-group.ts";
import { deleteStates } from "../records/delete-state.ts";
import { decodeRecord, identityRecord, pskRecord, storedTypes } from "../records/record-codecs.ts";
import {
  GroupKeys,
  groupKey,
  identityKey,
  META_KEY,
  MOVED_KEY,
  pskKey,
} from "../records/record-keys.ts";
import { GroupSession, type SessionHost, type SessionOrigin } from "./session.ts";
import { readOnly } from "./snapshot.ts";
import { askHook, limitPolicy, limitService, withTimeLimit } from "./time-limit.ts";
import { Transaction } from "../records/transaction.ts";

export interface CoreOptions {
  readonly storage: Storage;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
  readonly authenticationService: AuthenticationService;
  readonly policy: GroupPolicy;
  readonly types: RegisteredTypes;
  readonly limits: GroupLimits;
  readonly config: GroupConfig;
  /** Asked for external PSKs that are not in the store. */
  readonly psk: PskSource | undefined;
  /** Signers whose keys live outside the store, by public key. */
  readonly signers: readonly Signer[];
  /** Milliseconds that hooks may take; undefined: any. */
  readonly hookTimeout: number | undefined;
  /** Milliseconds that the transport may take; undefined: any. */
  readonly transportTimeout: number | undefined;
  /** Usable key packages of an identity below which an event says so. */
  readonly keyPackageThreshold: number;
  readonly cache: CacheStrategy;
  readonly tree: TreeSource | undefined;
  /** A snapshot, which changes nothing. */
  readonly isReadOnly: boolean;
  /** Bytes of early messages that all groups together may keep. */
  readonly bufferedBytes: number;
  /** Stores events, if they are to be heard after a crash. */
  readonly eventLog: EventLog | undefined;
}

export type CacheStrategy = "keep" | "reload";

/** What is known of a group; the same object for all who have the group open. */
export interface LoadedState {
  /** Undefined: the group was deleted. */
  state: GroupState | undefined;
  version: number;
  /** Of our application ratchet; the tree in memory is ahead of it until the write. Rule P-TX-04. */
  nextGeneration: number;
  /** The store may hold something else; to be read again before it is used. */
  isStale: boolean;
}

interface FreshState extends LoadedState {
  state: GroupState;
}

export class ClientCore {
  readonly options: CoreOptions;
  readonly events: EventHub = new EventHub();
  /** With the strategy `reload` a group is in memory as long as somebody has it open. */
  readonly #groups = new Map<number, LoadedState | WeakRef<LoadedState>>();
  readonly #locks = new Map<number, Mutex>();
  readonly #signers = new Map<string, Signer>();
  readonly #host: SessionHost;
  readonly #service: AuthenticationService;
  readonly #policy: GroupPolicy;
  readonly transactionLock: Mutex = new Mutex();
  /** Guards records that belong to no group. */
  readonly #lock = new Mutex();
  readonly #logLock = new Mutex();
  /** From its beginning on nothing new begins; what has begun goes on until the store is closed. */
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: CoreOptions) {
    this.options = options;
    this.#service = limitService(options.authenticationService, options.hookTimeout);
    this.#policy = limitPolicy(options.policy, options.hookTimeout);
    for (const signer of options.signers) this.addSigner(signer);
    this.#host = {
      signerFor: (transaction, publicKey) => this.#storedSigner(transaction, publicKey),
      isReadOnly: options.isReadOnly,
      isReloading: options.cache === "reload",
      bufferedBytes: options.bufferedBytes,
      contextOf: async (handle) => (await this.load(handle)).state.epoch.context,
      announced: new Map(),
      failures: new Map(),
      advised: new Map(),
    };
  }

  get storage(): Storage {
    return this.options.storage;
  }

  /** A signer of the application's. */
  addSigner(signer: Signer): void {
    const checked = checkedSigner(this.options.provider, signer);
    this.#signers.set(bytesKey(signer.publicKey), checked);
  }

  removeSigner(publicKey: Uint8Array): void {
    this.#signers.delete(bytesKey(publicKey));
  }

  /** The signer of a key of ours. @throws StateError `SIGNER_NOT_FOUND` */
  async signer(publicKey: Uint8Array): Promise<Signer> {
    const known = this.#signers.get(bytesKey(publicKey));
    if (known !== undefined) return known;
    const stored = await this.storage.get(identityKey(publicKey));
    const record =
      stored === undefined ? undefined : decodeRecord(identityRecord, stored.value, this.stored);
    if (record?.privateKey === undefined) {
      throw new StateError("SIGNER_NOT_FOUND", "the store holds no key for this identity");
    }
    const crypto = this.options.provider.suite(record.cipherSuite);
    const privateKey = record.privateKey.bytes;
    const signer = createSigner(crypto, { publicKey: record.publicKey, privateKey });
    this.#signers.set(bytesKey(publicKey), signer);
    return signer;
  }

  /**
   * The same for what is about to need the identity. If that is removed meanwhile, by another process
   * too, nothing is written. P-MP-02.
   */
  async signerFor(transaction: Transaction, publicKey: Uint8Array): Promise<Signer> {
    await this.raiseMeta(transaction);
    return this.#storedSigner(transaction, publicKey);
  }

  /** Of two writes that do this at the same time only one succeeds, whatever else they are about. */
  async raiseMeta(transaction: Transaction): Promise<void> {
    await transaction.expectCurrent(META_KEY);
    const meta = await transaction.get(META_KEY);
    if (meta !== undefined) transaction.put(META_KEY, meta);
  }

  async #storedSigner(transaction: Transaction, publicKey: Uint8Array): Promise<Signer> {
    const isStored = await transaction.expectCurrent(identityKey(publicKey));
    if (!isStored) this.removeSigner(publicKey);
    return this.signer(publicKey);
  }

  /** Types for reading records. */
  get stored(): ReturnType<typeof storedTypes> {
    return storedTypes(wireTypes(this.options));
  }

  /** Storage handle of the group with this id. @throws StateError `GROUP_NOT_FOUND` */
  async handleOf(groupId: Uint8Array): Promise<number> {
    const handle = await this.findHandle(groupId);
    if (handle === undefined) {
      throw new StateError("GROUP_NOT_FOUND", "this client has no group with this id");
    }
    return handle;
  }

  async findHandle(groupId: Uint8Array): Promise<number | undefined> {
    this.#checkStore();
    const record = await this.storage.get(groupKey(groupId));
    return record === undefined ? undefined : decodeRecord(uint32, record.value);
  }

  /** The last known state, for reading. @throws StateError `GROUP_NOT_FOUND` */
  stateOf({ state }: LoadedState): GroupState {
    if (state !== undefined) return state;
    this.checkOpen();
    throw new StateError("GROUP_NOT_FOUND", "the group was deleted");
  }

  /** What the store holds, read anew unless it is in memory. @throws StateError `GROUP_NOT_FOUND` */
  async load(handle: number): Promise<FreshState> {
    const known = this.#inMemory(handle);
    const stored = known === undefined ? undefined : await this.#storedVersion(handle);
    if (known?.version === stored && isFresh(known)) return known;
    const before = this.#find(handle)?.version;
    const loaded = await this.#read(handle);
    if (loaded === undefined) {
      this.forget(handle);
      throw new StateError("GROUP_NOT_FOUND", "this client has no group with this id");
    }
    // Somebody may have written, and shown what he wrote, while it was read.
    const now = this.#find(handle);
    if (isShown(now) && now.version !== before && now.version >= loaded.version) {
      return isFresh(now) || this.options.cache === "reload" ? now : this.load(handle);
    }
    return this.#show(handle, loaded.state, loaded.version);
  }

  #find(handle: number): LoadedState | undefined {
    const found = this.#groups.get(handle);
    return found instanceof WeakRef ? found.deref() : found;
  }

  /** A new state becomes what everybody sees. */
  #show(handle: number, state: GroupState, version: number): FreshState {
    const isStale = this.options.cache === "reload";
    const known = this.#find(handle);
    const nextGeneration = nextGenerationOf(state);
    const shown: FreshState = Object.assign(known ?? {}, {
      state,
      version,
      nextGeneration,
      isStale,
    });
    if (known === undefined) this.#groups.set(handle, isStale ? new WeakRef(shown) : shown);
    return shown;
  }

  #inMemory(handle: number): FreshState | undefined {
    this.#checkStore();
    const known = this.#find(handle);
    return isFresh(known) ? known : undefined;
  }

  async #read(handle: number): ReturnType<typeof readGroup> {
    const { storage, provider, tree, hookTimeout } = this.options;
    const context: LoadContext = {
      storage,
      provider,
      types: this.stored,
      signer: (publicKey) => this.signer(publicKey),
      tree: async (groupId, epoch) => withTimeLimit(tree?.(groupId, epoch), hookTimeout),
    };
    try {
      return await readGroup(context, handle);
    } catch (cause) {
      // What does not decode was written by nobody: the store is to blame, no peer.
      if (cause instanceof MlsError && cause.blame !== "decode") throw cause;
      throw new StorageError("STORAGE_FAILED", "the store could not read", { cause });
    }
  }

  /** A state that has ended: nobody sees it any more, and its secrets go. */
  forget(handle: number): void {
    const known = this.#find(handle);
    if (known?.state !== undefined) {
      eraseState(known.state, undefined);
      known.state = undefined;
    }
    this.#groups.delete(handle);
    const { announced, failures, advised } = this.#host;
    for (const known of [announced, failures, advised]) known.delete(handle);
  }

  /** To be taken at once: it is forgotten when nobody holds it or waits for it. */
  lockOf(handle: number): Mutex {
    const known = this.#locks.get(handle);
    if (known !== undefined) return known;
    const mutex = new Mutex(() => this.#locks.delete(handle));
    this.#locks.set(handle, mutex);
    return mutex;
  }

  /**
   * One operation on one group in a transaction of its own. Operations on a group run one at a
   * time. A conflict with another process is resolved by reading the group again and starting over:
   * nothing of the first attempt has left this function.
   */
  operate<T>(handle: number, operation: (session: GroupSession) => MaybePromise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(clientClosed());
    const seen = this.#find(handle)?.state?.epoch.context.epoch;
    return this.lockOf(handle).run(() =>
      this.attempt(async (transaction) => {
        const session = await this.openSession(transaction, handle, { seen });
        const result = await this.perform(session, operation);
        await this.requireCurrent(session);
        await this.finish(transaction, [session]);
        return result;
      }),
    );
  }

  /** One operation of several, or the only one. A refusal counts if it came of what the store holds. */
  async perform<T>(
    session: GroupSession,
    operation: (session: GroupSession) => MaybePromise<T>,
  ): Promise<T> {
    try {
      return await operation(session);
    } catch (error) {
      if (!session.mayBeOld || MlsError.is(error, "STORAGE_CONFLICT")) throw error;
      const { version } = session;
      const stored = await this.#storedVersion(session.state.handle).catch(() => version);
      throw stored === version ? error : conflict(0, version, stored);
    }
  }

  /**
   * What came of a state in memory holds only if no other process has replaced that state. A write finds
   * out by itself; this is for what writes nothing. P-MP-02, M-STO-16.
   * @throws StorageError `STORAGE_CONFLICT`
   */
  requireCurrent(session: GroupSession): MaybePromise<void> {
    if (session.mayBeOld && !session.isChecked) return this.#requireStored(session);
  }

  async #requireStored({ state, version }: GroupSession): Promise<void> {
    const stored = await this.#storedVersion(state.handle);
    if (stored !== version) throw conflict(0, version, stored);
  }

  /** Of a group; 0 if it is gone. */
  async #storedVersion(handle: number): Promise<number> {
    return (await this.storage.get(new GroupKeys(handle).version))?.version ?? 0;
  }

  /**
   * One atomic write of records that belong to no existing group, but for `group` if one is given;
   * conflicts are resolved as in {@link operate}. Work that waits for the lock of another group would
   * wait for a transaction that holds it and waits for its own write.
   * @throws StateError `CLIENT_MOVED`
   */
  write<T>(work: (transaction: Transaction) => Promise<T>, group?: number): Promise<T> {
    this.requireWritable();
    const write = (): Promise<T> =>
      this.#lock.run(() =>
        this.attempt(async (transaction) => {
          await requireNotMoved(this.storage);
          // Also if that changes until the write.
          transaction.expect(MOVED_KEY, 0);
          const result = await work(transaction);
          if (transaction.isOpen) await this.finish(transaction, []);
          return result;
        }),
      );
    return group === undefined ? write() : this.lockOf(group).run(write);
  }

  /** Starts over when another process was faster. Nothing of `work` may leave before the write. */
  async attempt<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const transaction = new Transaction(this.storage);
      try {
        return await work(transaction);
      } catch (error) {
        transaction.abort();
        if (!MlsError.is(error, "STORAGE_CONFLICT") || attempt >= CONFLICT_ATTEMPTS) throw error;
        // Work on records of the client may have looked at any group.
        for (const handle of this.#groups.keys()) this.#markStale(handle);
      }
    }
  }

  /**
   * A session on a group that is in the store. The caller holds the group's lock, and has seen the
   * group in the epoch `seen`; with `mayAge` other processes may work on it while the session lasts.
   */
  openSession(
    transaction: Transaction,
    handle: number,
    {
      seen,
      mayAge = false,
    }: { readonly seen?: bigint | undefined; readonly mayAge?: boolean } = {},
  ): MaybePromise<GroupSession> {
    const known = this.#inMemory(handle);
    const mayBeOld = mayAge || known !== undefined;
    return andThen(known ?? this.load(handle), ({ state, version }) => {
      return this.#session(transaction, state, { version, mayBeOld, seen });
    });
  }

  /** A session on a group that is new. */
  createSession(transaction: Transaction, state: GroupState): GroupSession {
    return this.#session(transaction, state, undefined);
  }

  #session(
    transaction: Transaction,
    state: GroupState,
    origin: SessionOrigin | undefined,
  ): GroupSession {
    const environment = this.environment(transaction, state.config);
    const context = { transaction, environment, host: this.#host };
    const session = new GroupSession(context, state, origin);
    // Rule P-TX-04: memory never runs ahead of the store.
    session.transaction.onAbort(() => this.#markStale(session.state.handle));
    return session;
  }

  #markStale(handle: number): void {
    const cached = this.#find(handle);
    if (cached !== undefined) cached.isStale = true;
  }

  /** Writes, then shows the new states to everybody, then tells the listeners. */
  async finish(transaction: Transaction, sessions: readonly GroupSession[]): Promise<void> {
    this.#checkStore();
    for (const session of sessions) session.flush();
    const sealed = transaction.seal();
    const events = [...transaction.events];
    for (const session of sessions) events.push(...session.events);
    const { eventLog } = this.options;
    if (eventLog === undefined || events.length === 0) {
      await transaction.commit(() => this.#publish(transaction, sessions, events, undefined));
      return;
    }
    // One at a time, so that listeners hear events in the order of their numbers.
    await this.#logLock.run(async () => {
      // Nothing is logged in a store whose client went elsewhere.
      sealed.expect(MOVED_KEY, 0);
      const first = await eventLog.append(this.storage, sealed, events);
      await transaction.commit(() => this.#publish(transaction, sessions, events, first));
    });
  }

  #publish(
    { overtaken, deleted }: Transaction,
    sessions: readonly GroupSession[],
    events: readonly ClientEvent[],
    first: bigint | undefined,
  ): void {
    for (const session of sessions) {
      const { state, version, isTouched } = session;
      if (isTouched) this.#show(state.handle, state, version + 1);
      else {
        // A reserved generation is used without a write.
        const known = this.#find(state.handle);
        if (known?.state === state) known.nextGeneration = nextGenerationOf(state);
      }
    }
    for (const handle of overtaken) this.#markStale(handle);
    for (const handle of deleted) this.forget(handle);
    this.events.emit(events, first);
  }

  environment(transaction: Transaction, config: GroupConfig): Environment {
    const { clock, types, limits } = this.options;
    const { outOfOrderTolerance, maximumForwardDistance, maximumSkippedKeys } = config;
    return {
      now: clock(),
      authenticationService: this.#service,
      policy: this.#policy,
      types,
      limits: { ...limits, outOfOrderTolerance, maximumForwardDistance, maximumSkippedKeys },
      psks: (id) => this.#findPsk(transaction, id),
    };
  }

  async #findPsk(transaction: Transaction, id: PreSharedKeyId): Promise<Secret | undefined> {
    if (id.type === "resumption") return this.#findResumptionPsk(id);
    const stored = await transaction.get(pskKey(id.type === "external" ? id.pskId : id));
    if (stored !== undefined) return decodeRecord(pskRecord, stored).psk;
    return askHook(() => this.options.psk?.(id), this.options.hookTimeout);
  }

  /** Of an epoch of this group, or of another group of this client. */
  async #findResumptionPsk({ groupId, epoch }: ResumptionPskId): Promise<Secret | undefined> {
    const handle = await this.findHandle(groupId);
    if (handle === undefined) return undefined;
    const { state } = await this.load(handle);
    if (state.epoch.context.epoch !== epoch) return state.resumptionPsks.get(epoch);
    const { resumptionPsk } = state.epoch.secrets;
    return resumptionPsk.length === 0 ? undefined : resumptionPsk;
  }

  /**
   * Deletes all records of a group, which need not be readable for that.
   * @throws StateError `GROUP_NOT_FOUND`
   */
  async deleteGroup(groupId: Uint8Array): Promise<void> {
    const known = await this.handleOf(groupId);
    await this.lockOf(known).run(() =>
      this.attempt(async (transaction) => {
        const name = groupKey(groupId);
        await transaction.expectCurrent(name);
        await deleteStates(transaction, await this.handleOf(groupId), this.stored);
        transaction.delete(name);
        await this.finish(transaction, []);
      }),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Both go on to groups, some of which may not be in use yet.
    await Promise.all([idle(this.transactionLock), idle(this.#lock)]);
    await Promise.all([...this.#locks.values()].map(idle));
    await idle(this.#logLock);
    this.#isClosed = true;
    for (const handle of this.#groups.keys()) this.forget(handle);
    this.#signers.clear();
    this.events.close();
    await this.storage.close();
  }

  /** @throws UsageError `CLIENT_CLOSED`, `READ_ONLY` */
  requireWritable(): void {
    this.checkOpen();
    if (this.options.isReadOnly) throw readOnly();
  }

  /** @throws UsageError `CLIENT_CLOSED` */
  checkOpen(): void {
    if (this.#closing !== undefined) throw clientClosed();
  }

  /** For what goes on. @throws UsageError `CLIENT_CLOSED` */
  #checkStore(): void {
    if (this.#isClosed) throw clientClosed();
  }
}

/** The generation that our next application message has, as far as this state knows. */
export function nextGenerationOf({ epoch }: GroupState): number {
  return epoch.secretTree.nextGeneration(epoch.ownLeaf, "application");
}

function clientClosed(): UsageError {
  return new UsageError("CLIENT_CLOSED", "the client was closed");
}

/** Resolves when all who hold a lock or wait for it now are done. */
const idle = (lock: Mutex): Promise<void> => lock.run(async () => undefined);

function isShown(known: LoadedState | undefined): known is FreshState {
  return known?.state !== undefined;
}

function isFresh(known: LoadedState | undefined): known is FreshState {
  return isShown(known) && !known.isStale;
}

/** Attempts at an operation that other processes keep overtaking; one that writes all the time can win many. */
const CONFLICT_ATTEMPTS = 200;
