/** message-protection: public and private messages, opened and made. RFC 9420 §6. */
import { decode, encode, EMPTY_BYTES, utf8 } from "../../../src/codec/index.ts";
import { createSigner, Secret, type Signer, type SuiteCrypto } from "../../../src/crypto/index.ts";
import {
  type AuthenticatedContent,
  authenticate,
  type ContentWireFormat,
  signContent,
} from "../../../src/framing/authenticated-content.ts";
import {
  type Content,
  type ContentType,
  contentBody,
} from "../../../src/framing/framed-content.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { noPadding } from "../../../src/framing/padding.ts";
import { protectPrivate } from "../../../src/framing/private-message.ts";
import { protectPublic } from "../../../src/framing/public-message.ts";
import {
  checkGroupAndEpoch,
  type EpochKeys,
  OpenedContent,
  VerifiedContent,
} from "../../../src/group/content.ts";
import { DEFAULT_LIMITS } from "../../../src/group/environment.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { SecretTree } from "../../../src/secret-tree/secret-tree.ts";
import type { Checks } from "../checks.ts";
import { expected, type Format, suiteOf } from "../format.ts";
import type { Value } from "../value.ts";
import { checkSignatureKey } from "./keys.ts";

const KEYS = [
  "cipher_suite",
  "group_id",
  "epoch",
  "tree_hash",
  "confirmed_transcript_hash",
  "signature_priv",
  "signature_pub",
  "encryption_secret",
  "sender_data_secret",
  "membership_key",
  "proposal",
  "proposal_pub",
  "proposal_priv",
  "commit",
  "commit_pub",
  "commit_priv",
  "application",
  "application_priv",
] as const;

const SENDER = 1;

export const messageProtection: Format = {
  type: "message-protection",
  keys: KEYS,
  hasSuite: true,
  async verify(value, run) {
    const fields = value.object(...KEYS);
    const crypto = suiteOf(fields.cipher_suite, run);
    const { checks } = run;
    const publicKey = fields.signature_pub.hex();
    const privateKey = fields.signature_priv.hex();
    await checkSignatureKey(crypto, checks, privateKey, publicKey);
    const party = new Party(fields, crypto, createSigner(crypto, { publicKey, privateKey }));
    for (const name of ["proposal", "commit"] as const) {
      const raw = fields[name].hex();
      const given = await party.openPublic(fields[`${name}_pub`].hex());
      checks.bytes("public messages", bodyOf(given), raw);
      const tag = given.auth.confirmationTag;
      const made = party.makePublic(await party.sign(name, raw, "publicMessage", tag));
      checks.bytes("own public messages", bodyOf(await party.openPublic(made)), raw);
      const opened = await party.openPrivate(fields[`${name}_priv`].hex());
      checks.bytes("private messages", bodyOf(opened), raw);
      const sealed = party.makePrivate(await party.sign(name, raw, "privateMessage", tag));
      checks.bytes("own private messages", bodyOf(await party.openPrivate(sealed)), raw);
    }
    await checkApplication(party, fields, checks);
  },
  controls: [
    ...expected("proposal", "commit", "application"),
    { kind: "MAC", path: "proposal_pub", at: "last", caughtBy: ["TAG_INVALID"] },
    { kind: "MAC", path: "commit_pub", at: "last", caughtBy: ["TAG_INVALID"] },
    { kind: "ciphertext", path: "proposal_priv", at: "last", caughtBy: ["mk-29"] },
    { kind: "ciphertext", path: "commit_priv", at: "last", caughtBy: ["mk-29"] },
    { kind: "ciphertext", path: "application_priv", at: "last", caughtBy: ["mk-29"] },
    { kind: "message", path: "proposal_pub" },
    { kind: "message", path: "commit_pub" },
    { kind: "message", path: "application_priv" },
    { kind: "key", path: "membership_key", caughtBy: ["TAG_INVALID"] },
    { kind: "key", path: "encryption_secret", caughtBy: ["mk-29"] },
    { kind: "key", path: "sender_data_secret" },
    { kind: "private key", path: "signature_priv", caughtBy: ["private keys"] },
    { kind: "context", path: "tree_hash", caughtBy: ["TAG_INVALID"] },
    { kind: "context", path: "epoch", caughtBy: ["valn1201", "valn1307"] },
  ],
};

type Fields = Readonly<Record<(typeof KEYS)[number], Value>>;

async function checkApplication(party: Party, fields: Fields, checks: Checks): Promise<void> {
  const data = fields.application.hex();
  const opened = await party.openPrivate(fields.application_priv.hex());
  checks.bytes("private messages", applicationDataOf(opened), data);
  const content: Content = { contentType: "application", applicationData: data };
  const sealed = party.makePrivate(await party.signParsed(content, "privateMessage", undefined));
  const again = await party.openPrivate(sealed);
  checks.bytes("own private messages", applicationDataOf(again), data);
  const signed = await party.signParsed(content, "publicMessage", undefined);
  let isRefused = false;
  try {
    party.makePublic(signed);
  } catch {
    isRefused = true;
  }
  checks.that("refused public messages", isRefused, "application data was made a PublicMessage");
}

