/**
 * Clients and groups on the level of the protocol's functions, without a client's storage: what a
 * member holds, how it takes in bytes, and how a group of them talks. RFC 9420 §6, §12, §14.
 */
import { createHash } from "node:crypto";
import { equalBytes, MLS10, toHex, utf8 } from "../../src/codec/index.ts";
import type { Credential } from "../../src/credentials/credential.ts";
import { type CryptoProvider, createSigner, Secret, type Signer } from "../../src/crypto/index.ts";
import { InternalError } from "../../src/errors.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import {
  checkGroupAndEpoch,
  type EpochKeys,
  OpenedContent,
  VerifiedContent,
} from "../../src/group/content.ts";
import { type Environment, type RegisteredTypes, wireTypes } from "../../src/group/environment.ts";
import type { Epoch, PublicEpoch } from "../../src/group/epoch.ts";
import {
  type KeyPackageBundle,
  openWelcome,
  type StagedJoin,
  stageJoin,
} from "../../src/group/join-by-welcome.ts";
import { currentKeys, type PastEpoch, pastKeys, retire } from "../../src/group/past-epoch.ts";
import {
  type PublicCommit,
  processCommit,
  processPublicCommit,
  type StagedCommit,
} from "../../src/group/process-commit.ts";
import { type CachedProposal, cacheKey } from "../../src/group/proposal-entry.ts";
import { acceptProposal } from "../../src/group/proposal-message.ts";
import { createKeyPackage } from "../../src/key-packages/create-key-package.ts";
import { keyPackageRef } from "../../src/key-packages/key-package.ts";
import { nodeProvider } from "../../src/providers/node.ts";
import type { Capabilities, Lifetime } from "../../src/tree/nodes.ts";
import { NOW } from "./environment.ts";
import { watch } from "./living.ts";

/** Reproducible: every run of a test file draws the same bytes. */
export function seededProvider(seed: string): CryptoProvider {
  let count = 0;
  const randomBytes = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = createHash("sha256").update(`${seed} ${count++}`).digest();
      bytes.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return bytes;
  };
  return nodeProvider({ randomBytes });
}

export const provider: CryptoProvider = seededProvider("mlskit");

export const LIFETIME: Lifetime = { notBefore: NOW - 3600n, notAfter: NOW + 86_400n };

export interface ClientOptions {
  readonly suite?: number;
  readonly capabilities?: Partial<Capabilities>;
  readonly credential?: Credential;
  readonly lifetime?: Lifetime;
  readonly signer?: Signer;
  /** Of the key package. */
  readonly extensions?: readonly Extension[];
  readonly leafExtensions?: readonly Extension[];
}

/** A client with a key package. */
export async function newClient(
  name: string,
  options: ClientOptions = {},
): Promise<KeyPackageBundle> {
  const suite = options.suite ?? 1;
  const crypto = provider.suite(suite);
  const signer = options.signer ?? (await newSigner(suite));
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential: options.credential ?? { type: "basic", identity: utf8(name) },
    capabilities: { ...capabilitiesFor(suite), ...options.capabilities },
    lifetime: options.lifetime ?? LIFETIME,
    extensions: options.extensions,
    leafExtensions: options.leafExtensions,
  });
  return watch({ keyPackage, ...privateKeys, signer });
}

export async function newSigner(suite = 1): Promise<Signer> {
  const crypto = provider.suite(suite);
  return createSigner(crypto, await crypto.generateSignatureKeyPair());
}

/** A fresh HPKE key pair of the suite. */
export async function newKeyPair(
  suite = 1,
): Promise<{ readonly publicKey: Uint8Array; readonly privateKey: Secret }> {
  const { publicKey, privateKey } = await provider.suite(suite).generateKeyPair();
  return { publicKey, privateKey: new Secret(privateKey) };
}

export function capabilitiesFor(suite: number): Capabilities {
  return {
    versions: [MLS10],
    cipherSuites: [suite],
    extensions: [],
    proposals: [],
    credentials: [1],
  };
}

/** What a message turned out to be. */
export type Received =
  | { readonly kind: "application"; readonly content: VerifiedContent }
  | { readonly kind: "proposal"; readonly cached: CachedProposal }
  | { readonly kind: "commit"; readonly staged: StagedCommit }
  | { readonly kind: "own" };

/** One member of a group with everything it holds. */
export class Party {
  readonly name: string;
  readonly bundle: KeyPackageBundle;
  epoch: Epoch;
  environment: Environment;
  /** False once a Commit removed this member. */
  isMember = true;
  readonly cache: Map<string, CachedProposal> = new Map();
  /** Latest first. */
  readonly past: PastEpoch[] = [];

  constructor(name: string, bundle: KeyPackageBundle, epoch: Epoch, environment: Environment) {
    this.name = name;
    this.bundle = bundle;
    this.epoch = epoch;
    this.environment = environment;
    watch(this);
  }

  get leaf(): number {
    return this.epoch.ownLeaf;
  }

  get types(): RegisteredTypes {
    return this.environment.types;
  }

  get signer(): Signer {
    return this.epoch.signer;
  }

  /** Takes in a message as a client does. If that fails, nothing has been applied. */
  async receive(bytes: Uint8Array): Promise<Received> {
    const { epoch, environment } = this;
    const opened = this.#open(bytes);
    if (opened === "own") return { kind: "own" };
    const [content, keys] = opened;
    const verified = await VerifiedContent.verify(
      epoch.crypto,
      content,
      keys,
      wireTypes(environment),
    );
    const received = await this.#act(verified, environment);
    if (content.change !== undefined) keys.secretTree.apply(content.change);
    if (received.kind === "proposal") this.remember(received.cached);
    if (received.kind === "commit") this.enter(received.staged.next);
    return received;
  }

