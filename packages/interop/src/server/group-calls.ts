/** Entering groups, reading their state, talking. */
import { EMPTY, present } from "../bytes.ts";
import { type GroupInfo, messages } from "../internals.ts";
import { createActor, handshakes } from "./actors.ts";
import { type Context, type Handlers, joined, newState } from "./context.ts";
import { createKeyPackage } from "./key-packages.ts";
import { unexpected } from "./outcomes.ts";

type Names =
  | "Name"
  | "SupportedCiphersuites"
  | "CreateGroup"
  | "CreateKeyPackage"
  | "JoinGroup"
  | "ExternalJoin"
  | "GroupInfo"
  | "StateAuth"
  | "Export"
  | "Protect"
  | "Unprotect"
  | "StorePSK"
  | "Free";

export function groupCalls(context: Context): Handlers<Names> {
  const { registry, provider, grease, distortion } = context;
  return {
    Name: async () => ({ name: context.name }),
    SupportedCiphersuites: async () => ({ ciphersuites: [...provider.suites] }),

    CreateGroup: async ({ group_id, cipher_suite, encrypt_handshake, identity }) => {
      const actor = await createActor(context, identity, cipher_suite);
      const group = await actor.client.createGroup({
        groupId: group_id,
        config: handshakes(encrypt_handshake),
        leaf: { grease },
      });
      return { state_id: registry.add(newState(actor, group, encrypt_handshake)) };
    },

    CreateKeyPackage: async ({ cipher_suite, identity }) => {
      const actor = await createActor(context, identity, cipher_suite);
      const { reference, bytes, keys } = await createKeyPackage(actor, grease);
      const transaction = registry.add({ kind: "transaction", actor, reference });
      return { transaction_id: transaction, key_package: bytes, ...keys };
    },

    JoinGroup: async ({ transaction_id, welcome, encrypt_handshake, ratchet_tree }) => {
      const { actor } = registry.transaction(transaction_id);
      const group = await actor.client.join(welcome, {
        ratchetTree: present(ratchet_tree),
        config: handshakes(encrypt_handshake),
      });
      return joined(context, newState(actor, group, encrypt_handshake));
    },

    ExternalJoin: async (request) => {
      const { group_info, ratchet_tree, encrypt_handshake, identity, remove_prior } = request;
      const { groupId, cipherSuite } = contextOf(group_info);
      const actor = await createActor(context, identity, cipherSuite);
      for (const { psk_id, psk_secret } of request.psks) {
        await actor.client.putPsk(psk_id, psk_secret);
      }
      const { group, commit } = await actor.client.joinExternally(group_info, {
        ratchetTree: present(ratchet_tree),
        psks: request.psks.map(({ psk_id }) => psk_id),
        resync: remove_prior ? { identity } : undefined,
        config: handshakes(encrypt_handshake),
      });
      // The harness has no delivery service that could refuse.
      await actor.client.acceptJoin(groupId);
      return { ...joined(context, newState(actor, group, encrypt_handshake)), commit };
    },

    GroupInfo: async ({ state_id, external_tree }) => {
      const { group } = registry.state(state_id);
      return {
        group_info: await group.groupInfo({ ratchetTree: !external_tree }),
        ratchet_tree: external_tree ? group.ratchetTree() : EMPTY,
      };
    },

    StateAuth: async ({ state_id }) => {
      return { state_auth_secret: registry.state(state_id).group.epochAuthenticator };
    },

    Export: async ({ state_id, label, context: exportContext, key_length }) => {
      const { group } = registry.state(state_id);
      const exported = group.export(distortion.exportLabel(label), exportContext, key_length);
      return { exported_secret: exported };
    },

    Protect: async ({ state_id, authenticated_data, plaintext }) => {
      const { group } = registry.state(state_id);
      const sent = await group.send(plaintext, { authenticatedData: authenticated_data });
      return { ciphertext: sent.bytes };
    },

    Unprotect: async ({ state_id, ciphertext }) => {
      const outcome = await registry.state(state_id).group.process(ciphertext);
      if (outcome.kind !== "application") throw unexpected("an application message", outcome);
      return { authenticated_data: outcome.authenticatedData, plaintext: outcome.data };
    },

    StorePSK: async ({ state_or_transaction_id, psk_id, psk_secret }) => {
      await registry.actor(state_or_transaction_id).client.putPsk(psk_id, psk_secret);
      return {};
    },

    Free: async ({ state_id }) => {
      await registry.release(state_id);
      return {};
    },
  };
}

/** The GroupContext that a GroupInfo describes; nothing about it is verified yet. */
export function contextOf(groupInfo: Uint8Array): GroupInfo["groupContext"] {
  const decoded = messages.decodeMlsMessage(groupInfo);
  if (decoded.wireFormat !== "groupInfo") {
    throw new Error(`a GroupInfo is expected here, not a ${decoded.wireFormat}`);
  }
  return decoded.message.groupContext;
}
