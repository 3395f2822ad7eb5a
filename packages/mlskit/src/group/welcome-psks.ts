/** PSKs named in a Welcome. RFC 9420 §8.4, §12.4.3.1. */
import { bytesKey, encode } from "../codec/index.ts";
import { PreSharedKeyId, type ResumptionPskId } from "../key-schedule/pre-shared-key.ts";
import type { GroupInfo } from "../messages/group-info.ts";
import { check } from "../rules.ts";

/** Rules valn0307, valn0803, valn1401, valn1412. `nonceSize` is KDF.Nh. */
export function checkWelcomePsks(
  psks: readonly PreSharedKeyId[],
  groupInfo: GroupInfo,
  nonceSize: number,
): void {
  const seen = new Set<string>();
  let successions = 0;
  for (const id of psks) {
    check(
      id.nonce.length === nonceSize,
      "valn0803",
      "INVALID_WELCOME",
      "a PSK nonce must be as long as the KDF's output",
    );
    const key = bytesKey(encode(PreSharedKeyId, id));
    check(!seen.has(key), "valn0307", "INVALID_WELCOME", "a PSK is named more than once");
    seen.add(key);
    if (id.type === "resumption" && id.usage !== "application") successions += 1;
  }
  check(
    successions <= 1,
    "valn1401",
    "INVALID_WELCOME",
    "more than one PSK has usage reinit or branch",
  );
  check(
    successions === 0 || groupInfo.groupContext.epoch === 1n,
    "valn1412",
    "INVALID_WELCOME",
    "a successor group begins with epoch 1",
    { epoch: groupInfo.groupContext.epoch },
  );
}

/** The PSK that ties a successor group to its predecessor, if there is one. */
export function successionPsk(psks: readonly PreSharedKeyId[]): ResumptionPskId | undefined {
  return psks.find(
    (id): id is ResumptionPskId => id.type === "resumption" && id.usage !== "application",
  );
}
