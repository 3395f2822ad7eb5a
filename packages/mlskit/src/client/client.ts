/** The entry point for applications: identities, key packages and groups over one store. */
import { equalBytes } from "../codec/index.ts";
import { Secret } from "../crypto/index.ts";
import { UsageError } from "../errors.ts";
import { createGroup } from "../group/create-group.ts";
import { wireTypes } from "../group/environment.ts";
import type { CreatedWelcome } from "../group/welcome-creation.ts";
import type { StagedJoin } from "../group/join-by-welcome.ts";
import type { ClientCore } from "./session/client-core.ts";
import {
  type CompleteOptions,
  type CreateGroupRequest,
  coreOf,
  type NewIdentityOptions,
} from "./client-options.ts";
import { configWith } from "./state/settings.ts";
import { enterExternally, enterGroup, enterStaged, writeSuccessor } from "./joining/enter-group.ts";
import type { ClientEvent, EventListener } from "./state/events.ts";
import { Group, requireSome } from "./group.ts";
import type { GroupAccess } from "./session/group-access.ts";
import { requireNotMoved } from "./session/not-moved.ts";
import type { GroupSession } from "./session/session.ts";
import {
  createIdentity,
  findIdentity,
  type Identity,
  type IdentitySelector,
  listIdentities,
} from "./identity/identity.ts";
import { removeIdentity } from "./identity/remove-identity.ts";
import {
  checkGroupInfo,
  requireFree,
  type ExternalJoinRequest,
  type JoinOptions,
  peekWelcome,
  reportFailure,
  isFaultOfOthers,
  stageWelcome,
  type WelcomePeek,
} from "./joining/join.ts";
import {
  countKeyPackages,
  type KeyPackageOptions,
  type KeyPackageStock,
  listKeyPackages,
  makeKeyPackage,
  type PublishedKeyPackage,
  pruneKeyPackages,
  publishKeyPackages,
  removeKeyPackage,
  type StoredKeyPackage,
  storeKeyPackage,
  takeKeyPackage,
} from "./identity/key-packages.ts";
import { decodeKeyPackage, readArrived } from "./state/messages.ts";
import { type CommitRequest, type PendingCommitView, stageOwnCommit } from "./sending/commit.ts";
import { createNewMemberProposal, type GroupAddress } from "../group/external-proposal.ts";
import type { PskName } from "../key-schedule/pre-shared-key.ts";
import type { ValidatedGroupInfo } from "../group/validate-group-info.ts";
import type { Outcome } from "./state/outcome.ts";
import { acceptJoin } from "./receiving/commit-outcome.ts";
import { rejectJoin } from "./receiving/complete-join.ts";
import { invalid } from "./receiving/failed-message.ts";
import { processForGroup, type ProcessOptions, toReceiver } from "./receiving/process.ts";
import { dropExpired, hasExpired, infoOf } from "./receiving/receive.ts";
import { encodeRecord, decodeRecord, metaRecord, pskRecord } from "./records/record-codecs.ts";
import { GroupKeys, META_KEY, PSK_PREFIX, pskKey, pskName } from "./records/record-keys.ts";
import { ClientTransaction, type TransactionOptions } from "./client-transaction.ts";
import { type BranchRequest, makeBranch, type SuccessorRequest } from "./joining/successor.ts";
import { freezeClient } from "./rollback.ts";
import { snapshotOf } from "./session/snapshot.ts";
import { Transaction } from "./records/transaction.ts";
import { readGroups, type UnreadableGroup } from "./session/unreadable.ts";

/** A group that was just made, with what its first members need in order to join. */
export interface NewGroup {
  readonly group: Group;
  readonly welcomes: readonly CreatedWelcome[];
  /** If it is not in the Welcomes. */
  readonly ratchetTree: Uint8Array | undefined;
  /** Names the Commit that added them, for {@link Group.handedOut}. */
  readonly confirmationTag: Uint8Array;
}

