/** A short run of the simulation. `npm run simulate` does long ones. */
import { describe, expect, test } from "vitest";
import { Ledger } from "./ledger.ts";
import { SealWatch } from "./seals.ts";
import { seededProvider } from "../../src/testing/index.ts";
import { simulate } from "./simulate.ts";

describe("simulation", () => {
  test("M-TST-04 M-DS-07 clients stay one group through loss, crashes, races and faults", async () => {
    const { counts, steps } = await simulate({ seed: 307, clients: 8, steps: 1500 });
    expect(steps).toBeGreaterThanOrEqual(1500);
    for (const what of [
      "messages read",
      "crashes",
      "storage faults",
      "commits accepted",
      "commits lost",
      "groups compared",
      "keys used",
      "outcome: duplicate",
      "resync",
      "partitions",
      "times offline",
      "outcome: removed",
      "external join",
      "hand out",
    ]) {
      expect(counts.get(what) ?? 0, what).toBeGreaterThan(0);
    }
  });

  test("M-TST-06 a seed reproduces a run exactly", async () => {
    const options = { clients: 5, steps: 300, quietEvery: 100 };
    const first = await simulate({ ...options, seed: 4 });
    const second = await simulate({ ...options, seed: 4 });
    const other = await simulate({ ...options, seed: 5 });
    expect(second).toEqual(first);
    expect(other.digest).not.toBe(first.digest);
  });
});

describe("what the simulation would notice", () => {
  test("a key that encrypts two messages", () => {
    const watch = new SealWatch(seededProvider(1));
    const crypto = watch.provider.suite(1);
    const [key, nonce] = [new Uint8Array(16), new Uint8Array(12)];
    const empty = new Uint8Array();
    crypto.aeadSeal(key, nonce, empty, Uint8Array.of(1));
    watch.drop();
    crypto.aeadSeal(key, nonce, empty, Uint8Array.of(2));
    watch.keep();
    crypto.aeadSeal(key, nonce, empty, Uint8Array.of(2));
    watch.keep();
    crypto.aeadSeal(
      key,
      Uint8Array.from(nonce, () => 1),
      empty,
      Uint8Array.of(3),
    );
    expect(() => watch.keep()).toThrow("twice");
  });

  test("a message that is missing, or read by somebody else", () => {
    const ledger = new Ledger();
    ledger.found("g", 0n, ["a", "b", "c"]);
    ledger.advance("g", 0n, { added: [], removed: ["c"] }, 1);
    ledger.deliver("m1", { group: "g", epoch: 0n, sender: "a", sequence: 2 });
    ledger.deliver("m2", { group: "g", epoch: 1n, sender: "a", sequence: 3 });
    const { problems } = ledger.settle(new Map([["m2", ["c"]]]));
    expect(problems).toEqual([
      "b did not read message m1 of a in epoch 0: no reason",
      "c read message m2 of a, which is not for it",
      "b did not read message m2 of a in epoch 1: no reason",
    ]);
    ledger.deliver("m3", { group: "g", epoch: 1n, sender: "a", sequence: 4 });
    ledger.excuse("b", 4, "g", { kind: "epochTooOld", epoch: 3n });
    expect(ledger.settle(new Map()).problems).toHaveLength(1);
  });
});
