/** A member that only follows: what passive-client vectors are about. RFC 9420 §12.4.2. */
import { toHex } from "../../../src/codec/index.ts";
import type { Secret } from "../../../src/crypto/index.ts";
import { decodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { checkGroupAndEpoch, OpenedContent, VerifiedContent } from "../../../src/group/content.ts";
import { type Environment, wireTypes } from "../../../src/group/environment.ts";
import type { Epoch } from "../../../src/group/epoch.ts";
import { currentKeys } from "../../../src/group/past-epoch.ts";
import { processCommit } from "../../../src/group/process-commit.ts";
import { type CachedProposal, cacheKey } from "../../../src/group/proposal-entry.ts";
import { acceptProposal } from "../../../src/group/proposal-message.ts";
import { CheckFailed, type Checks } from "../checks.ts";

export class PassiveMember {
  readonly environment: Environment;
  readonly #checks: Checks;
  /** Of every epoch that we were in, beginning with the one that we joined. */
  readonly #resumptionPsks = new Map<string, Secret>();
  readonly #proposals = new Map<string, CachedProposal>();
  #epoch: Epoch | undefined;

  /** `environment` knows the external PSKs; resumption PSKs are our own. */
  constructor(checks: Checks, environment: Environment) {
    this.#checks = checks;
    const psks: Environment["psks"] = (id) => {
      if (id.type !== "resumption") return environment.psks(id);
      return this.#resumptionPsks.get(`${toHex(id.groupId)}/${id.epoch}`);
    };
    this.environment = { ...environment, psks };
  }

  enter(epoch: Epoch): void {
    this.#epoch = epoch;
    this.#proposals.clear();
    const { groupId, epoch: number } = epoch.context;
    this.#resumptionPsks.set(`${toHex(groupId)}/${number}`, epoch.secrets.resumptionPsk);
  }

  get epoch(): Epoch {
    return this.#current;
  }

  /** Of the current epoch, in order of arrival. */
  get proposals(): readonly CachedProposal[] {
    return [...this.#proposals.values()];
  }

  /** Takes up a proposal of our own. */
  remember(cached: CachedProposal): void {
    this.#proposals.set(cacheKey(cached.reference), cached);
  }

  get authenticator(): Uint8Array {
    return this.#current.secrets.epochAuthenticator.bytes;
  }

  async receiveProposal(bytes: Uint8Array): Promise<void> {
    const verified = await this.#open(bytes);
    if (verified.content.contentType !== "proposal") {
      throw new CheckFailed("proposals", `it is a message of type ${verified.content.contentType}`);
    }
    const cached = await acceptProposal(this.#current, verified, this.environment);
    this.remember(cached);
    this.#checks.that("proposals", true, "");
    if (verified.change !== undefined) this.#checks.that("private messages", true, "");
  }

  async receiveCommit(bytes: Uint8Array): Promise<void> {
    const verified = await this.#open(bytes);
    const { content } = verified;
    if (content.contentType !== "commit") {
      throw new CheckFailed("commits", `it is a message of type ${content.contentType}`);
    }
    const epoch = this.#current;
    const staged = await processCommit(epoch, verified, this.#proposals, this.environment);
    if (staged.next === undefined) {
      throw new CheckFailed("commits", "the client was removed and cannot follow any further");
    }
    this.#count(content.commit.path !== undefined, verified);
    for (const { proposal, type } of this.#committed(content.commit.proposals)) {
      this.#checks.that(`${type} ${proposal}`, true, "");
    }
    this.enter(staged.next);
  }

  #count(hasPath: boolean, { sender, change }: VerifiedContent): void {
    this.#checks.that("commits", true, "");
    if (hasPath) this.#checks.that("commits with a path", true, "");
    if (sender.type === "newMemberCommit") this.#checks.that("external commits", true, "");
    if (change !== undefined) this.#checks.that("private messages", true, "");
  }

  *#committed(
    items: readonly { readonly type: string }[],
  ): Generator<{ readonly proposal: string; readonly type: string }> {
    for (const item of items) {
      if ("proposal" in item) {
        yield { proposal: (item.proposal as { type: string }).type, type: "by value:" };
      } else if ("reference" in item) {
        const cached = this.#proposals.get(cacheKey(item.reference as Uint8Array));
        if (cached !== undefined) yield { proposal: cached.proposal.type, type: "by reference:" };
      }
    }
  }

  async #open(bytes: Uint8Array): Promise<VerifiedContent> {
    const epoch = this.#current;
    const { crypto, context } = epoch;
    const types = wireTypes(this.environment);
    const keys = currentKeys(epoch);
    const message = decodeMlsMessage(bytes, types);
    let opened: OpenedContent | "own";
    if (message.wireFormat === "publicMessage") {
      const { content } = message.message;
      checkGroupAndEpoch(content, context, content.content.contentType === "commit");
      const key = epoch.secrets.membershipKey;
      opened = OpenedContent.fromPublic(crypto, message.message, epoch.contextBytes, key);
    } else if (message.wireFormat === "privateMessage") {
      checkGroupAndEpoch(message.message, context, message.message.contentType === "commit");
      opened = OpenedContent.fromPrivate(keys, message.message, this.environment.limits, types);
    } else {
      throw new CheckFailed("messages", `a ${message.wireFormat} is no handshake message`);
    }
    if (opened === "own") throw new CheckFailed("messages", "the client itself is the sender");
    const verified = await VerifiedContent.verify(crypto, opened, keys);
    if (verified.change !== undefined) epoch.secretTree.apply(verified.change);
    return verified;
  }

  get #current(): Epoch {
    if (this.#epoch === undefined) throw new Error("the client has not joined");
    return this.#epoch;
  }
}
