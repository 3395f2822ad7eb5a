/** Removing an identity that nothing needs any more. Catalogue M-ID-10. */
import { equalBytes, uint32 } from "../../codec/index.ts";
import { UsageError } from "../../errors.ts";
import type { ClientCore } from "../session/client-core.ts";
import { isUnreadable } from "../session/unreadable.ts";
import type { GroupState } from "../state/group-state.ts";
import { type Identity, listIdentities } from "./identity.ts";
import { listKeyPackages, removeKeyPackage } from "./key-packages.ts";
import { decodeRecord } from "../records/record-codecs.ts";
import { GROUP_PREFIX, GroupKeys, identityKey, retiredKey } from "../records/record-keys.ts";
import type { Transaction } from "../records/transaction.ts";

/**
 * Deletes the identity with its signature key and its unused key packages. The identities that stay.
 * @throws UsageError `CREDENTIAL_IN_USE`
 */
export async function removeIdentity(
  core: ClientCore,
  transaction: Transaction,
  { signatureKey }: Pick<Identity, "signatureKey">,
): Promise<readonly Identity[]> {
  // What comes to need it meanwhile makes this write fail, and so does who removes another one.
  await core.raiseMeta(transaction);
  const left = (await listIdentities(core)).filter(
    (identity) => !equalBytes(identity.signatureKey, signatureKey),
  );
  if (left.length === 0) {
    throw new UsageError("CREDENTIAL_IN_USE", "a client keeps its last identity");
  }
  for (const { value } of await core.storage.list(GROUP_PREFIX)) {
    await requireUnused(core, transaction, decodeRecord(uint32, value), signatureKey);
  }
  for (const { reference, signatureKey: own } of await listKeyPackages(core)) {
    if (!equalBytes(own, signatureKey)) continue;
    removeKeyPackage(transaction, reference, core.options.clock());
  }
  transaction.delete(identityKey(signatureKey));
  transaction.delete(retiredKey(signatureKey));
  transaction.onCommit(() => core.removeSigner(signatureKey));
  return left;
}

async function requireUnused(
  core: ClientCore,
  transaction: Transaction,
  handle: number,
  signatureKey: Uint8Array,
): Promise<void> {
  const { state, version } = await core.load(handle).catch((cause: unknown) => {
    if (!isUnreadable(cause)) throw cause;
    const message = "a group that cannot be read may use this credential";
    throw new UsageError("CREDENTIAL_IN_USE", message, { cause });
  });
  // A group that begins to use the key meanwhile makes this write fail.
  transaction.expect(new GroupKeys(handle).version, version);
  if (usesKey(state, signatureKey)) {
    throw new UsageError("CREDENTIAL_IN_USE", "a group uses this credential", {
      details: { groupId: state.epoch.context.groupId },
    });
  }
  const { replaces } = state;
  if (replaces !== undefined) await requireUnused(core, transaction, replaces, signatureKey);
}

/** For what is yet to be signed in the group, or in the epoch that we hope for. */
function usesKey(
  { status, epoch, pending, proposals, setAside }: GroupState,
  signatureKey: Uint8Array,
): boolean {
  if (status === "inactive") return false;
  const signers = [epoch.signer, pending?.next.signer];
  for (const { ownUpdate } of [...proposals.values(), ...setAside.values()]) {
    signers.push(ownUpdate?.signer);
  }
  return signers.some(
    (signer) => signer !== undefined && equalBytes(signer.publicKey, signatureKey),
  );
}
