/** Conversations with other implementations that npm carries. */
import { describe, expect, test } from "vitest";
import { converse } from "./npm/conversation.ts";
import { mlskitParty } from "./npm/mlskit-party.ts";
import { OPENMLS_SUITE, openMlsParty } from "./npm/openmls-party.ts";
import type { Party } from "./npm/party.ts";
import { tsMlsParty } from "./npm/ts-mls-party.ts";

type Maker = (name: string, suite: number, isPrivate: boolean) => Promise<Party>;

const NAMES = ["alice", "bob", "charlie"] as const;

/** Every way to give three parts to us and a peer so that both play. */
const CASTS = Array.from({ length: 6 }, (_, i) =>
  NAMES.map((_name, at) => ((i + 1) >> at) % 2 === 1),
);

async function play(peer: Maker, suite: number, isPrivate: boolean, cast: readonly boolean[]) {
  const parties = NAMES.map((name, at) => {
    return (cast[at] === true ? mlskitParty : peer)(name, suite, isPrivate);
  });
  const [first, second, third] = await Promise.all(parties);
  if (first === undefined || second === undefined || third === undefined) throw new Error("three");
  const deeds = await converse(first, second, third);
  return new Map([...deeds].map(([deed, by]) => [deed, by.map(({ name }) => name)]));
}

/** Only mlskit has all that takes: bob comes back with the GroupInfo of somebody who stayed. */
function joinersFromOutside([alice, bob, charlie]: readonly boolean[]): string[] | undefined {
  return bob === true && (alice === true || charlie === true) ? ["bob"] : undefined;
}

const describeCast = (cast: readonly boolean[], peer: string): string =>
  cast.map((isOurs) => (isOurs ? "mlskit" : peer)).join(", ");

describe("ts-mls", () => {
  for (const suite of [1, 2, 3, 4, 5, 6, 7]) {
    for (const [i, cast] of CASTS.entries()) {
      // With larger keys only two, of which one is the other with parts exchanged: they take long.
      if (suite > 3 && i > 0 && i < CASTS.length - 1) continue;
      const isPrivate = (i + suite) % 2 === 0;
      const form = isPrivate ? "private" : "public";
      test(`M-INT-03 cross, suite ${suite}, ${form}: ${describeCast(cast, "ts-mls")}`, async () => {
        const deeds = await play(tsMlsParty, suite, isPrivate, cast);
        expect(deeds.get("add")).toEqual(["alice", "bob"]);
        expect(deeds.get("refresh")).toEqual(NAMES);
        expect(deeds.get("propose")).toEqual(["alice"]);
        expect(deeds.get("remove")).toEqual(["charlie"]);
        expect(deeds.get("external join")).toEqual(joinersFromOutside(cast));
      });
    }
  }
});

/** Its API has no Commit but the one that adds: what else happens is up to us. */
describe("OpenMLS", () => {
  for (const cast of CASTS) {
    test(`M-INT-03 cross, suite ${OPENMLS_SUITE}, private: ${describeCast(cast, "OpenMLS")}`, async () => {
      const peer: Maker = async (name) => openMlsParty(name);
      const deeds = await play(peer, OPENMLS_SUITE, true, cast);
      const ours = NAMES.filter((_name, at) => cast[at] === true);
      const others = ours.filter((name) => name !== "bob");
      expect(deeds.get("add")).toEqual(["alice", "bob"]);
      expect(deeds.get("refresh")).toEqual(ours);
      expect(deeds.get("propose")).toEqual(others.length === 0 ? undefined : others.slice(0, 1));
      expect(deeds.get("remove")).toEqual(others.length === 0 ? undefined : others.slice(-1));
      expect(deeds.get("external join")).toEqual(joinersFromOutside(cast));
    });
  }
});
