/** One operation on one group: the state it works on, and what it is going to write. */
import { EMPTY_BYTES } from "../../codec/index.ts";
import type { Signer } from "../../crypto/index.ts";
import { StateError, UsageError } from "../../errors.ts";
import type { Environment } from "../../group/environment.ts";
import type { GroupContext } from "../../key-schedule/group-context.ts";
import type { RatchetKind } from "../../secret-tree/hash-ratchet.ts";
import type { SecretTree, SecretTreeChange } from "../../secret-tree/secret-tree.ts";
import type { ClientEvent } from "../state/events.ts";
import type { GroupState } from "../state/group-state.ts";
import { GroupKeys } from "../records/record-keys.ts";
import { reasonsToUpdate } from "../state/update-advice.ts";
import { readOnly } from "./snapshot.ts";
import type { Transaction } from "../records/transaction.ts";
import { isReserved, reserveBlock } from "./reserve.ts";
import { hasSecretTree, writeGroup, writeRatchets } from "../records/write-group.ts";

/** What a session asks of the client around it. */
export interface SessionHost {
  signerFor(transaction: Transaction, publicKey: Uint8Array): Promise<Signer>;
  /** A snapshot, which encrypts nothing. */
  readonly isReadOnly: boolean;
  /** Groups are read again for every call: no key is ever taken from memory. */
  readonly isReloading: boolean;
  /** Bytes of early messages that all groups together may keep. */
  readonly bufferedBytes: number;
  contextOf(handle: number): Promise<GroupContext>;
  /**
   * Hashes of kept Commits of which events have told in this process that they wait, by handle. They are
   * in no state, for those are read again.
   */
  readonly announced: Map<number, Set<string>>;
  /** Messages of an epoch in a row that could not be decrypted, by handle. M-FRK-02. */
  readonly failures: Map<number, { readonly epoch: bigint; readonly count: number }>;
  /** The last epoch in which an event advised to update, by handle. M-UPD-09. */
  readonly advised: Map<number, bigint>;
}

/** Where the state of a group that is not new comes from. */
export interface SessionOrigin {
  /** Of its version record. */
  readonly version: number;
  /** Another process may have replaced it since it was read. */
  readonly mayBeOld: boolean;
  /** The epoch that the caller has seen, and that leaf indices of its request are of, if it matters. */
  readonly seen: bigint | undefined;
}

export interface SessionContext {
  readonly transaction: Transaction;
  readonly environment: Environment;
  readonly host: SessionHost;
}

/**
 * Lives as long as the group's lock is held. The state is replaced in memory only after the
 * transaction was written; the one thing that changes before, the secret tree, is loaded anew if the
 * transaction fails.
 */
export class GroupSession {
  readonly transaction: Transaction;
  readonly environment: Environment;
  readonly host: SessionHost;
  readonly version: number;
  readonly mayBeOld: boolean;
  readonly #seen: bigint | undefined;
  readonly #before: GroupState | undefined;
  #state: GroupState;
  /** Epochs with keys that this session used up; seldom more than one. */
  #usedEpochs: readonly bigint[] = [];
  #isTouched = false;
  /** Rule P-MP-03: nothing is written, but what was used from memory must still be in force. */
  #mustBeCurrent = false;
  readonly events: ClientEvent[] = [];

  constructor(context: SessionContext, state: GroupState, origin: SessionOrigin | undefined) {
    this.transaction = context.transaction;
    this.environment = context.environment;
    this.host = context.host;
    this.#state = state;
    this.#before = origin === undefined ? undefined : state;
    this.version = origin?.version ?? 0;
    this.mayBeOld = origin?.mayBeOld ?? false;
    this.#seen = origin?.seen;
    if (origin === undefined) this.#isTouched = true;
  }

  /**
   * What is asked for by leaf index, or as a whole list, is meant as the caller saw the group: in another
   * epoch somebody else may have the leaf. Not to be retried without looking again.
   * @throws UsageError `EPOCH_CHANGED`
   */
  requireSeen(seen: bigint | undefined = this.#seen): void {
    const { epoch } = this.#state.epoch.context;
    if (seen === undefined || seen === epoch) return;
    throw new UsageError("EPOCH_CHANGED", "the group has moved on since it was looked at", {
      details: { epoch, seen },
    });
  }

  /** Signers of this client by public key. @throws StateError `SIGNER_NOT_FOUND` */
  signer(publicKey: Uint8Array): Promise<Signer> {
    return this.host.signerFor(this.transaction, publicKey);
  }

  get state(): GroupState {
    return this.#state;
  }

