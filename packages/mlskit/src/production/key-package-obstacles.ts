/** Asking whether somebody can be added. Catalogue M-SUITE. */
import type { MlsError } from "../errors.ts";
import { keyPackageObstacles as obstaclesIn } from "../group/key-package-obstacles.ts";
import { accessOf, type Group } from "../client/group.ts";
import { decodeKeyPackage } from "../client/state/messages.ts";

/** Why this key package (MLSMessage) could not be added now; empty if it could. */
export function keyPackageObstacles(
  group: Group,
  keyPackage: Uint8Array,
): Promise<readonly MlsError[]> {
  return accessOf(group).operate(async ({ state, environment }) => {
    return obstaclesIn(state.epoch, decodeKeyPackage(keyPackage, environment), environment);
  });
}
