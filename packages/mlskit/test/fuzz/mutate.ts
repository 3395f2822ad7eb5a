/** Damaging bytes in the ways that parsers are known to mind. */
import { concat } from "../../src/codec/index.ts";
import type { SeededRandom } from "./random.ts";

type Mutation = (bytes: Uint8Array, random: SeededRandom, other: Uint8Array) => Uint8Array;

/** Values at which lengths, counts and enums change their meaning. */
const EDGES = [0x00, 0x01, 0x02, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff];

const mutations: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const copy = bytes.slice();
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  function setEdge(bytes, random) {
    const copy = bytes.slice();
    copy[random.below(copy.length)] = random.pick(EDGES);
    return copy;
  },
  function truncate(bytes, random) {
    return bytes.slice(0, random.below(bytes.length));
  },
  function extend(bytes, random) {
    return concat(bytes, random.bytes(1 + random.below(8)));
  },
  function insert(bytes, random) {
    const at = random.below(bytes.length);
    return concat(bytes.slice(0, at), random.bytes(1 + random.below(4)), bytes.slice(at));
  },
  function remove(bytes, random) {
    const at = random.below(bytes.length);
    return concat(bytes.slice(0, at), bytes.slice(at + 1 + random.below(4)));
  },
  function overwrite(bytes, random) {
    const copy = bytes.slice();
    const at = random.below(copy.length);
    copy.set(random.bytes(Math.min(8, copy.length - at)), at);
    return copy;
  },
  function splice(bytes, random, other) {
    return concat(
      bytes.slice(0, random.below(bytes.length)),
      other.slice(random.below(other.length)),
    );
  },
  function hugeLength(bytes, random) {
    const copy = bytes.slice();
    copy.set(
      [0xbf, 0xff, 0xff, 0xff].slice(0, copy.length),
      random.below(Math.max(1, copy.length - 4)),
    );
    return copy;
  },
];

/** One to three mutations; never the input itself. */
export function mutate(
  bytes: Uint8Array,
  random: SeededRandom,
  corpus: readonly Uint8Array[],
): Uint8Array {
  if (bytes.length === 0) return random.bytes(1);
  let mutated = bytes;
  for (let i = 1 + random.below(3); i > 0 && mutated.length > 0; i--) {
    mutated = random.pick(mutations)(mutated, random, random.pick(corpus));
  }
  const isSame = mutated.length === bytes.length && mutated.every((byte, i) => byte === bytes[i]);
  return isSame ? concat(mutated, random.bytes(1)) : mutated;
}
