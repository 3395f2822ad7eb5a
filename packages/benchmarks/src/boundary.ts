/**
 * What is measured, seen from outside: bytes in, bytes out. Everything that times mlskit is written
 * against these interfaces, so that a second implementation measures another layer of it.
 */

/** A member to be: its key package as an MLSMessage. What else belongs to it stays inside. */
export interface Invitation {
  readonly keyPackage: Uint8Array;
}

export interface CommitResult {
  /** An MLSMessage. */
  readonly commit: Uint8Array;
  /** An MLSMessage for all that were added; undefined if nobody was. */
  readonly welcome: Uint8Array | undefined;
}

/** A member of a group. Each call ends in the state after it: Commits of our own are merged. */
export interface Member {
  readonly leaf: number;
  /** Adds these key packages, removes these leaves, and sends a path unless it is bare. */
  commit(changes?: CommitChanges): Promise<CommitResult>;
  /** A PrivateMessage that proposes to add this key package, which the next Commit carries out. */
  proposeAdd(keyPackage: Uint8Array): Promise<Uint8Array>;
  /** An Update proposal for our own leaf. */
  proposeUpdate(): Promise<Uint8Array>;
  /** Follows a Commit or keeps a proposal. */
  process(message: Uint8Array): Promise<void>;
  send(data: Uint8Array): Promise<Uint8Array>;
  receive(message: Uint8Array): Promise<Uint8Array>;
  /** A GroupInfo with tree and external_pub. */
  groupInfo(): Promise<Uint8Array>;
  /** The same for all members of an epoch. */
  authenticator(): Uint8Array;
  /** Everything about the group as the client keeps it, written into an empty store. */
  store(): Promise<Stored>;
}

export interface Stored {
  /** Keys and values. */
  readonly bytes: number;
}

export interface CommitChanges {
  readonly add?: readonly Uint8Array[];
  readonly remove?: readonly number[];
  /** A PrivateMessage, without a path where none is demanded, and without the tree in the Welcome. */
  readonly bare?: boolean;
}

/** One library on one suite. `I` is its own form of an invitation. */
export interface Library<
  I extends Invitation = Invitation,
  M extends Member = Member,
  S extends Stored = Stored,
> {
  invitation(name: string): Promise<I>;
  create(creator: I): Promise<M>;
  join(invitation: I, welcome: Uint8Array): Promise<M>;
  load(stored: S): Promise<M>;
  /** The commit for the others, and the member. */
  joinExternally(
    invitation: I,
    groupInfo: Uint8Array,
  ): Promise<{ readonly commit: Uint8Array; readonly member: M }>;
  /** As a process that has not seen any of these keys: no cached imports. */
  forget(): void;
}
