/** Overwriting the secrets of a state that is over. Catalogue M-SEC-15. */
import type { Secret } from "../../crypto/index.ts";
import { type Epoch, eraseEpoch } from "../../group/epoch.ts";
import type { GroupState } from "./group-state.ts";

/** Overwrites what the state holds and the one after it, if there is one, does not. */
export function eraseState(before: GroupState, after: GroupState | undefined): void {
  const { epoch } = before;
  const now = after?.status === "inactive" ? undefined : after?.epoch;
  const kept = new Set<Secret>(now?.privateKeys.values());
  for (const psk of after?.resumptionPsks.values() ?? []) kept.add(psk);
  for (const { senderDataSecret } of after?.past ?? []) kept.add(senderDataSecret);
  const secrets = [...Object.values(epoch.secrets), ...epoch.privateKeys.values()];
  for (const node of epoch.exporterTree?.values() ?? []) secrets.push(node);
  for (const psk of before.resumptionPsks.values()) secrets.push(psk);
  for (const { senderDataSecret } of before.past) secrets.push(senderDataSecret);
  for (const { ownUpdate } of [...before.proposals.values(), ...before.setAside.values()]) {
    if (ownUpdate !== undefined) secrets.push(ownUpdate.leafPrivateKey);
  }
  for (const secret of secrets) if (!kept.has(secret)) secret.erase();
  const trees = new Set([now?.secretTree, ...(after?.past ?? []).map((past) => past.secretTree)]);
  for (const tree of [epoch.secretTree, ...before.past.map((past) => past.secretTree)]) {
    if (!trees.has(tree)) tree.erase();
  }
  if (before.pending !== undefined) erasePending(before.pending.next, now);
}

/** Of a Commit that won, only the untouched copy of its secret tree is left to erase. */
function erasePending(pending: Epoch, now: Epoch | undefined): void {
  if (pending.secrets === now?.secrets) pending.secretTree.erase();
  else eraseEpoch(pending, now);
}
