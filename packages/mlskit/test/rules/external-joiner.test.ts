/** Rules about leaves of key packages, at the joiner's side of an external commit. RFC 9420 §7.3. */
import { expect, test } from "vitest";
import { viewPublicCommit } from "../../src/framing/route.ts";
import { newClient } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

// The joiner names no key package: its one leaf comes with the path. What could break these rules
// cannot be built, and this is what the test shows.
test("valn0105 valn0108 [X] an external joiner sends no leaf of a key package", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const { commit } = await group.createExternalJoin(await newClient("carol"));
  const view = viewPublicCommit(commit);
  expect(view?.proposals.map(({ type }) => type)).toEqual(["externalInit"]);
  expect(view?.references).toEqual([]);
  expect(view?.pathLeaf?.origin.source).toBe("commit");
});
