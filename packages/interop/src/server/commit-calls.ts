/** Commits of ours and of others. */
import type {
  AcceptedCommit,
  CommitRequest as Request,
  Group,
  PendingCommitView,
  ReInit,
} from "mlskit";
import { EMPTY, fromUtf8, hex } from "../bytes.ts";
import type { ProposalDescription, RequestOf, ResponseOf } from "../protocol.ts";
import { type Context, fromWire, type Handlers } from "./context.ts";
import { describeError, unexpected } from "./outcomes.ts";
import { leafOf } from "./proposal-calls.ts";
import type { State } from "./registry.ts";

export function commitCalls(
  context: Context,
): Handlers<"Commit" | "HandleCommit" | "HandlePendingCommit"> {
  const { registry } = context;
  return {
    Commit: (request) => commit(context, request),
    HandleCommit: async (request) => {
      const state = registry.state(request.state_id);
      const { isMember } = await handleCommit(context, state, request);
      const authenticator = isMember ? state.group.epochAuthenticator : EMPTY;
      return { state_id: request.state_id, epoch_authenticator: authenticator };
    },
    HandlePendingCommit: async ({ state_id }) => {
      const state = registry.state(state_id);
      await acceptPending(state);
      return { state_id, epoch_authenticator: state.group.epochAuthenticator };
    },
  };
}

/** Exactly the proposals that are listed; the group stays in its epoch. */
export async function commit(
  context: Context,
  request: RequestOf<"Commit">,
): Promise<ResponseOf<"Commit">> {
  const state = context.registry.state(request.state_id);
  const { group } = state;
  const include: Uint8Array[] = [];
  for (const bytes of request.by_reference) include.push(await learnProposal(state, bytes));
  const pending = await group.commit({
    ...byValue(group, request.by_value),
    include,
    withoutPath: !request.force_path,
    forcePath: request.force_path,
    ratchetTree: !request.external_tree,
  });
  await refuseOmissions(group, pending);
  const { welcomes, ratchetTree } = await previewAcceptance(state);
  const [welcome, ...more] = welcomes;
  if (more.length > 0) throw new Error("there is more than one Welcome");
  return {
    commit: await context.distortion.outgoingCommit(state, pending.commit),
    welcome: welcome?.bytes ?? EMPTY,
    ratchet_tree: request.external_tree ? (ratchetTree ?? EMPTY) : EMPTY,
  };
}

/** What a Commit did, as far as the answers depend on it. */
export interface HandledCommit {
  /** False if it removed us. */
  readonly isMember: boolean;
  readonly reInit: ReInit | undefined;
}

/** The listed proposals, then the Commit. */
export async function handleCommit(
  { distortion }: Context,
  state: State,
  { proposal, commit: bytes }: Pick<RequestOf<"HandleCommit">, "proposal" | "commit">,
): Promise<HandledCommit> {
  for (const message of proposal) await learnProposal(state, message);
  const received = await distortion.incomingCommit(state, bytes);
  const outcome = await state.group.process(received, { accept: true });
  switch (outcome.kind) {
    case "commit":
    case "reinit":
    case "removed":
      state.proposals.clear();
      return { isMember: outcome.kind !== "removed", reInit: outcome.reInit };
    case "ownCommit":
      state.proposals.clear();
      return { isMember: true, reInit: outcome.summary?.reInit };
    default:
      throw unexpected("a Commit", outcome);
  }
}

export async function acceptPending(state: State): Promise<AcceptedCommit> {
  const accepted = await state.group.acceptCommit();
  state.proposals.clear();
  return accepted;
}

/** Takes in a proposal unless it is known, and tells its reference. */
async function learnProposal(state: State, bytes: Uint8Array): Promise<Uint8Array> {
  const key = hex(bytes);
  const known = state.proposals.get(key);
  if (known !== undefined) return known;
  const outcome = await state.group.process(bytes, { accept: true });
  switch (outcome.kind) {
    case "proposal":
    case "externalProposal":
    case "newMemberProposal":
    case "ownProposal":
      state.proposals.set(key, outcome.reference);
      return outcome.reference;
    default:
      throw unexpected("a proposal", outcome);
  }
}

function byValue(group: Group, descriptions: readonly ProposalDescription[]): Request {
  const add: Uint8Array[] = [];
  const remove: number[] = [];
  const psks: Uint8Array[] = [];
  const resumptionPsks: { epoch: bigint }[] = [];
  let extensions: Request["extensions"];
  for (const description of descriptions) {
    const type = fromUtf8(description.proposal_type);
    switch (type) {
      case "add":
        add.push(description.key_package ?? EMPTY);
        break;
      case "remove":
        remove.push(leafOf(group, description.removed_id ?? EMPTY));
        break;
      case "externalPSK":
        psks.push(description.psk_id ?? EMPTY);
        break;
      case "resumptionPSK":
        resumptionPsks.push({ epoch: BigInt(description.epoch_id ?? "0") });
        break;
      case "groupContextExtensions":
        extensions = fromWire(description.extensions ?? []);
        break;
      default:
        throw new Error(`a proposal of type "${type}" cannot be committed by value`);
    }
  }
  return { add, remove, psks, resumptionPsks, extensions };
}

/** A proposal that is listed but cannot be committed is an error, never left out. */
async function refuseOmissions(group: Group, { unused = [] }: PendingCommitView): Promise<void> {
  const [omitted] = unused;
  if (omitted === undefined) return;
  await group.discardCommit();
  throw new Error(`a listed proposal cannot be committed: ${describeError(omitted.reason)}`);
}

/**
 * What acceptance will hand out. Welcomes are not shown before, and the harness wants them together
 * with the Commit: so the acceptance is carried out in a transaction that is then dropped.
 */
async function previewAcceptance({ actor, group }: State): Promise<AcceptedCommit> {
  const preview = new Preview();
  try {
    return await actor.client.transaction(async (transaction) => {
      preview.accepted = await (await transaction.group(group.id)).acceptCommit();
      throw preview;
    });
  } catch (error) {
    if (error === preview && preview.accepted !== undefined) return preview.accepted;
    throw error;
  }
}

/** Drops the transaction and carries its result out. */
class Preview extends Error {
  accepted: AcceptedCommit | undefined;
}