  /** Caches a proposal of our own, or one that was received. */
  remember(cached: CachedProposal): void {
    this.cache.set(cacheKey(cached.reference), cached);
  }

  /** Goes on to the next epoch; undefined if there is none for us. */
  enter(next: Epoch | undefined): void {
    this.cache.clear();
    if (next === undefined) {
      this.isMember = false;
      return;
    }
    this.past.unshift(retire(this.epoch, this.environment.now));
    this.epoch = next;
  }

  #open(bytes: Uint8Array): readonly [OpenedContent, EpochKeys] | "own" {
    const { epoch, environment } = this;
    const types = wireTypes(environment);
    const { wireFormat, message } = decodeMlsMessage(bytes, types);
    if (wireFormat === "publicMessage") {
      const { content } = message;
      checkGroupAndEpoch(content, epoch.context, content.content.contentType === "commit");
      const { membershipKey } = epoch.secrets;
      const { crypto, contextBytes } = epoch;
      const opened = OpenedContent.fromPublic(crypto, message, contextBytes, membershipKey);
      return [opened, currentKeys(epoch)];
    }
    if (wireFormat !== "privateMessage") throw new InternalError("not a message to a group");
    const keys = this.#keysFor(message.epoch, message.contentType === "application");
    checkGroupAndEpoch(message, keys.context, message.contentType === "commit");
    const opened = OpenedContent.fromPrivate(keys, message, environment.limits, types);
    return opened === "own" ? opened : [opened, keys];
  }

  /** Application messages may belong to an epoch that is over. */
  #keysFor(epoch: bigint, isApplication: boolean): EpochKeys {
    const past = this.past.find(({ context }) => context.epoch === epoch);
    return isApplication && past !== undefined ? pastKeys(past) : currentKeys(this.epoch);
  }

  async #act(verified: VerifiedContent, environment: Environment): Promise<Received> {
    switch (verified.content.contentType) {
      case "application":
        return { kind: "application", content: verified };
      case "proposal":
        return {
          kind: "proposal",
          cached: await acceptProposal(this.epoch, verified, environment),
        };
      case "commit":
        return {
          kind: "commit",
          staged: await processCommit(this.epoch, verified, this.cache, environment),
        };
    }
  }
}

/** Follows a group without secrets. RFC 9420 §6.2. */
export class Observer {
  epoch: PublicEpoch;
  environment: Environment;
  readonly cache: Map<string, CachedProposal> = new Map();

  constructor(epoch: PublicEpoch, environment: Environment) {
    this.epoch = publicPart(epoch);
    this.environment = environment;
    watch(this);
  }

  /** Checks what can be checked; changes nothing but the cache of proposals. */
  async receive(bytes: Uint8Array): Promise<PublicCommit | CachedProposal> {
    const { crypto, context, contextBytes, tree } = this.epoch;
    const message = decodeMlsMessage(bytes, wireTypes(this.environment));
    if (message.wireFormat !== "publicMessage") throw new InternalError("not readable from here");
    const { content } = message.message;
    checkGroupAndEpoch(content, context, content.content.contentType === "commit");
    const opened = OpenedContent.fromPublic(crypto, message.message, contextBytes, undefined);
    type Leaf = Parameters<typeof tree.leaf>[0];
    const signatureKey = (leaf: number) => tree.leaf(leaf as Leaf)?.signatureKey;
    const keys = { context, contextBytes, signatureKey };
    const verified = await VerifiedContent.verify(
      crypto,
      opened,
      keys,
      wireTypes(this.environment),
    );
    if (verified.content.contentType === "proposal") {
      const cached = await acceptProposal(this.epoch, verified, this.environment);
      this.cache.set(cacheKey(cached.reference), cached);
      return cached;
    }
    const { environment, cache } = this;
    return processPublicCommit(this.epoch, verified, cache, environment, "ordinary", undefined);
  }

  /** Goes on to an epoch that a member has reached. */
  enter(epoch: PublicEpoch): void {
    this.epoch = publicPart(epoch);
    this.cache.clear();
  }
}

/** Joins by a Welcome with the first of these key packages that it names. */
export async function join(
  welcome: Uint8Array,
  bundles: readonly KeyPackageBundle[],
  environment: Environment,
  ratchetTree?: Uint8Array,
): Promise<StagedJoin> {
  const message = decodeMlsMessage(welcome, wireTypes(environment));
  if (message.wireFormat !== "welcome") throw new InternalError("not a Welcome");
  const find = (reference: Uint8Array): KeyPackageBundle | undefined =>
    bundles.find(({ keyPackage }) => {
      const crypto = provider.suite(keyPackage.cipherSuite);
      return equalBytes(keyPackageRef(crypto, keyPackage), reference);
    });
  const opened = await openWelcome(provider, message.message, find, environment);
  return stageJoin(opened, ratchetTree, environment);
}

export function authenticatorOf({ secrets }: Epoch): string {
  return toHex(secrets.epochAuthenticator.bytes);
}

function publicPart(epoch: PublicEpoch): PublicEpoch {
  const { crypto, context, contextBytes, tree, confirmationTag, interimTranscriptHash } = epoch;
  return { crypto, context, contextBytes, tree, confirmationTag, interimTranscriptHash };
}
