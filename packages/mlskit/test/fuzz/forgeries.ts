/** What members and outsiders with valid keys may sign: structures that are wrong on purpose. */
import { decode, EMPTY_BYTES, MAX_UINT64 } from "../../src/codec/index.ts";
import type { Signer } from "../../src/crypto/index.ts";
import { MlsError } from "../../src/errors.ts";
import type { Extension } from "../../src/extensions/extension.ts";
import { FramedContent, type Sender } from "../../src/framing/framed-content.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { customProposal, type Proposal } from "../../src/messages/proposal.ts";
import type { TreeNode } from "../../src/tree/nodes.ts";
import {
  type ContentForgery,
  forgeCommit,
  forgeEnvelope,
  forgeExternalCommit,
  forgeMessage,
  forgeProposal,
  forgeSigned,
  type KeyPackageForgery,
  type LeafChanges,
  type Nodes,
  type PathForgery,
  type PrivateForgery,
  withNode,
} from "../support/forge.ts";
import {
  add,
  extend,
  psk,
  pskId,
  reInit,
  remove,
  resumption,
  stranger,
  updateBy,
} from "../support/forge-lists.ts";
import { newClient, type Party } from "../support/parties.ts";
import { mutate } from "./mutate.ts";
import type { SeededRandom } from "./random.ts";

/** Makes up messages for one epoch after another. */
export class Forger {
  readonly #random: SeededRandom;
  readonly #service: Signer;
  /** The generation to use next: every message takes a key of its own. */
  #generation = 0;

  constructor(random: SeededRandom, service: Signer) {
    this.#random = random;
    this.#service = service;
  }

  /** To be called when an epoch begins. */
  reset(): void {
    this.#generation = 0;
  }

