/** Generates message-protection and transcript-hashes. */
import { encode, toHex, utf8 } from "../../../src/codec/index.ts";
import { createSigner, Secret } from "../../../src/crypto/index.ts";
import {
  AuthenticatedContent,
  authenticate,
  type ContentWireFormat,
  signContent,
} from "../../../src/framing/authenticated-content.ts";
import { type Content, contentBody } from "../../../src/framing/framed-content.ts";
import { encodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { padToMultiple } from "../../../src/framing/padding.ts";
import { protectPrivate } from "../../../src/framing/private-message.ts";
import { protectPublic } from "../../../src/framing/public-message.ts";
import {
  confirmedTranscriptHash,
  interimTranscriptHash,
} from "../../../src/framing/transcript-hash.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import { confirmationTag } from "../../../src/key-schedule/key-schedule.ts";
import { SecretTree } from "../../../src/secret-tree/secret-tree.ts";
import type { Source } from "./random.ts";

const SENDER = { type: "member", leafIndex: 1 } as const;

/** With authenticated data and padding. */
export async function messageProtectionCase({ crypto, random }: Source): Promise<unknown> {
  const size = crypto.suite.kdf.size;
  const context: GroupContext = {
    version: 1,
    cipherSuite: crypto.suite.id,
    groupId: random(12),
    epoch: 0x12_3456_789an,
    treeHash: random(size),
    confirmedTranscriptHash: random(size),
    extensions: [],
  };
  const contextBytes = encode(GroupContext, context);
  const keys = await crypto.generateSignatureKeyPair();
  const signer = createSigner(crypto, keys);
  const [encryptionSecret, senderDataSecret, membershipKey] = [
    random(size),
    random(size),
    random(size),
  ];
  const tag = random(size);
  const sign = async (content: Content, wireFormat: ContentWireFormat) => {
    const { groupId, epoch } = context;
    const fields = { groupId, epoch, sender: SENDER, authenticatedData: utf8("seen"), content };
    const signed = await signContent(fields, wireFormat, contextBytes, signer);
    return authenticate(signed, content.contentType === "commit" ? tag : undefined);
  };
  const inPublic = async (content: Content): Promise<string> => {
    const membership = { membershipKey: new Secret(membershipKey), groupContext: contextBytes };
    const message = protectPublic(crypto, await sign(content, "publicMessage"), membership);
    return toHex(encodeMlsMessage({ wireFormat: "publicMessage", message }));
  };
  const inPrivate = async (content: Content): Promise<string> => {
    const tree = SecretTree.fromEncryptionSecret(crypto, 2, Secret.copyOf(encryptionSecret));
    const kind = content.contentType === "application" ? "application" : "handshake";
    const { messageKey } = tree.prepareSend(SENDER.leafIndex, kind);
    const signed = await sign(content, "privateMessage");
    const padding = padToMultiple(64);
    const secret = new Secret(senderDataSecret);
    const message = protectPrivate(crypto, signed, messageKey, secret, padding);
    return toHex(encodeMlsMessage({ wireFormat: "privateMessage", message }));
  };
  const remove = { type: "remove", removed: 0 } as const;
  const proposal: Content = { contentType: "proposal", proposal: remove };
  const proposals = [
    { type: "proposal", proposal: remove },
    { type: "reference", reference: random(size) },
  ] as const;
  const commit: Content = { contentType: "commit", commit: { proposals, path: undefined } };
  const data = random(75);
  const application: Content = { contentType: "application", applicationData: data };
  return {
    cipher_suite: crypto.suite.id,
    group_id: toHex(context.groupId),
    epoch: Number(context.epoch),
    tree_hash: toHex(context.treeHash),
    confirmed_transcript_hash: toHex(context.confirmedTranscriptHash),
    signature_priv: toHex(keys.privateKey),
    signature_pub: toHex(keys.publicKey),
    encryption_secret: toHex(encryptionSecret),
    sender_data_secret: toHex(senderDataSecret),
    membership_key: toHex(membershipKey),
    proposal: toHex(encode(contentBody("proposal"), proposal)),
    proposal_pub: await inPublic(proposal),
    proposal_priv: await inPrivate(proposal),
    commit: toHex(encode(contentBody("commit"), commit)),
    commit_pub: await inPublic(commit),
    commit_priv: await inPrivate(commit),
    application: toHex(data),
    application_priv: await inPrivate(application),
  };
}

/** One Commit in each wire format. */
export async function transcriptHashesCases({ crypto, random }: Source): Promise<unknown[]> {
  const size = crypto.suite.kdf.size;
  const signer = createSigner(crypto, await crypto.generateSignatureKeyPair());
  const cases: unknown[] = [];
  for (const wireFormat of ["publicMessage", "privateMessage"] as const) {
    const proposals = [{ type: "reference", reference: random(size) }] as const;
    const signed = await signContent(
      {
        groupId: random(16),
        epoch: 3n,
        sender: SENDER,
        authenticatedData: random(11),
        content: { contentType: "commit", commit: { proposals, path: undefined } },
      },
      wireFormat,
      random(40),
      signer,
    );
    const [before, key] = [random(size), random(size)];
    const confirmed = confirmedTranscriptHash(crypto, before, signed);
    const tag = confirmationTag(crypto, new Secret(key), confirmed);
    cases.push({
      cipher_suite: crypto.suite.id,
      confirmation_key: toHex(key),
      authenticated_content: toHex(encode(AuthenticatedContent, authenticate(signed, tag))),
      interim_transcript_hash_before: toHex(before),
      confirmed_transcript_hash_after: toHex(confirmed),
      interim_transcript_hash_after: toHex(interimTranscriptHash(crypto, confirmed, tag)),
    });
  }
  return cases;
}
