/** One member of a conversation, whichever implementation it is. Bytes in, bytes out. */

/** What a Commit sends to those who are members, and to those whom it adds. */
export interface Made {
  /** In the order in which members must take them. */
  readonly messages: readonly Uint8Array[];
  readonly welcome?: Uint8Array | undefined;
  /** Raw, for those who do not look for it in the Welcome, or do not put it there. */
  readonly ratchetTree?: Uint8Array | undefined;
}

/** Methods that are optional are missing where the package has no such function. */
export interface Party {
  readonly name: string;
  readonly isOurs: boolean;
  /** A complete MLSMessage. */
  keyPackage(): Promise<Uint8Array>;
  create(groupId: Uint8Array): Promise<void>;
  join(welcome: Uint8Array, ratchetTree: Uint8Array | undefined): Promise<void>;
  add(keyPackage: Uint8Array): Promise<Made>;
  /** A Commit without proposals. */
  refresh?(): Promise<Made>;
  proposeRemove?(name: string): Promise<Uint8Array>;
  /** A Commit of what others proposed. */
  commitProposals?(): Promise<Made>;
  groupInfo?(): Promise<Uint8Array>;
  /** The external Commit. */
  joinExternally?(groupInfo: Uint8Array): Promise<Uint8Array>;
  write(text: string): Promise<Uint8Array>;
  /** Takes any message; the text if it carries one. */
  read(message: Uint8Array): Promise<string | undefined>;
  exported(): Promise<Uint8Array>;
}

export const EXPORT = { label: "conversation", context: new Uint8Array([1, 2, 3]), length: 40 };