  /** A message by this member, or by somebody outside who knows what it knows. */
  async message(by: Party): Promise<Uint8Array> {
    for (;;) {
      this.#generation += 1;
      const make = this.#random.pick([
        () => this.#application(by),
        () => this.#proposal(by),
        () => this.#commit(by),
        () => this.#externalCommit(by),
        () => this.#signedAfterDamage(by),
      ]);
      try {
        return await make();
      } catch (error) {
        // Some of what was drawn cannot even be written.
        if (!MlsError.is(error)) throw error;
      }
    }
  }

  /** The nodes of a tree with one thing changed. */
  tree(nodes: Nodes): Nodes {
    const random = this.#random;
    const at = random.below(nodes.length);
    const other = nodes[random.below(nodes.length)];
    const changes: (() => Nodes)[] = [
      () => withNode(nodes, at, undefined),
      () => withNode(nodes, at, other),
      () => nodes.slice(0, 1 + random.below(nodes.length)),
      () => [...nodes, undefined, other],
      () => withNode(nodes, at, this.#node(nodes[at])),
    ];
    return random.pick(changes)();
  }

  damage(bytes: Uint8Array): Uint8Array {
    return mutate(bytes, this.#random, [bytes]);
  }

  /** Nothing in half of all cases. */
  #perhaps<T>(make: () => T): T | undefined {
    return this.#random.below(2) === 0 ? undefined : make();
  }

  #rarely<T>(make: () => T): T | undefined {
    return this.#random.below(12) === 0 ? make() : undefined;
  }

  #number(): number {
    return this.#random.pick([0, 1, 2, 3, 7, 77, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);
  }

  #node(node: TreeNode | undefined): TreeNode | undefined {
    if (node?.type !== "parent") return node;
    const random = this.#random;
    const unmergedLeaves = Array.from({ length: random.below(4) }, () => this.#number());
    const parent = random.pick([
      { ...node.parent, unmergedLeaves },
      { ...node.parent, parentHash: random.bytes(random.below(40)) },
      { ...node.parent, encryptionKey: random.bytes(32) },
    ]);
    return { type: "parent", parent };
  }

  #privately(): PrivateForgery {
    const damage = (bytes: Uint8Array): Uint8Array => this.damage(bytes);
    return {
      skip: this.#generation,
      padding: this.#rarely(() => this.#random.bytes(20)),
      leafIndex: this.#rarely(() => this.#number()),
      generation: this.#rarely(() => this.#number()),
      alterPlaintext: this.#rarely(() => damage),
      alterSenderData: this.#rarely(() => damage),
      alterCiphertext: this.#rarely(() => damage),
    };
  }

  #content(by: Party): ContentForgery {
    const random = this.#random;
    const damage = (bytes: Uint8Array): Uint8Array => this.damage(bytes);
    const perhapsNone = (tag: Uint8Array | undefined): Uint8Array | undefined =>
      tag === undefined ? random.bytes(32) : random.pick([undefined, this.damage(tag)]);
    return {
      sender: this.#rarely(() => this.#sender(by)),
      signer: this.#rarely(() => this.#service),
      wireFormat: random.pick(["publicMessage", "privateMessage"] as const),
      epoch: this.#rarely(() => random.pick([0n, 2n ** 63n, MAX_UINT64])),
      authenticatedData: this.#perhaps(() => random.bytes(random.below(100))),
      signedContext: this.#rarely(() => EMPTY_BYTES),
      alterTbs: this.#rarely(() => damage),
      alterSignature: this.#rarely(() => damage),
      alterConfirmationTag: this.#rarely(() => perhapsNone),
      publicly: { alterMembershipTag: this.#rarely(() => perhapsNone) },
      privately: this.#privately(),
    };
  }

  #sender(by: Party): Sender {
    return this.#random.pick<Sender>([
      { type: "member", leafIndex: this.#number() },
      { type: "member", leafIndex: by.leaf },
      { type: "external", senderIndex: this.#number() },
      { type: "newMemberProposal" },
      { type: "newMemberCommit" },
    ]);
  }

  #application(by: Party): Promise<Uint8Array> {
    const applicationData = this.#random.bytes(this.#random.below(300));
    const forgery = {
      ...this.#content(by),
      wireFormat: this.#random.pick(["privateMessage", "privateMessage", "publicMessage"] as const),
    };
    return forgeMessage(by, { contentType: "application", applicationData }, forgery);
  }

  async #proposal(by: Party): Promise<Uint8Array> {
    const proposal = await this.#anyProposal(by);
    const outside = this.#random.below(3);
    const from: ContentForgery =
      outside === 0
        ? {
            sender: { type: "external", senderIndex: 0 },
            signer: this.#service,
            signedContext: EMPTY_BYTES,
            wireFormat: "publicMessage",
          }
        : {};
    return (await forgeProposal(by, proposal, { ...this.#content(by), ...from })).bytes;
  }

  async #commit(by: Party): Promise<Uint8Array> {
    const proposals: Proposal[] = [];
    for (let i = this.#random.below(4); i > 0; i--) proposals.push(await this.#anyProposal(by));
    const path = this.#random.below(4) === 0 ? (false as const) : this.#path();
    const content = this.#content(by);
    // An Update by value is applied to its sender's leaf: a tree that reaches there has to fit here.
    const isFar = content.sender?.type === "member" && content.sender.leafIndex > 100;
    const sender = isFar ? undefined : content.sender;
    return (await forgeCommit(by, { ...content, sender, proposals, path })).bytes;
  }

  async #externalCommit(by: Party): Promise<Uint8Array> {
    const client = await newClient("mallory");
    const more: Proposal[] = [];
    for (let i = this.#random.below(3); i > 0; i--) more.push(await this.#anyProposal(by));
    const forgery = {
      ...this.#content(by),
      sender: undefined,
      signer: undefined,
      wireFormat: "publicMessage",
      path: this.#random.below(4) === 0 ? (false as const) : this.#path(),
      position: this.#rarely(() => this.#random.below(6)),
      proposals: (init: Proposal) => this.#random.pick([[init, ...more], [...more], [init, init]]),
    } as const;
    return (await forgeExternalCommit(client, by, withoutUndefined(forgery))).bytes;
  }

  /** Contents are damaged first and signed, tagged or encrypted afterwards. */
  async #signedAfterDamage(by: Party): Promise<Uint8Array> {
    const wireFormat = this.#random.pick(["publicMessage", "privateMessage"] as const);
    const forgery = { wireFormat, privately: { skip: this.#generation } };
    const commit = {
      proposals: [{ type: "proposal", proposal: await this.#anyProposal(by) } as const],
      path: undefined,
    };
    const content = this.#random.pick([
      { contentType: "proposal", proposal: await this.#anyProposal(by) } as const,
      { contentType: "commit", commit } as const,
    ]);
    const honest = await forgeSigned(by, content, forgery);
    for (let attempt = 0; attempt < 20; attempt++) {
      const damaged = this.#decoded(this.damage(honest.content.encoded));
      if (damaged === undefined) continue;
      const { groupId, epoch, sender, authenticatedData } = damaged;
      const signed = await forgeSigned(by, damaged.content, {
        ...forgery,
        groupId,
        epoch,
        sender,
        authenticatedData,
      });
      const tag = damaged.content.contentType === "commit" ? this.#random.bytes(32) : undefined;
      return forgeEnvelope(by, signed, tag, forgery);
    }
    return forgeEnvelope(by, honest, undefined, forgery);
  }

  #decoded(bytes: Uint8Array): FramedContent | undefined {
    try {
      return decode(FramedContent, bytes);
    } catch (error) {
      if (MlsError.is(error)) return undefined;
      throw error;
    }
  }

  #path(): PathForgery {
    const random = this.#random;
    const damage = (bytes: Uint8Array): Uint8Array => this.damage(bytes);
    return withoutUndefined({
      leaf: this.#rarely(() => this.#leaf()),
      alterLeafSignature: this.#rarely(() => damage),
      leafBinding: this.#rarely(() => ({ leafIndex: this.#number() })),
      alterKeys: this.#rarely(
        () => (keys) => keys.map((key) => random.pick([key, keys[0] ?? key])),
      ),
      alterParentHash: this.#rarely(() => damage),
      alterSecret: this.#rarely(() => damage),
      alterNodes: this.#rarely(
        () => (nodes) => random.pick([nodes.slice(1), [...nodes, ...nodes]]),
      ),
      alterContext: this.#rarely(() => damage),
      includeAdded: this.#rarely(() => true),
    } satisfies { [K in keyof PathForgery]: PathForgery[K] | undefined });
  }

  #leaf(): LeafChanges {
    const random = this.#random;
    const none = { versions: [], cipherSuites: [], extensions: [], proposals: [], credentials: [] };
    return random.pick<LeafChanges>([
      { encryptionKey: random.bytes(random.pick([0, 31, 32, 33])) },
      { signatureKey: random.bytes(32) },
      { credential: { type: "basic", identity: EMPTY_BYTES } },
      { credential: { type: "x509", certificates: [random.bytes(20)] } },
      { capabilities: none },
      { capabilities: { ...none, versions: [1], cipherSuites: [1], credentials: [1, 2, 0x0a0a] } },
      { extensions: this.#extensions() },
      { origin: { source: "update" } },
      { origin: { source: "commit", parentHash: random.bytes(random.below(40)) } },
      { origin: { source: "keyPackage", lifetime: { notBefore: MAX_UINT64, notAfter: 0n } } },
    ]);
  }

  #extensions(): readonly Extension[] {
    const types = [1, 2, 3, 4, 5, 10, 0x0a0a, 0x1111, 0xffff];
    return Array.from({ length: this.#random.below(3) }, () => ({
      type: this.#random.pick(types),
      data: this.#random.bytes(this.#random.below(20)),
    }));
  }

  async #anyProposal(by: Party): Promise<Proposal> {
    const random = this.#random;
    const makers: (() => Proposal | Promise<Proposal>)[] = [
      () => remove(this.#number()),
      async () => add(await this.#stranger()),
      async () =>
        (await updateBy(by, withoutUndefined({ leaf: this.#perhaps(() => this.#leaf()) }))).cached
          .proposal,
      () => psk(pskId(random.pick(["known", "unknown", ""]), random.pick([0, 31, 32, 33]))),
      () => psk(resumption(random.pick(["application", "reinit", "branch"] as const))),
      () => reInit(random.pick([0, 1, 2])),
      () => ({ type: "externalInit", kemOutput: random.bytes(random.pick([0, 32])) }),
      () => extend(this.#extensions()),
      () => customProposal(random.pick([8, 0x0a0a, 0xf123]), random.bytes(5)),
    ];
    return random.pick(makers)();
  }

  #stranger(): Promise<KeyPackageBundle> {
    const damage = (bytes: Uint8Array): Uint8Array => this.damage(bytes);
    const fields = this.#random.pick<KeyPackageForgery["fields"]>([
      { version: 2 },
      { cipherSuite: 2 },
      { initKey: this.#random.bytes(32) },
      { initKey: EMPTY_BYTES },
      { extensions: this.#extensions() },
    ]);
    return stranger(
      withoutUndefined({
        leaf: this.#perhaps(() => this.#leaf()),
        fields: this.#rarely(() => fields),
        alterLeafSignature: this.#rarely(() => damage),
        alterSignature: this.#rarely(() => damage),
      }),
    );
  }
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Partial<Defined<T>> {
  const kept = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(kept) as Partial<Defined<T>>;
}
