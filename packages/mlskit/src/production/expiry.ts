/** Credentials and proposals whose time runs out. Catalogue M-ID-13, M-EVT-02. */
import { bytesKey } from "../codec/index.ts";
import type { AuthenticationService } from "../credentials/authentication-service.ts";
import type { LeafNode } from "../tree/nodes.ts";
import { leafIndex } from "../tree/tree-math.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import { isExpired } from "../client/state/dropped-proposals.ts";
import type { ClientEvent } from "../client/state/events.ts";
import { secondsOf } from "../client/state/settings.ts";
import { accessOf } from "../client/group.ts";
import { dropOverdue } from "./retention.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import type { GroupSession } from "../client/session/session.ts";

/**
 * When a leaf stops being good: at the end of its own lifetime, which it has as long as it comes from
 * a key package, or when the authentication service says that its credential ends. Undefined: never.
 */
export function expiryOfLeaf(
  { origin, credential, signatureKey }: LeafNode,
  service: Pick<AuthenticationService, "expiresAt">,
): bigint | undefined {
  const lifetime = origin.source === "keyPackage" ? origin.lifetime.notAfter : undefined;
  const ofCredential = service.expiresAt?.({ credential, signatureKey });
  if (lifetime === undefined || ofCredential === undefined) return lifetime ?? ofCredential;
  return lifetime < ofCredential ? lifetime : ofCredential;
}

export interface ExpiryOptions {
  /** Seconds before the end of our own credential at which it is reported. Default: 14 days. */
  readonly within?: number | undefined;
}

const TWO_WEEKS = 14 * 86_400;

/**
 * What was reported in this process and is still so, for each group by its handle; a restart reports it
 * once more.
 */
const reported = new WeakMap<ClientCore, Map<number, ReadonlySet<string>>>();

/**
 * Looks through all groups for what runs out: `credentialExpiring` for our own leaf before its end,
 * `proposalExpired` for pending Adds whose key package is not valid any more. What nothing else would
 * touch in a quiet group goes: keys of past epochs and early messages whose time is over. To be called
 * at the start and daily; what was reported is not reported again.
 */
export async function reportExpiry(client: Client, options: ExpiryOptions = {}): Promise<void> {
  const within = secondsOf("within", options.within ?? TWO_WEEKS);
  const core = coreOfClient(client);
  const known = reported.get(core) ?? new Map<number, ReadonlySet<string>>();
  reported.set(core, known);
  for (const group of await client.groups()) {
    await accessOf(group).operate(async (session) => {
      dropOverdue(session);
      const { status, handle } = session.state;
      if (status !== "active") return;
      const due = new Map([...dueLeaf(session, within), ...dueProposals(session)]);
      for (const [name, event] of due) {
        if (known.get(handle)?.has(name) !== true) session.emit(event);
      }
      session.transaction.onCommit(() => known.set(handle, new Set(due.keys())));
    });
  }
}

/** Events by what they are about. */
type Due = Iterable<readonly [string, ClientEvent]>;

function* dueLeaf({ state, environment }: GroupSession, within: bigint): Due {
  const { tree, ownLeaf, context } = state.epoch;
  const { groupId, epoch } = context;
  const leaf = tree.leaf(leafIndex(ownLeaf));
  if (leaf === undefined) return;
  const expiresAt = expiryOfLeaf(leaf, environment.authenticationService);
  if (expiresAt === undefined || expiresAt - environment.now > within) return;
  const name = bytesKey(leaf.encryptionKey);
  yield [name, { type: "credentialExpiring", groupId, epoch, expiresAt }];
}

function* dueProposals({ state, environment }: GroupSession): Due {
  const { groupId, epoch } = state.epoch.context;
  for (const { proposal, reference } of state.proposals.values()) {
    if (proposal.type !== "add") continue;
    if (!isExpired(proposal.keyPackage.leafNode, environment.now)) continue;
    yield [bytesKey(reference), { type: "proposalExpired", groupId, epoch, reference }];
  }
}
