/** Several operations of one client in one atomic write. Rules P-TX-01 to P-TX-08. */
import { bytesKey } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError, TransportError, UsageError } from "../errors.ts";
import { type ClientCore, nextGenerationOf } from "./session/client-core.ts";
import { Group } from "./group.ts";
import { requireNotMoved } from "./session/not-moved.ts";
import { Mutex } from "./session/mutex.ts";
import { APP_PREFIX, CHECKPOINT_KEY, MOVED_KEY } from "./records/record-keys.ts";
import type { GroupSession } from "./session/session.ts";
import { withTimeLimit } from "./session/time-limit.ts";
import { Transaction, transactionClosed } from "./records/transaction.ts";

interface OpenGroup {
  readonly session: GroupSession;
  readonly lock: Mutex;
  readonly release: () => void;
  /** Whether anything was asked of it. */
  isUsed: boolean;
}

export interface TransactionOptions {
  /**
   * Ends the transaction at any time until the write, also while the callback waits for something;
   * what is written stays written.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Ids of all groups that it is about; the callback begins when they are ours. Transactions that say
   * so prepare at the same time if they have no group in common; those that name none run one at a
   * time. P-TX-03.
   *
   * What they read of the application's records is compared when they write: of two that count in the
   * same record at the same time, one gets `STORAGE_CONFLICT`, also within one client.
   */
  readonly groups?: readonly Uint8Array[] | undefined;
}

/** Usable until the callback that got it has ended. */
export class ClientTransaction {
  readonly #core: ClientCore;
  readonly #transaction: Transaction;
  readonly #groups = new Map<number, OpenGroup>();
  /** Also those that are still waited for: who asks twice at once gets the same. */
  readonly #opening = new Map<number, Promise<OpenGroup>>();
  readonly #deliveries: (() => MaybePromise<unknown>)[] = [];
  /** If the groups were named, their handles by id. */
  #named: ReadonlyMap<string, number> | undefined;
  /** Nothing is added any more. */
  #hasEnded = false;
  /** By handle of these: resolve when the group is ours. */
  #turns: ReadonlyMap<number, ReturnType<Mutex["acquire"]>> = new Map();

  private constructor(core: ClientCore) {
    this.#core = core;
    this.#transaction = new Transaction(core.storage);
  }

