/** Groups that follow from others: ReInit and branches. */
import { EMPTY, present, sameBytes } from "../bytes.ts";
import { handshakes, withSuite } from "./actors.ts";
import { acceptPending, commit, handleCommit } from "./commit-calls.ts";
import { type Context, fromWire, type Handlers, joined, newState } from "./context.ts";
import { createKeyPackage, lendKeyPackage } from "./key-packages.ts";
import { UnexpectedOutcome } from "./outcomes.ts";
import type { State } from "./registry.ts";

type Names =
  | "ReInitCommit"
  | "HandlePendingReInitCommit"
  | "HandleReInitCommit"
  | "ReInitWelcome"
  | "HandleReInitWelcome"
  | "CreateBranch"
  | "HandleBranch";

export function successorCalls(context: Context): Handlers<Names> {
  const { registry, grease } = context;
  return {
    ReInitCommit: (request) => commit(context, request),

    HandlePendingReInitCommit: async ({ state_id }) => {
      const state = registry.state(state_id);
      const { summary } = await acceptPending(state);
      return reinitialize(context, state, summary.reInit?.cipherSuite);
    },

    HandleReInitCommit: async (request) => {
      const state = registry.state(request.state_id);
      const { reInit } = await handleCommit(context, state, request);
      return reinitialize(context, state, reInit?.cipherSuite);
    },

    ReInitWelcome: async ({ reinit_id, key_package, force_path, external_tree }) => {
      const reinit = registry.reinitialization(reinit_id);
      const { actor, encrypt, groupId } = reinit;
      const others = key_package.filter((bytes) => !sameBytes(bytes, reinit.keyPackage));
      const { group, welcomes, ratchetTree } = await actor.client.createSuccessor(groupId, others, {
        identity: actor.identity,
        leaf: { grease },
        forcePath: force_path,
        ratchetTree: !external_tree,
      });
      registry.forget(reinit_id);
      return created(context, newState(actor, group, encrypt), welcomes, ratchetTree);
    },

    HandleReInitWelcome: async ({ reinit_id, welcome, ratchet_tree }) => {
      const { actor, encrypt } = registry.reinitialization(reinit_id);
      const group = await follow(actor, "reinit", welcome, ratchet_tree, encrypt);
      registry.forget(reinit_id);
      return joined(context, newState(actor, group, encrypt));
    },

    CreateBranch: async (request) => {
      const { actor, group: parent, encrypt } = registry.state(request.state_id);
      const { group, welcomes, ratchetTree } = await actor.client.createBranch(
        parent.id,
        request.key_packages,
        {
          identity: actor.identity,
          groupId: request.group_id,
          extensions: fromWire(request.extensions),
          leaf: { grease },
          forcePath: request.force_path,
          ratchetTree: !request.external_tree,
        },
      );
      return created(context, newState(actor, group, encrypt), welcomes, ratchetTree);
    },

    HandleBranch: async ({ state_id, transaction_id, welcome, ratchet_tree }) => {
      const { actor, encrypt } = registry.state(state_id);
      const transaction = registry.transaction(transaction_id);
      await lendKeyPackage(transaction.reference, transaction.actor, actor);
      const group = await follow(actor, "branch", welcome, ratchet_tree, encrypt);
      await registry.release(transaction_id);
      return joined(context, newState(actor, group, encrypt));
    },
  };
}

/**
 * Joins a group that follows from one of ours. The library would let us into any other group too,
 * but that is not what was asked for. RFC 9420 §11.2, §11.3.
 */
async function follow(
  { client }: State["actor"],
  usage: "reinit" | "branch",
  welcome: Uint8Array,
  ratchetTree: Uint8Array,
  encrypt: boolean,
): Promise<State["group"]> {
  const options = { ratchetTree: present(ratchetTree), config: handshakes(encrypt) };
  const staged = await client.stageWelcome(welcome, options);
  // That it is the right group of ours, and the right successor or branch, is checked by then.
  if (!staged.psks.some((psk) => psk.type === "resumption" && psk.usage === usage)) {
    throw new UnexpectedOutcome(`the Welcome names no PSK of usage ${usage}`);
  }
  return client.enter(staged, options);
}

/** The group has ended; a key package for its successor. */
async function reinitialize(
  { registry, provider, grease }: Context,
  { actor: old, group, encrypt }: State,
  cipherSuite: number | undefined,
) {
  if (cipherSuite === undefined) throw new Error("the Commit does not end the group with a ReInit");
  const actor = await withSuite(provider, old, cipherSuite);
  const { bytes: keyPackage } = await createKeyPackage(actor, grease);
  const groupId = group.id;
  const reinit = registry.add({ kind: "reinit", actor, groupId, keyPackage, encrypt });
  return {
    reinit_id: reinit,
    key_package: keyPackage,
    epoch_authenticator: group.epochAuthenticator,
  };
}

function created(
  context: Context,
  state: State,
  [welcome, ...more]: readonly { readonly bytes: Uint8Array }[],
  ratchetTree: Uint8Array | undefined,
) {
  if (more.length > 0) throw new Error("there is more than one Welcome");
  return {
    ...joined(context, state),
    welcome: welcome?.bytes ?? EMPTY,
    ratchet_tree: ratchetTree ?? EMPTY,
  };
}