/** Both ends of a conversation in the group that a case describes. */
class Party {
  readonly #crypto: SuiteCrypto;
  readonly #signer: Signer;
  readonly #fields: Fields;
  readonly #context: GroupContext;
  readonly #contextBytes: Uint8Array;

  constructor(fields: Fields, crypto: SuiteCrypto, signer: Signer) {
    this.#crypto = crypto;
    this.#signer = signer;
    this.#fields = fields;
    this.#context = {
      version: 1,
      cipherSuite: crypto.suite.id,
      groupId: fields.group_id.hex(),
      epoch: fields.epoch.uint64(),
      treeHash: fields.tree_hash.hex(),
      confirmedTranscriptHash: fields.confirmed_transcript_hash.hex(),
      extensions: [],
    };
    this.#contextBytes = encode(GroupContext, this.#context);
  }

  async openPublic(bytes: Uint8Array): Promise<AuthenticatedContent> {
    const { message, wireFormat } = decodeMlsMessage(bytes);
    if (wireFormat !== "publicMessage") throw new Error("a PublicMessage is expected");
    const { contentType } = message.content.content;
    checkGroupAndEpoch(message.content, this.#context, contentType === "commit");
    const key = this.#membershipKey;
    const opened = OpenedContent.fromPublic(this.#crypto, message, this.#contextBytes, key);
    return this.#verify(opened);
  }

  /** With a fresh secret tree, as the format prescribes for each message. */
  async openPrivate(bytes: Uint8Array): Promise<AuthenticatedContent> {
    const { message, wireFormat } = decodeMlsMessage(bytes);
    if (wireFormat !== "privateMessage") throw new Error("a PrivateMessage is expected");
    checkGroupAndEpoch(message, this.#context, message.contentType === "commit");
    const opened = OpenedContent.fromPrivate(this.#keys(), message, DEFAULT_LIMITS, {
      proposals: new Map(),
      credentials: new Map(),
    });
    if (opened === "own") throw new Error("leaf 1 is expected as the sender");
    return this.#verify(opened);
  }

  sign(
    contentType: ContentType,
    raw: Uint8Array,
    wireFormat: ContentWireFormat,
    tag: Uint8Array | undefined,
  ): Promise<AuthenticatedContent> {
    return this.signParsed(decode(contentBody(contentType), raw), wireFormat, tag);
  }

  async signParsed(
    content: Content,
    wireFormat: ContentWireFormat,
    tag: Uint8Array | undefined,
  ): Promise<AuthenticatedContent> {
    const { groupId, epoch } = this.#context;
    const sender = { type: "member", leafIndex: SENDER } as const;
    const authenticatedData = content.contentType === "commit" ? EMPTY_BYTES : utf8("data");
    const framed = { groupId, epoch, sender, authenticatedData, content };
    const signed = await signContent(framed, wireFormat, this.#contextBytes, this.#signer);
    return authenticate(signed, tag);
  }

  makePublic(content: AuthenticatedContent): Uint8Array {
    const membership = { membershipKey: this.#membershipKey, groupContext: this.#contextBytes };
    const message = protectPublic(this.#crypto, content, membership);
    return encodeMlsMessage({ wireFormat: "publicMessage", message });
  }

  makePrivate(content: AuthenticatedContent): Uint8Array {
    const { secretTree, senderDataSecret } = this.#keys();
    const isApplication = content.content.content.contentType === "application";
    const kind = isApplication ? "application" : "handshake";
    const { messageKey } = secretTree.prepareSend(SENDER, kind);
    const crypto = this.#crypto;
    const message = protectPrivate(crypto, content, messageKey, senderDataSecret, noPadding);
    return encodeMlsMessage({ wireFormat: "privateMessage", message });
  }

  async #verify(opened: OpenedContent): Promise<AuthenticatedContent> {
    const verified = await VerifiedContent.verify(this.#crypto, opened, this.#keys());
    const { sender } = verified;
    if (sender.type !== "member" || sender.leafIndex !== SENDER) {
      throw new Error("leaf 1 is expected as the sender");
    }
    return verified.authenticated;
  }

  get #membershipKey(): Secret {
    return new Secret(this.#fields.membership_key.hex());
  }

  #keys(): EpochKeys {
    const { encryption_secret: secret, sender_data_secret: senderData } = this.#fields;
    return {
      crypto: this.#crypto,
      context: this.#context,
      contextBytes: this.#contextBytes,
      ownLeaf: 0,
      senderDataSecret: new Secret(senderData.hex()),
      secretTree: SecretTree.fromEncryptionSecret(this.#crypto, 2, new Secret(secret.hex())),
      signatureKey: (leaf) => (leaf === SENDER ? this.#signer.publicKey : undefined),
    };
  }
}

function bodyOf({ content: { content } }: AuthenticatedContent): Uint8Array {
  return encode(contentBody(content.contentType), content);
}

function applicationDataOf({ content: { content } }: AuthenticatedContent): Uint8Array {
  if (content.contentType !== "application") throw new Error("application data is expected");
  return content.applicationData;
}
