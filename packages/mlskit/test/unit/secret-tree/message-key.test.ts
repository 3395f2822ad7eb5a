/** Keys that are handed out for one message. RFC 9420 §9.2. */
import { expect, test } from "vitest";
import { utf8 } from "../../../src/codec/index.ts";
import { MlsError } from "../../../src/errors.ts";
import type { MessageKey } from "../../../src/secret-tree/hash-ratchet.ts";
import type { SecretTree } from "../../../src/secret-tree/secret-tree.ts";
import { forgeMessage } from "../../support/forge.ts";
import { newSigner } from "../../support/parties.ts";
import { TestGroup } from "../../support/test-group.ts";

/** Every key that the tree hands out from now on. */
function handedOut(tree: SecretTree): MessageKey[] {
  const keys: MessageKey[] = [];
  const prepare = tree.prepareReceive.bind(tree);
  tree.prepareReceive = (...parameters) => {
    const prepared = prepare(...parameters);
    keys.push(prepared.messageKey);
    return prepared;
  };
  return keys;
}

const isErased = ({ key, nonce }: MessageKey): boolean =>
  [key, nonce].every((secret) => {
    try {
      return secret.bytes.length === 0;
    } catch (error) {
      return MlsError.is(error, "SECRET_ERASED");
    }
  });

test("a key is overwritten when its message was opened, also if that is refused in the end", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const [alice, bob] = [group.party("alice"), group.party("bob")];
  const keys = handedOut(bob.epoch.secretTree);
  const forged = await forgeMessage(
    { epoch: { ...alice.epoch, signer: await newSigner() } },
    { contentType: "application", applicationData: utf8("not alice's") },
    { wireFormat: "privateMessage" },
  );
  await expect(bob.receive(forged)).rejects.toMatchObject({ rule: "valn1304" });
  await bob.receive(await group.send("alice", "hello"));
  expect(keys).toHaveLength(2);
  expect(keys.map(isErased)).toEqual([true, true]);
});

test("the key of a skipped generation stays until its message was accepted", async () => {
  const group = await TestGroup.of(["alice", "bob"]);
  const [alice, bob] = [group.party("alice"), group.party("bob")];
  const forged = await forgeMessage(
    { epoch: { ...alice.epoch, signer: await newSigner() } },
    { contentType: "application", applicationData: utf8("not alice's") },
    { wireFormat: "privateMessage" },
  );
  const late = await group.send("alice", "first");
  await bob.receive(await group.send("alice", "second"));
  const keys = handedOut(bob.epoch.secretTree);
  await expect(bob.receive(forged)).rejects.toMatchObject({ rule: "valn1304" });
  const [kept] = [...bob.epoch.secretTree.ratchets()].flatMap(({ ratchet }) => ratchet.skipped);
  expect(kept?.generation).toBe(0);
  expect(isErased(kept!)).toBe(false);
  await bob.receive(late);
  expect(keys.map(isErased)).toEqual([true, true]);
  expect(isErased(kept!)).toBe(true);
});