  set state(state: GroupState) {
    if (state === this.#state) return;
    this.transaction.checkOpen();
    this.#isTouched = true;
    this.#state = state;
  }

  get isTouched(): boolean {
    return this.#isTouched;
  }

  /** Whether the write finds out that another process has replaced the state. */
  get isChecked(): boolean {
    return this.#isTouched || this.#mustBeCurrent;
  }

  /** Consumes a message key: written with this transaction, and applied at once. */
  useKey(secretTree: SecretTree, epoch: bigint, change: SecretTreeChange | undefined): void {
    if (change === undefined) return;
    this.#write(epoch, change);
    secretTree.apply(change);
  }

  #write(epoch: bigint, change: SecretTreeChange): void {
    this.transaction.checkOpen();
    if (!this.#usedEpochs.includes(epoch)) this.#usedEpochs = [...this.#usedEpochs, epoch];
    this.#isTouched = true;
    writeRatchets(this.transaction, this.#state.handle, epoch, change);
  }

  /** The same for a message of ours. Rule P-MP-04. */
  useOwnKey(change: SecretTreeChange | undefined): void {
    if (change === undefined) return;
    this.transaction.checkOpen();
    const { epoch, config } = this.#state;
    const { secretTree, ownLeaf, crypto } = epoch;
    const number = epoch.context.epoch;
    // First, also if blocks were switched off since: the store must never hear of a lower generation.
    if (isReserved(secretTree, change, ownLeaf)) {
      this.#mustBeCurrent = true;
      secretTree.apply(change);
      return;
    }
    // What is left of a block is skipped when the group is read again, which would be at once. And a
    // tree that this transaction brings is written as it is at the end, without what is reserved.
    const isNew = !hasSecretTree(this.#before, number);
    const block = this.host.isReloading || isNew ? 1 : config.generationBlock;
    if (block === 1) return this.useKey(secretTree, number, change);
    const { stored, erase } = reserveBlock(crypto, secretTree, change, ownLeaf, block);
    this.#write(number, stored);
    erase();
    secretTree.apply(change);
  }

  /** Nothing may leave that was read from memory while another process has changed the store. */
  requireCurrent(): void {
    this.#mustBeCurrent = true;
  }

  emit(event: ClientEvent): void {
    this.events.push(event);
  }

  /** Overwrites secrets that the new state does not hold, once it is durable. */
  eraseLater(erase: () => void): void {
    this.transaction.onCommit(erase);
  }

  /** Puts the difference between the first and the last state into the transaction. */
  flush(): void {
    if (!this.isChecked) return;
    this.#adviseUpdate();
    const keys = new GroupKeys(this.#state.handle);
    this.transaction.expect(keys.version, this.version);
    if (!this.#isTouched) return;
    this.transaction.put(keys.version, EMPTY_BYTES);
    if (this.#state !== this.#before) writeGroup(this.transaction, this.#before, this.#state);
    // An epoch that began and went within this transaction must not leave its keys behind.
    for (const epoch of this.#usedEpochs) {
      if (hasSecretTree(this.#state, epoch)) continue;
      this.transaction.deleteWritten(keys.nodes(epoch));
      this.transaction.deleteWritten(keys.ratchets(epoch));
    }
  }

  /** Once in each epoch in which there is a reason, until we have updated. M-UPD-09. */
  #adviseUpdate(): void {
    const { handle, status, pending, frozenUpTo, isLeaving, config, epoch } = this.#state;
    if (status !== "active" || this.host.isReadOnly) return;
    if (pending !== undefined || frozenUpTo !== undefined || isLeaving) return;
    for (const { ownUpdate } of this.#state.proposals.values()) if (ownUpdate !== undefined) return;
    const { groupId, epoch: number } = epoch.context;
    if (this.host.advised.get(handle) === number) return;
    const { now } = this.environment;
    if (reasonsToUpdate(this.#state, now, config.updatePolicy).length === 0) return;
    this.emit({ type: "updateAdvised", groupId, epoch: number });
    this.transaction.onCommit(() => this.host.advised.set(handle, number));
  }

  /** Whether our ratchet may go on. @throws StateError `RATCHET_EXHAUSTED` */
  requireGeneration(kind: RatchetKind): void {
    const { secretTree, ownLeaf } = this.#state.epoch;
    const { maximumGenerations } = this.environment.limits;
    if (secretTree.nextGeneration(ownLeaf, kind) < maximumGenerations) return;
    throw new StateError("RATCHET_EXHAUSTED", "the ratchet of this epoch is used up", {
      rule: "mk-43",
    });
  }

  /** @throws UsageError `READ_ONLY` in a snapshot */
  requireWritable(): void {
    if (this.host.isReadOnly) throw readOnly();
  }

  /** Whether content may be encrypted at all. @throws StateError unless it may */
  requireWriter(): void {
    this.requireWritable();
    this.requireActive();
    if (this.#state.frozenUpTo === undefined) return;
    throw new StateError("ROLLBACK_SUSPECTED", "a copy of this state may have used the same keys");
  }

  /** @throws StateError unless content may be encrypted and no Commit of ours waits */
  requireIdle(): void {
    this.requireWriter();
    this.requireNoCommit();
  }

  /** @throws StateError `PENDING_COMMIT` */
  requireNoCommit(): void {
    if (this.#state.pending === undefined) return;
    throw new StateError("PENDING_COMMIT", "a Commit of ours is pending", { rule: "mk-81" });
  }

  /** @throws StateError unless the group is active */
  requireActive(): void {
    checkActive(this.#state);
  }
}

/** @throws StateError unless the group is active */
export function checkActive({ status }: Pick<GroupState, "status">): void {
  switch (status) {
    case "active":
      return;
    case "pendingJoin":
      throw new StateError("PENDING_JOIN", "our join is not accepted yet");
    case "suspended":
      throw new StateError("GROUP_SUSPENDED", "the group was closed by a ReInit", {
        rule: "mk-104",
      });
    case "inactive":
      throw new StateError("GROUP_INACTIVE", "we are no member of this group any more", {
        rule: "mk-46",
      });
  }
}

/** @throws StateError unless the epoch's secrets are ours to use */
export function checkSecrets({ status }: Pick<GroupState, "status">): void {
  if (status === "active" || status === "suspended") return;
  const code = status === "inactive" ? "GROUP_INACTIVE" : "PENDING_JOIN";
  throw new StateError(code, "the group has no secrets to export", { rule: "mk-110" });
}
