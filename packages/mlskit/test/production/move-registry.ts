/** Where devices learn which target the move of a client has. P-MP-07. */
import { toHex } from "../../src/codec/index.ts";

export function moveRegistry() {
  const moves = new Map<string, string>();
  const claim = (id: Uint8Array, target: Uint8Array): boolean => {
    const known = moves.get(toHex(id)) ?? toHex(target);
    moves.set(toHex(id), known);
    return known === toHex(target);
  };
  return { moves, claim };
}
