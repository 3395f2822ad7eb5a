/**
 * A member by mlskit's group functions. Handshake messages are public, application ones private; so
 * are a proposal to add somebody and a bare Commit, because those they are compared with are.
 */
import type { CommitChanges, CommitResult, Member } from "./boundary.ts";
import { type StoredGroup, storeEpoch } from "./low-level-storage.ts";
import {
  application,
  type CachedProposal,
  codec,
  commits,
  content,
  type Environment,
  environments,
  type Epoch,
  epochs,
  groupInfos,
  messages,
  padding,
  pastEpochs,
  processing,
  type Proposal,
  proposals,
  type WireTypes,
} from "./internals.ts";

const types: WireTypes = environments.wireTypes({
  types: { proposals: new Map(), credentials: new Map(), extensions: new Set() },
  limits: environments.DEFAULT_LIMITS,
});

export class LowLevelMember implements Member {
  readonly #environment: Environment;
  #epoch: Epoch;
  #pending: CachedProposal[] = [];

  constructor(epoch: Epoch, environment: Environment) {
    this.#epoch = epoch;
    this.#environment = environment;
  }

  get leaf(): number {
    return this.#epoch.ownLeaf;
  }

  get tree(): Epoch["tree"] {
    return this.#epoch.tree;
  }

  async store(): Promise<StoredGroup> {
    return storeEpoch(this.#epoch);
  }

  authenticator(): Uint8Array {
    return this.#epoch.secrets.epochAuthenticator.bytes;
  }

  async commit({ add = [], remove = [], bare = false }: CommitChanges = {}): Promise<CommitResult> {
    const changes: Proposal[] = [];
    for (const removed of remove) changes.push({ type: "remove", removed });
    for (const bytes of add) changes.push(addOf(bytes));
    const made = await commits.createCommit(
      this.#epoch,
      {
        proposals: changes,
        pending: this.#pending,
        forcePath: !bare,
        authenticatedData: codec.EMPTY_BYTES,
        wireFormat: bare ? "privateMessage" : "publicMessage",
        padding: padding.noPadding,
        ratchetTree: !bare,
      },
      this.#environment,
    );
    this.#move(made.next);
    return { commit: made.commit, welcome: made.welcomes[0]?.bytes };
  }

  async proposeAdd(keyPackage: Uint8Array): Promise<Uint8Array> {
    return this.#propose(addOf(keyPackage), "privateMessage");
  }

  async proposeUpdate(): Promise<Uint8Array> {
    const { proposal, ownUpdate } = await proposals.createUpdate(
      this.#epoch,
      {},
      this.#environment,
    );
    return this.#propose(proposal, "publicMessage", ownUpdate);
  }

  async #propose(
    proposal: Proposal,
    wireFormat: "publicMessage" | "privateMessage",
    ownUpdate?: Parameters<typeof proposals.createProposal>[4],
  ): Promise<Uint8Array> {
    const sent = await proposals.createProposal(
      this.#epoch,
      proposal,
      {
        authenticatedData: codec.EMPTY_BYTES,
        wireFormat,
        padding: padding.noPadding,
      },
      this.#environment,
      ownUpdate,
    );
    if (sent.change !== undefined) this.#epoch.secretTree.apply(sent.change);
    this.#pending.push(sent.cached);
    return sent.bytes;
  }

  async process(message: Uint8Array): Promise<void> {
    const verified = await this.#open(message);
    if (verified.content.contentType === "proposal") {
      this.#pending.push(await proposals.acceptProposal(this.#epoch, verified, this.#environment));
      return;
    }
    const cache = new Map(
      this.#pending.map((entry) => [codec.bytesKey(entry.reference), entry] as const),
    );
    const staged = await processing.processCommit(this.#epoch, verified, cache, this.#environment);
    if (staged.next !== undefined) this.#move(staged.next);
  }

  async send(data: Uint8Array): Promise<Uint8Array> {
    const sent = await application.protectApplicationData(this.#epoch, {
      data,
      authenticatedData: codec.EMPTY_BYTES,
      padding: padding.noPadding,
    });
    this.#epoch.secretTree.apply(sent.change);
    return sent.bytes;
  }

  async receive(message: Uint8Array): Promise<Uint8Array> {
    const { content: received } = await this.#open(message);
    if (received.contentType !== "application") throw new Error("not an application message");
    return received.applicationData;
  }

  async groupInfo(): Promise<Uint8Array> {
    const { ownLeaf, signer } = this.#epoch;
    const message = await groupInfos.createGroupInfo(this.#epoch, ownLeaf, signer, {
      ratchetTree: true,
      externalPub: true,
    });
    return messages.encodeMlsMessage({ wireFormat: "groupInfo", message });
  }

  async #open(bytes: Uint8Array) {
    const message = messages.decodeMlsMessage(bytes, types);
    const epoch = this.#epoch;
    const keys = pastEpochs.currentKeys(epoch);
    const opened =
      message.wireFormat === "privateMessage"
        ? content.OpenedContent.fromPrivate(keys, message.message, this.#environment.limits, types)
        : message.wireFormat === "publicMessage"
          ? content.OpenedContent.fromPublic(
              epoch.crypto,
              message.message,
              epoch.contextBytes,
              epoch.secrets.membershipKey,
            )
          : "own";
    if (opened === "own") throw new Error("a message of our own, or none that a group handles");
    const verified = await content.VerifiedContent.verify(epoch.crypto, opened, keys);
    if (verified.change !== undefined) epoch.secretTree.apply(verified.change);
    return verified;
  }

  #move(next: Epoch): void {
    epochs.eraseEpoch(this.#epoch, next);
    this.#epoch = next;
    this.#pending = [];
  }
}

function addOf(keyPackage: Uint8Array): Proposal {
  const message = messages.decodeMlsMessage(keyPackage, types);
  if (message.wireFormat !== "keyPackage") throw new Error("not a key package");
  return { type: "add", keyPackage: message.message };
}