const DEFAULT_SUITE = 1;
/** Private keys outlive their package, for a Welcome may still be on its way. */
const KEY_PACKAGE_TARGET = 50;
const KEY_PACKAGE_GRACE = 14n * 86_400n;

/** What a client is made of, for the modules beside it that an application may leave out. */
export let coreOfClient: (client: Client) => ClientCore;

/** All methods that change something are durable when they return. */
export class Client {
  static {
    coreOfClient = (client) => client.#core;
  }

  readonly #core: ClientCore;
  #identity: Identity;

  protected constructor(core: ClientCore, identity: Identity) {
    this.#core = core;
    this.#identity = identity;
  }

  /** A new client in an empty store. @throws UsageError `IDENTITY_EXISTS` */
  static async create(options: CompleteOptions & NewIdentityOptions): Promise<Client> {
    const core = coreOf(options);
    await requireNotMoved(core.storage);
    const suite = options.cipherSuite ?? DEFAULT_SUITE;
    core.options.provider.suite(suite);
    const transaction = new Transaction(core.storage);
    if ((await core.storage.get(META_KEY)) !== undefined) {
      throw new UsageError("IDENTITY_EXISTS", "the store holds a client already");
    }
    const instance = core.options.provider.suite(suite).randomBytes(16);
    transaction.expect(META_KEY, 0);
    transaction.put(META_KEY, encodeRecord(metaRecord, { instance, nextHandle: 0 }));
    const { identity, signer } = options;
    const created = await createIdentity(core, transaction, identity, suite, signer);
    // A guard may remember a store that was lost. In this one is nothing to be frozen.
    await core.storage.acceptRollback?.();
    await transaction.commit();
    return new this(core, created);
  }

  /**
   * The client that a store holds.
   *
   * If the store finds that it was set back, all groups are frozen: see {@link suspectRollback}.
   * @throws StateError `SIGNER_NOT_FOUND`, `CLIENT_MOVED`, StorageError
   */
  static async open(options: CompleteOptions & Partial<NewIdentityOptions>): Promise<Client> {
    const core = coreOf(options);
    const client = new this(core, await storedIdentity(core, options));
    if (options.storage.rollback === "suspected") {
      await client.suspectRollback();
      await options.storage.acceptRollback?.();
    }
    return client;
  }

  /**
   * The client as its store holds it now, for push extensions and workers that only read: it opens
   * messages, and sends and stores nothing. The store is not touched any more; the keys of what is
   * read stay there for the client that owns it. P-MP-08.
   */
  static async openSnapshot(
    options: CompleteOptions & Partial<NewIdentityOptions>,
  ): Promise<Client> {
    const storage = await snapshotOf(options.storage);
    const core = coreOf({ ...options, storage }, true);
    return new this(core, await storedIdentity(core, options));
  }