  /**
   * Only one at a time, so that two that lock the same groups cannot wait for each other. Those that
   * name their groups queue for all of them in one step: then nobody waits for who comes later.
   */
  static async run<T>(
    core: ClientCore,
    work: (transaction: ClientTransaction) => Promise<T>,
    { signal, groups }: TransactionOptions,
  ): Promise<T> {
    const own = new ClientTransaction(core);
    if (groups !== undefined) own.#named = new Map();
    // Who holds no group can be waited for only here, when the client is closed.
    if (groups === undefined || groups.length === 0) {
      return core.transactionLock.run(() => own.#run(() => work(own), signal));
    }
    return own.#run(async () => {
      await own.#claim(groups);
      return work(own);
    }, signal);
  }

  /** Until all groups are ours, in the states that they have then: joins are refused, groups deleted. */
  async #claim(groups: readonly Uint8Array[]): Promise<void> {
    const core = this.#core;
    const find = async (id: Uint8Array) => [bytesKey(id), await core.handleOf(id)] as const;
    let isCurrent = false;
    while (!isCurrent) {
      const named = await core.transactionLock.run(async () => {
        const handles = new Map(await Promise.all(groups.map(find)));
        // Who was aborted meanwhile queues for nothing.
        this.#transaction.checkOpen();
        this.#turns = new Map(
          [...new Set(handles.values())].map((handle) => [handle, core.lockOf(handle).acquire()]),
        );
        return handles;
      });
      await Promise.all(this.#turns.values());
      const now = await Promise.all(groups.map(find));
      this.#transaction.checkOpen();
      isCurrent = now.every(([id, handle]) => named.get(id) === handle);
      if (isCurrent) this.#named = named;
      else this.#giveBack();
    }
  }

  #giveBack(): void {
    for (const turn of this.#turns.values()) void turn.then((release) => release());
  }

  async #run<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      signal?.throwIfAborted();
      const result = await untilAborted(work(), signal);
      this.#hasEnded = true;
      signal?.throwIfAborted();
      for (const { session, isUsed } of this.#groups.values()) {
        if (isUsed) await this.#core.requireCurrent(session);
      }
      await this.#core.finish(this.#transaction, this.#sessions());
      for (const send of this.#deliveries) await this.#send(send);
      return result;
    } catch (error) {
      if (MlsError.is(error, "STORAGE_CONFLICT")) await requireNotMoved(this.#core.storage);
      throw error;
    } finally {
      this.#transaction.abort();
      for (const { release } of this.#groups.values()) release();
      this.#giveBack();
    }
  }

  /** What is written may rely on groups that are not changed. */
  #sessions(): readonly GroupSession[] {
    const sessions = [...this.#groups.values()].map(({ session }) => session);
    const isWriting = this.#transaction.isWriting || sessions.some(({ isTouched }) => isTouched);
    if (isWriting) for (const session of sessions) session.requireCurrent();
    return sessions;
  }

  /** @throws UsageError `TRANSACTION_CLOSED` once the callback has ended */
  #checkOpen(): void {
    if (this.#hasEnded) throw transactionClosed();
    this.#transaction.checkOpen();
  }

  /**
   * A group whose operations belong to this transaction.
   * @throws StateError `GROUP_NOT_FOUND`, UsageError `GROUP_NOT_NAMED`
   */
  async group(groupId: Uint8Array): Promise<Group> {
    const core = this.#core;
    this.#checkOpen();
    const open = await this.#reach(groupId);
    return new Group({
      options: core.options,
      isTransaction: true,
      peek: () => open.session.state,
      nextGeneration: () => nextGenerationOf(open.session.state),
      operate: (operation) =>
        open.lock.run(async () => {
          this.#checkOpen();
          open.isUsed = true;
          return core.perform(open.session, operation);
        }),
    });
  }

  /**
   * The way to the network: runs once everything is written, while the groups are still locked, and
   * for a limited time. If it fails, the transaction throws TransportError `TRANSPORT_RETRY`; what was
   * written stays, and is to be sent again.
   */
  deliver(send: () => MaybePromise<unknown>): void {
    this.#checkOpen();
    this.#deliveries.push(send);
  }

  async #send(send: () => MaybePromise<unknown>): Promise<void> {
    try {
      await withTimeLimit(send(), this.#core.options.transportTimeout);
    } catch (cause) {
      throw new TransportError("TRANSPORT_RETRY", "it is not known whether the message arrived", {
        cause,
      });
    }
  }

  async #reach(groupId: Uint8Array): Promise<OpenGroup> {
    const named = this.#named?.get(bytesKey(groupId));
    if (named !== undefined) return this.#lock(named);
    if (this.#named !== undefined) {
      throw new UsageError("GROUP_NOT_NAMED", "the transaction is about other groups");
    }
    for (;;) {
      const handle = await this.#core.handleOf(groupId);
      try {
        return await this.#lock(handle);
      } catch (error) {
        // A join that is refused while this call waits leaves the former state in force.
        const isGone = MlsError.is(error, "GROUP_NOT_FOUND");
        if (!isGone || (await this.#core.handleOf(groupId)) === handle) throw error;
      }
    }
  }

  #lock(handle: number): Promise<OpenGroup> {
    const known = this.#opening.get(handle);
    if (known !== undefined) return known;
    const opening = this.#openGroup(handle);
    this.#opening.set(handle, opening);
    return opening;
  }

  async #openGroup(handle: number): Promise<OpenGroup> {
    const release = await (this.#turns.get(handle) ?? this.#core.lockOf(handle).acquire());
    try {
      // The callback may have ended while this call waited, and nobody would give the lock back.
      this.#checkOpen();
      // A transaction lasts: what is read now may be old when it answers.
      const session = await this.#core.openSession(this.#transaction, handle, { mayAge: true });
      this.#checkOpen();
      const open = { session, release, lock: new Mutex(), isUsed: false };
      this.#groups.set(handle, open);
      return open;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A record of the application's own, written together with the group changes. */
  put(key: string, value: Uint8Array): void {
    this.#put(APP_PREFIX + key, value);
  }

  delete(key: string): void {
    this.#checkOpen();
    this.#transaction.delete(APP_PREFIX + key);
  }

  /**
   * If something is written and another process changes this before, the transaction fails. Versions
   * begin anew with a record: one that was deleted and put again as often looks unchanged.
   */
  async get(key: string): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    return this.#transaction.read(APP_PREFIX + key);
  }

  /** One blob of the application, such as the cursor of its last delivery. */
  setCheckpoint(bytes: Uint8Array): void {
    this.#put(CHECKPOINT_KEY, bytes);
  }

  /** A client that was moved away meanwhile takes no record of the application's any more. */
  #put(key: string, value: Uint8Array): void {
    this.#checkOpen();
    this.#transaction.put(key, value.slice());
    this.#transaction.expect(MOVED_KEY, 0);
  }

  /** Guarded like {@link get}. */
  async checkpoint(): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    return this.#transaction.read(CHECKPOINT_KEY);
  }
}

/** The callback may go on; all it does in the transaction fails. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort);
    const done = (): void => signal.removeEventListener("abort", abort);
    work.then(resolve, reject).finally(done).catch(done);
  });
}
