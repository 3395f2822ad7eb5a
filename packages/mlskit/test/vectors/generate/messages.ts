/** Generates messages: one of every wire object, with contents that the official file lacks. */
import { EMPTY_BYTES, encode, opaque, toHex, uint32, utf8 } from "../../../src/codec/index.ts";
import { Extensions } from "../../../src/extensions/extension.ts";
import { authenticate, signContent } from "../../../src/framing/authenticated-content.ts";
import type { Content } from "../../../src/framing/framed-content.ts";
import { encodeMlsMessage } from "../../../src/framing/mls-message.ts";
import { padme } from "../../../src/framing/padding.ts";
import { protectApplicationData } from "../../../src/group/application-message.ts";
import { PreSharedKeyId } from "../../../src/key-schedule/pre-shared-key.ts";
import { Commit, type ProposalOrRef } from "../../../src/messages/commit.ts";
import { Proposal } from "../../../src/messages/proposal.ts";
import { GroupSecrets } from "../../../src/messages/welcome.ts";
import { keyPackageMessage } from "./groups.ts";
import { GREASE, makePerson } from "./people.ts";
import type { Source } from "./random.ts";
import { World } from "./world.ts";
import { createUpdate } from "../../../src/group/proposal-message.ts";
import { createUpdatePath } from "../../../src/tree/update-path.ts";

export async function messagesCase(source: Source): Promise<unknown> {
  const { crypto, random } = source;
  const size = crypto.suite.kdf.size;
  const [alice, bob] = [await makePerson(source, "alice"), await makePerson(source, "bob")];
  const world = await World.create(source, alice);
  const add: Proposal = { type: "add", keyPackage: bob.keyPackage };
  const created = await world.commit(alice, { proposals: [add] });
  const { epoch, environment } = world.actor(alice);
  const update = (await createUpdate(epoch, {}, environment)).proposal;
  const resumption = world.resumptionPsk(alice, 0n);
  const branch = { ...resumption, usage: "branch" } as PreSharedKeyId;
  const extensions = [{ type: GREASE, data: utf8("content") }];
  const reInit: Proposal = {
    type: "reInit",
    groupId: random(16),
    version: 1,
    cipherSuite: crypto.suite.id,
    extensions,
  };
  const external: Proposal = { type: "externalInit", kemOutput: random(crypto.suite.kem.encSize) };
  const context: Proposal = { type: "groupContextExtensions", extensions };
  const psk: Proposal = { type: "psk", psk: world.externalPsk("psk") };
  const remove: Proposal = { type: "remove", removed: 0x0102_0304 };
  const { updatePath } = await createUpdatePath({
    tree: epoch.tree,
    sender: epoch.ownLeaf,
    leaf: alice.keyPackage.leafNode,
    signer: alice.signer,
    groupId: epoch.context.groupId,
    excludedLeaves: new Set(),
    groupContextBytes: (treeHash) => treeHash,
  });
  const inline = [add, remove, psk, context].map((proposal): ProposalOrRef => {
    return { type: "proposal", proposal };
  });
  const reference: ProposalOrRef = { type: "reference", reference: random(size) };
  const commit = { proposals: [...inline, reference], path: updatePath };
  const inPublic = async (content: Content): Promise<string> => {
    const { groupId, epoch: number } = epoch.context;
    const sender = { type: "member", leafIndex: 0 } as const;
    const fields = { groupId, epoch: number, sender, authenticatedData: utf8("seen"), content };
    const signed = await signContent(fields, "publicMessage", epoch.contextBytes, alice.signer);
    const tag = content.contentType === "commit" ? random(size) : undefined;
    const { content: framed, auth } = authenticate(signed, tag);
    const message = { content: framed, auth, membershipTag: random(size) };
    return toHex(encodeMlsMessage({ wireFormat: "publicMessage", message }));
  };
  const groupInfo = await world.groupInfo(alice);
  const sent = await protectApplicationData(epoch, {
    data: utf8("hello"),
    authenticatedData: utf8("seen"),
    padding: padme(),
  });
  const joinerSecret = random(size);
  const groupSecrets = { joinerSecret, pathSecret: random(size), psks: [resumption, branch] };
  return {
    mls_welcome: toHex(created.welcomes[0]?.bytes ?? EMPTY_BYTES),
    mls_group_info: toHex(encodeMlsMessage({ wireFormat: "groupInfo", message: groupInfo })),
    mls_key_package: keyPackageMessage(bob),
    ratchet_tree: toHex(epoch.tree.encode()),
    group_secrets: toHex(encode(GroupSecrets, groupSecrets)),
    add_proposal: bodyOf(add),
    update_proposal: bodyOf(update),
    remove_proposal: toHex(encode(uint32, 0x0102_0304)),
    pre_shared_key_proposal: toHex(encode(PreSharedKeyId, resumption)),
    re_init_proposal: bodyOf(reInit),
    external_init_proposal: toHex(encode(opaque, external.kemOutput)),
    group_context_extensions_proposal: toHex(encode(Extensions, extensions)),
    commit: toHex(encode(Commit, commit)),
    public_message_application: await inPublic({
      contentType: "application",
      applicationData: random(33),
    }),
    public_message_proposal: await inPublic({ contentType: "proposal", proposal: context }),
    public_message_commit: await inPublic({ contentType: "commit", commit }),
    private_message: toHex(sent.bytes),
  };
}

/** Without the type in front. */
function bodyOf(proposal: Proposal): string {
  return toHex(encode(Proposal, proposal)).slice(4);
}
