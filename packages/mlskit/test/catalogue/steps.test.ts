/**
 * Catalogue M-RCV-31: what was not checked has another type than what was, and each step asks for the
 * type that only the step before it makes. The assertions on types hold when this file compiles.
 */
import { expect, expectTypeOf, test } from "vitest";
import { decodeMlsMessage, type MlsMessage } from "../../src/framing/mls-message.ts";
import {
  createCommit,
  createGroupInfo,
  currentKeys,
  DEFAULT_LIMITS,
  OpenedContent,
  processCommit,
  type StagedCommit,
  stageJoin,
  type OpenedWelcome,
  type StagedJoin,
  type ValidatedGroupInfo,
  type ValidatedKeyPackage,
  validateGroupInfo,
  validateKeyPackages,
  VerifiedContent,
} from "../../src/group/index.ts";
import type { KeyPackage } from "../../src/key-packages/key-package.ts";
import type { GroupInfo } from "../../src/messages/group-info.ts";
import type { Welcome } from "../../src/messages/welcome.ts";
import type { RatchetTree } from "../../src/tree/ratchet-tree.ts";
import { validateTree, type ValidatedTree } from "../../src/tree/tree-validation.ts";
import { testEnvironment } from "../support/environment.ts";
import { newClient } from "../support/parties.ts";
import { COMMIT_DEFAULTS, TestGroup } from "../support/test-group.ts";

const types = { proposals: new Map(), credentials: new Map() };
const environment = testEnvironment();

test("M-RCV-31: a message is decoded, opened, verified and staged, in this order only", async () => {
  expectTypeOf<MlsMessage>().not.toExtend<OpenedContent>();
  expectTypeOf<OpenedContent>().not.toExtend<VerifiedContent>();
  expectTypeOf<Parameters<typeof VerifiedContent.verify>[1]>().toEqualTypeOf<OpenedContent>();
  expectTypeOf<Parameters<typeof processCommit>[1]>().toEqualTypeOf<VerifiedContent>();
  // The fields alone, without the seal, are no staged Commit.
  expectTypeOf<
    Pick<StagedCommit, "summary" | "next" | "confirmationTag" | "group" | "notices">
  >().not.toExtend<StagedCommit>();

  const group = await TestGroup.of(["alice", "bob"]);
  const [alice, bob] = [group.parties.get("alice")!, group.parties.get("bob")!];
  const options = { ...COMMIT_DEFAULTS, wireFormat: "privateMessage" } as const;
  const message = decodeMlsMessage((await createCommit(alice.epoch, options, environment)).commit);
  if (message.wireFormat !== "privateMessage") throw new Error("a PrivateMessage was expected");
  const keys = currentKeys(bob.epoch);
  const opened = OpenedContent.fromPrivate(keys, message.message, DEFAULT_LIMITS, types);
  if (opened === "own") throw new Error("our own message");
  const verified = await VerifiedContent.verify(bob.epoch.crypto, opened, keys);
  const staged = await processCommit(bob.epoch, verified, new Map(), environment);
  expect(staged.next?.context.epoch).toBe(bob.epoch.context.epoch + 1n);
});

test("M-RCV-31: key package, tree, GroupInfo and Welcome become others by their checks", async () => {
  expectTypeOf<KeyPackage>().not.toExtend<ValidatedKeyPackage>();
  expectTypeOf<RatchetTree>().not.toExtend<ValidatedTree>();
  expectTypeOf<GroupInfo>().not.toExtend<ValidatedGroupInfo>();
  expectTypeOf<ValidatedGroupInfo["epoch"]["tree"]>().toExtend<ValidatedTree>();
  expectTypeOf<Welcome>().not.toExtend<OpenedWelcome>();
  expectTypeOf<Parameters<typeof stageJoin>[0]>().toEqualTypeOf<OpenedWelcome>();
  expectTypeOf<Pick<StagedJoin, "epoch" | "groupInfo">>().not.toExtend<StagedJoin>();

  const { epoch } = (await TestGroup.of(["alice", "bob"])).parties.get("alice")!;
  const { crypto, tree } = epoch;
  const client = await newClient("carol");
  const checked = await validateKeyPackages([client.keyPackage], { crypto });
  expect(checked.keyPackages).toEqual([client.keyPackage]);
  const { groupId } = epoch.context;
  expect((await validateTree(tree, { groupId })).tree).toBe(tree);
  const groupInfo = await createGroupInfo(epoch, epoch.ownLeaf, epoch.signer, {
    ratchetTree: true,
    externalPub: true,
  });
  const valid = await validateGroupInfo(crypto, groupInfo, environment);
  expect(valid.epoch.context).toEqual(epoch.context);
  expect(valid.epoch.tree.encode()).toEqual(tree.encode());
});
