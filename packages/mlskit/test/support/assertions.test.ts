/** What `expectRule` promises: nothing that lives in the test may have changed. */
import { describe, expect, test } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import { utf8 } from "../../src/codec/index.ts";
import { ValidationError } from "../../src/errors.ts";
import { noPadding } from "../../src/framing/padding.ts";
import { protectApplicationData } from "../../src/group/application-message.ts";
import type { Epoch } from "../../src/group/epoch.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";
import { expectRule } from "./assertions.ts";
import { forgeProposal } from "./forge.ts";
import { newDesk, seat } from "./forge-clients.ts";
import { groupInfoBytes, remove } from "./forge-lists.ts";
import { newClient, provider } from "./parties.ts";
import { TestGroup } from "./test-group.ts";

/** Changes something, and then refuses. */
function noticed(change: () => unknown): Promise<void> {
  const action = async (): Promise<never> => {
    await change();
    throw new ValidationError("INVALID_COMMIT", "refused", { rule: "mk-48" });
  };
  return expect(expectRule(action, "mk-48", { as: "VAL" })).rejects.toThrow("nothing changes");
}

async function useKey(epoch: Epoch): Promise<void> {
  const options = { data: utf8("x"), authenticatedData: utf8(""), padding: noPadding };
  epoch.secretTree.apply((await protectApplicationData(epoch, options)).change);
}

describe("a refusal that changes something does not pass", () => {
  test("with a party that the test does not name", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const bob = group.party("bob");
    await expectRule(
      () => {
        throw new ValidationError("INVALID_COMMIT", "refused", { rule: "mk-48" });
      },
      "mk-48",
      { as: "VAL" },
    );
    await noticed(() => useKey(bob.epoch));
    const { cached } = await forgeProposal(group.party("alice"), remove(1));
    await noticed(() => bob.remember(cached));
    await noticed(() => group.observer.cache.set("any", cached));
    await noticed(async () => bob.receive((await group.commit("alice")).commit).catch(() => 0));
  });

  test("with a key package that waits for its Welcome", async () => {
    const { initKey } = await newClient("alice");
    await noticed(() => initKey.erase());
  });

  test("with somebody who follows a group", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const groupInfo = groupInfoBytes(await group.groupInfo("alice"));
    const { environment } = group;
    const server = await PublicGroup.start(provider, { groupInfo }, environment);
    const { bytes } = await forgeProposal(group.party("alice"), remove(1));
    await noticed(() => server.group.process(bytes, environment));
  });

  test("with a client's memory, or its store", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const desk = await newDesk("carol");
    const own = await seat(group, desk);
    await noticed(() => useKey(accessOf(own).peek().epoch));
    await noticed(() => desk.client.createKeyPackage());
    await noticed(() => own.configure({ pastEpochs: 1 }));
  });
});