  /**
   * The store came from a backup, or a copy of it may be in use: from here on no group encrypts in an
   * epoch that the other copy may have reached ({@link Group.isFrozen}), and the key packages that
   * are left are deleted. Receiving goes on. A resync heals a group, and so does, where there is no
   * other copy any more, a Commit of another member after {@link Group.limitRollback}. P-MP-06.
   */
  suspectRollback(): Promise<void> {
    this.#core.requireWritable();
    return freezeClient(this.#core);
  }

  /** The identity used unless another is named. */
  get identity(): Identity {
    return this.#identity;
  }

  /** Uses another identity from now on, where none is named. */
  useIdentity(identity: Identity): void {
    this.#identity = identity;
  }

  identities(selector?: IdentitySelector): Promise<Identity[]> {
    return listIdentities(this.#core, selector);
  }

  /** One more identity, for other groups or suites. @throws UsageError `IDENTITY_EXISTS` */
  addIdentity(options: NewIdentityOptions): Promise<Identity> {
    const { identity, cipherSuite = DEFAULT_SUITE, signer } = options;
    return this.#core.write((transaction) => {
      return createIdentity(this.#core, transaction, identity, cipherSuite, signer);
    });
  }

  /**
   * Deletes an identity with its signature key and its unused key packages. If it was the one used
   * by default, the oldest of the others takes its place.
   *
   * @throws UsageError `CREDENTIAL_IN_USE`
   */
  async removeIdentity(identity: Pick<Identity, "signatureKey">): Promise<void> {
    const [first] = await this.#core.write((transaction) => {
      return removeIdentity(this.#core, transaction, identity);
    });
    const isDefault = equalBytes(identity.signatureKey, this.#identity.signatureKey);
    if (isDefault && first !== undefined) this.#identity = first;
  }

  // Key packages

  /** A write of its own, inside of {@link transaction} as well: it stays if that fails. */
  async createKeyPackage(
    options: KeyPackageOptions & { readonly identity?: Identity } = {},
  ): Promise<PublishedKeyPackage> {
    const [published] = await this.createKeyPackages(1, options);
    if (published === undefined) throw new UsageError("EMPTY_INPUT", "the list is empty");
    return published;
  }

  /** Many at once, in one transaction. */
  createKeyPackages(
    count: number,
    options: KeyPackageOptions & { readonly identity?: Identity } = {},
  ): Promise<PublishedKeyPackage[]> {
    const { identity = this.#identity } = options;
    return this.#core.write((transaction) =>
      publishKeyPackages(this.#core, transaction, identity, count, options),
    );
  }

  keyPackages(): Promise<StoredKeyPackage[]> {
    return listKeyPackages(this.#core);
  }

  deleteKeyPackage(reference: Uint8Array): Promise<void> {
    return this.#core.write(async (transaction) =>
      removeKeyPackage(transaction, reference, this.#core.options.clock()),
    );
  }

  /** Usable key packages per identity, and how many to make and publish. Rule P-KP-01. */
  async keyPackageStock(target: number = KEY_PACKAGE_TARGET): Promise<readonly KeyPackageStock[]> {
    const count = await countKeyPackages(this.#core);
    return (await this.identities()).map((identity) => {
      const { cipherSuite, signatureKey } = identity;
      const available = count(signatureKey);
      const isLow = available < this.#core.options.keyPackageThreshold;
      return { identity, cipherSuite, available, missing: isLow ? target - available : 0 };
    });
  }

  /** Deletes packages that expired longer ago than the grace time; how many. */
  pruneKeyPackages(grace: bigint = KEY_PACKAGE_GRACE): Promise<number> {
    return this.#core.write((transaction) => pruneKeyPackages(this.#core, transaction, grace));
  }

  // Groups

  /** @throws StateError `GROUP_EXISTS`, UsageError `INVALID_EXTENSION` */
  createGroup(request: CreateGroupRequest = {}): Promise<Group> {
    return this.#create(request);
  }

  #create(
    request: CreateGroupRequest,
    also?: (session: GroupSession) => Promise<unknown>,
  ): Promise<Group> {
    return this.#core.write(async (transaction) => {
      const identity = request.identity ?? this.#identity;
      const signer = await this.#core.signerFor(transaction, identity.signatureKey);
      const { crypto, ...creator } =
        request.keyPackage === undefined
          ? await makeKeyPackage(this.#core, identity, signer, request.leaf ?? {})
          : await takeKeyPackage(this.#core, transaction, request.keyPackage);
      const groupId = request.groupId?.slice() ?? crypto.randomBytes(crypto.suite.kdf.size);
      await requireFree(this.#core, groupId, request.replace === true);
      const config = configWith(this.#core.options.config, request.config);
      const environment = this.#core.environment(transaction, config);
      const extensions = request.extensions ?? [];
      const epoch = await createGroup({ crypto, groupId, extensions, creator }, environment);
      creator.initKey.erase();
      return this.#open(await enterGroup(this.#core, transaction, epoch, config, { also }));
    });
  }

  /**
   * A new group with its first members: Commit and Welcomes are made in the same write, and wait for
   * {@link Group.acceptCommit}.
   */
  async createGroupWith(
    keyPackages: readonly Uint8Array[],
    request: CreateGroupRequest = {},
    commit: CommitRequest = {},
  ): Promise<{ readonly group: Group; readonly pending: PendingCommitView }> {
    this.#checkSuite(keyPackages, request);
    requireSome(keyPackages);
    const staged: PendingCommitView[] = [];
    const group = await this.#create(request, async (session) => {
      staged[0] = await stageOwnCommit(session, { ...commit, add: keyPackages });
    });
    return { group, pending: staged[0] as PendingCommitView };
  }

  /** The suite that all these clients and we support, the one we prefer. RFC 9420 §11. */
  bestCipherSuite(keyPackages: readonly Uint8Array[]): number | undefined {
    const { options } = this.#core;
    const packages = keyPackages.map((bytes) => decodeKeyPackage(bytes, options));
    return options.provider.suites.find((suite) => {
      return packages.every(({ leafNode }) => leafNode.capabilities.cipherSuites.includes(suite));
    });
  }

  /** Rule mk-109: a lesser suite must be asked for by name. */
  #checkSuite(keyPackages: readonly Uint8Array[], request: CreateGroupRequest): void {
    if (request.identity !== undefined) return;
    const best = this.bestCipherSuite(keyPackages);
    if (best === undefined || best === this.#identity.cipherSuite) return;
    throw new UsageError("DOWNGRADE", "all invited clients support a suite that is preferred", {
      rule: "mk-109",
      details: { cipherSuite: best },
    });
  }

  /** @throws StateError `GROUP_NOT_FOUND` */
  async group(groupId: Uint8Array): Promise<Group> {
    return this.#open(await this.#core.handleOf(groupId));
  }

  /** All that can be read; others are in {@link unreadableGroups}, and hold up nobody. */
  async groups(): Promise<Group[]> {
    return (await readGroups(this.#core, (handle) => this.#open(handle))).groups;
  }

  /**
   * Groups whose records are damaged, or whose signer or tree is not at hand. {@link deleteGroup}
   * deletes them, too.
   */
  async unreadableGroups(): Promise<UnreadableGroup[]> {
    return (await readGroups(this.#core, (handle) => this.#open(handle))).unreadable;
  }

  /** Deletes everything about a group, also if it cannot be read. Tells nobody. */
  async deleteGroup(groupId: Uint8Array): Promise<void> {
    this.#core.requireWritable();
    await this.#core.deleteGroup(groupId);
  }

  // Joining

  /** Looks into a Welcome without validating or storing anything. */
  peekWelcome(welcome: Uint8Array): Promise<WelcomePeek> {
    return peekWelcome(this.#core, welcome);
  }

  /** Validates a Welcome; nothing is stored, and the result may be dropped. */
  async stageWelcome(welcome: Uint8Array, options: JoinOptions = {}): Promise<StagedJoin> {
    try {
      return await stageWelcome(this.#core, welcome, options);
    } catch (error) {
      if (!isFaultOfOthers(error)) throw error;
      // Whether or not that can be stored.
      await reportFailure(this.#core, welcome, error).catch(() => undefined);
      throw error;
    }
  }

  /** Enters the group of a staged Welcome and uses up its key package. */
  async enter(staged: StagedJoin, options: JoinOptions = {}): Promise<Group> {
    const config = configWith(this.#core.options.config, options.config);
    return this.#open(await enterStaged(this.#core, staged, config));
  }

  /** Joins by a Welcome: stage and enter. */
  async join(welcome: Uint8Array, options: JoinOptions = {}): Promise<Group> {
    return this.enter(await this.stageWelcome(welcome, options), options);
  }

  /**
   * Joins by an external commit. The group is `pendingJoin` until the commit comes back from the
   * delivery service, or {@link acceptJoin} says that it was accepted.
   */
  async joinExternally(
    groupInfo: Uint8Array,
    request: ExternalJoinRequest & { readonly identity?: Identity } = {},
  ): Promise<{ readonly group: Group; readonly commit: Uint8Array }> {
    const identity = request.identity ?? this.#identity;
    const config = configWith(this.#core.options.config, request.config);
    const made = await enterExternally(this.#core, identity, groupInfo, request, config);
    return { group: await this.#open(made.handle), commit: made.commit };
  }

  /** The delivery service accepted our external commit. Outcomes of messages that came meanwhile. */
  async acceptJoin(groupId: Uint8Array): Promise<readonly Outcome[]> {
    const access = await this.#access(await this.#core.handleOf(groupId));
    return access.operate((session) => acceptJoin(toReceiver(access), session));
  }

  /** The delivery service refused it: the new state is deleted, a former one is back in force. */
  async rejectJoin(groupId: Uint8Array): Promise<void> {
    let isDone = false;
    // A later join may take its place meanwhile.
    while (!isDone) {
      isDone = await this.#core.operate(await this.#core.handleOf(groupId), rejectJoin);
    }
  }

  /** Checks a GroupInfo and its tree without joining. Nothing is stored. */
  checkGroupInfo(groupInfo: Uint8Array, ratchetTree?: Uint8Array): Promise<ValidatedGroupInfo> {
    return checkGroupInfo(this.#core, groupInfo, ratchetTree);
  }

  /**
   * Proposes to a group that it adds us. The key package stays here for the Welcome.
   * RFC 9420 §12.1.8.
   */
  proposeJoin(
    group: GroupAddress,
    options: KeyPackageOptions & { readonly identity?: Identity } = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly keyPackage: PublishedKeyPackage }> {
    return this.#core.write(async (transaction) => {
      const identity = options.identity ?? this.#identity;
      const signer = await this.#core.signerFor(transaction, identity.signatureKey);
      const made = await makeKeyPackage(this.#core, identity, signer, options);
      const keyPackage = storeKeyPackage(transaction, made, this.#core.options.clock());
      return { bytes: await createNewMemberProposal(group, made.keyPackage, signer), keyPackage };
    });
  }

  // Successors

  /**
   * The successor of a group that ended with a ReInit; any member may make it, from key packages of
   * all others for the new cipher suite. The old group is closed. RFC 9420 §11.2.
   */
  async createSuccessor(
    groupId: Uint8Array,
    keyPackages: readonly Uint8Array[],
    request: SuccessorRequest = {},
  ): Promise<NewGroup> {
    const made = await writeSuccessor(this.#core, groupId, keyPackages, request);
    const { handle, welcomes, ratchetTree, confirmationTag } = made;
    return { group: await this.#open(handle), welcomes, ratchetTree, confirmationTag };
  }

  /** A group of its own for some members of another, which goes on unchanged. RFC 9420 §11.3. */
  createBranch(
    groupId: Uint8Array,
    keyPackages: readonly Uint8Array[],
    request: BranchRequest = {},
  ): Promise<NewGroup> {
    return this.#core.write(async (transaction) => {
      const parent = await this.#core.handleOf(groupId);
      const { state, version } = await this.#core.load(parent);
      // Who leaves it meanwhile is in no branch of it.
      transaction.expect(new GroupKeys(parent).version, version);
      const made = await makeBranch(this.#core, transaction, state, keyPackages, request);
      await requireFree(this.#core, made.next.context.groupId, false);
      const config = configWith(state.config, request.config);
      const handle = await enterGroup(this.#core, transaction, made.next, config, { made });
      const { welcomes, ratchetTree, confirmationTag } = made;
      return { group: await this.#open(handle), welcomes, ratchetTree, confirmationTag };
    });
  }

  // Receiving

  /** Takes any MLS message and finds its group. */
  async process(bytes: Uint8Array, options: ProcessOptions = {}): Promise<Outcome> {
    const arrived = readArrived(bytes, wireTypes(this.#core.options));
    if ("failure" in arrived) return invalid(arrived.failure, undefined);
    const { message } = arrived;
    if (message.wireFormat !== "publicMessage" && message.wireFormat !== "privateMessage") {
      return { kind: message.wireFormat, bytes };
    }
    const { groupId } = infoOf(message);
    const handle = await this.#core.findHandle(groupId);
    if (handle === undefined) return { kind: "unknownGroup", groupId };
    const access = await this.#access(handle);
    return access.operate((session) => processForGroup(access, session, arrived, options));
  }

  // PSKs

  /** Stores an external PSK, or one of a registered type, under its id. */
  putPsk(id: PskName, psk: Uint8Array): Promise<void> {
    return this.#core.write(async (transaction) => {
      transaction.put(
        pskKey(id),
        encodeRecord(pskRecord, { name: pskName(id), psk: new Secret(psk.slice()) }),
      );
    });
  }

  /** A PSK from the store. */
  async psk(id: PskName): Promise<Uint8Array | undefined> {
    this.#core.checkOpen();
    const record = await this.#core.storage.get(pskKey(id));
    return record === undefined
      ? undefined
      : decodeRecord(pskRecord, record.value).psk.bytes.slice();
  }

  deletePsk(id: PskName): Promise<void> {
    return this.#core.write(async (transaction) => transaction.delete(pskKey(id)));
  }

  /** Ids of the PSKs in the store, in hex; of those of registered types after the type and a colon. */
  async pskIds(): Promise<string[]> {
    const records = await this.#core.storage.list(PSK_PREFIX);
    return records.map(({ value }) => decodeRecord(pskRecord, value).name);
  }

  // Transactions and events

  /**
   * Several operations in one atomic write. Groups reached through the transaction see its changes,
   * others do not; a throw drops everything. Nothing that was made inside (messages, Commits) may
   * leave before this call has returned: if it fails, their keys will be used again. What is to be
   * sent is handed to {@link ClientTransaction.deliver}.
   *
   * Those that do not name their `groups` run one after the other; all hold theirs to the end. Nothing
   * inside may wait for another transaction, {@link suspectRollback}, {@link close}, or an operation on
   * a group not reached through this one, {@link createSuccessor} and joining a successor too: they wait
   * for it, unless a `signal` frees them.
   * @throws StorageError `STORAGE_CONFLICT` if another process was faster, or a group was replaced
   * meanwhile (`createGroup` with `replace`, joining over one that was closed); call it again then
   */
  async transaction<T>(
    work: (transaction: ClientTransaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    this.#core.requireWritable();
    return ClientTransaction.run(this.#core, work, options);
  }

  /** Calls back for every event, after it is durable. Returns the function that stops it. */
  on(listener: EventListener): () => void {
    return this.#core.events.on(listener);
  }

  /**
   * All events from this call on, whether or not they are awaited yet. Ends when `signal` aborts, when the
   * loop is left, and, after what was heard until then, when the client is closed.
   * @throws UsageError `CLIENT_CLOSED`
   */
  events(signal?: AbortSignal): AsyncIterableIterator<ClientEvent, void, void> {
    this.#core.checkOpen();
    return this.#core.events.stream(signal);
  }

  /**
   * Lets what has begun come to its end, then releases the store. Nothing begins any more. A callback
   * of {@link transaction} that never ends holds it up, unless a `signal` ends it.
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  async #open(handle: number): Promise<Group> {
    const access = await this.#access(handle);
    const { options } = this.#core;
    // Keys whose time is over go before the group is used.
    if (!options.isReadOnly && hasExpired(access.peek(), options.clock())) {
      await access.operate(dropExpired);
    }
    return new Group(access);
  }

  async #access(handle: number): Promise<GroupAccess> {
    const core = this.#core;
    const loaded = await core.load(handle);
    return {
      options: core.options,
      isTransaction: false,
      peek: () => core.stateOf(loaded),
      nextGeneration: () => {
        core.stateOf(loaded);
        return loaded.nextGeneration;
      },
      operate: (operation) => core.operate(handle, operation),
    };
  }
}

async function storedIdentity(
  core: ClientCore,
  { signer, identity, cipherSuite }: Partial<NewIdentityOptions>,
): Promise<Identity> {
  await requireNotMoved(core.storage);
  if (signer !== undefined) core.addSigner(signer);
  return findIdentity(core, { identity, cipherSuite });
}
