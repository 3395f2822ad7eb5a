/** The ways on which a leaf reaches others: in an Add, an Update, a path, or the tree of a joiner. */
import { EMPTY_BYTES } from "../../src/codec/index.ts";
import type { Environment } from "../../src/group/environment.ts";
import { joinByExternalCommit } from "../../src/group/join-by-external-commit.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { validateGroupInfo } from "../../src/group/validate-group-info.ts";
import type { Expected } from "../support/assertions.ts";
import { refusedByAll, refuses } from "../support/assertions.ts";
import {
  forgeCommit,
  forgeGroupInfo,
  forgeKeyPackage,
  forgeLeaf,
  forgeProposal,
  forgeWelcome,
  type GroupInfoForgery,
  type KeyPackageForgery,
  type LeafChanges,
  newKeyPair,
  treeOfLeaves,
} from "../support/forge.ts";
import { type ClientOptions, join, newClient } from "../support/parties.ts";
import { GROUP_ID, TestGroup } from "../support/test-group.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { commitWith } from "./commits.ts";

/** A key package with changes, of a client that is not in the group. */
export async function outsider(
  forgery: KeyPackageForgery = {},
  options: ClientOptions = {},
): Promise<KeyPackageBundle> {
  return forgeKeyPackage(await newClient("mallory", options), forgery);
}

/** Everybody refuses the Commit of alice that adds this client; an honest committer too. */
export async function refusedAsAdd(
  group: TestGroup,
  { keyPackage }: KeyPackageBundle,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const proposals = [{ type: "add", keyPackage } as const];
  const alice = group.party("alice");
  const { bytes } = await forgeCommit(alice, { proposals });
  await refusedByAll(group, "alice", bytes, rule, expected);
}

/** Nobody makes a Commit that adds this client. */
export async function notAdded(
  group: TestGroup,
  { keyPackage }: KeyPackageBundle,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const proposals = [{ type: "add", keyPackage } as const];
  const alice = group.party("alice");
  await refuses(alice, () => group.createCommit("alice", { proposals }), rule, expected);
}

export interface UpdateForgery {
  readonly changes?: LeafChanges;
  readonly alterSignature?: (signature: Uint8Array) => Uint8Array;
  readonly binding?: { readonly groupId: Uint8Array; readonly leafIndex: number };
}

/** An Update of bob's leaf, as a message and as what a careless member would cache. */
export async function forgedUpdate(
  group: TestGroup,
  { changes, alterSignature, binding }: UpdateForgery = {},
): Promise<Awaited<ReturnType<typeof forgeProposal>>> {
  const bob = group.party("bob");
  const { publicKey } = await newKeyPair();
  const leafNode = await forgeLeaf(
    bob.epoch.tree.leaf(bob.epoch.ownLeaf)!,
    { encryptionKey: publicKey, origin: { source: "update" }, ...changes },
    {
      signer: bob.signer,
      binding: binding ?? { groupId: GROUP_ID, leafIndex: bob.leaf },
      alterSignature,
    },
  );
  return forgeProposal(bob, { type: "update", leafNode });
}

/** Everybody refuses this Update of bob's leaf, on its own and in a Commit by alice. */
export async function refusedAsUpdate(
  group: TestGroup,
  forgery: UpdateForgery,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const { bytes, cached } = await forgedUpdate(group, forgery);
  await refusedByAll(group, "bob", bytes, rule, expected);
  await commitWith(group, cached, rule, expected);
}

/** Everybody refuses a Commit of alice whose path has this leaf. */
export async function refusedAsPath(
  group: TestGroup,
  leaf: LeafChanges,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const { bytes } = await forgeCommit(group.party("alice"), { path: { leaf } });
  await refusedByAll(group, "alice", bytes, rule, expected);
}

export interface WorldOptions extends GroupInfoForgery {
  readonly bob?: KeyPackageForgery;
  /** Whether carol's leaf has bob's encryption key. */
  readonly twin?: boolean;
  readonly client?: ClientOptions;
  readonly environment?: Environment;
  readonly joiner?: ClientOptions;
}

/** A group of alice, bob and carol that exists on paper only, open to a joiner and to observers. */
export interface World {
  readonly joiner: KeyPackageBundle;
  join(): Promise<unknown>;
  external(): Promise<unknown>;
  observe(): Promise<unknown>;
}

/** The group as its GroupInfo and Welcome describe it, with a leaf of bob's that is changed. */
export async function world(options: WorldOptions = {}): Promise<World> {
  const {
    bob: changes,
    twin,
    client,
    environment: given,
    joiner: joinerOptions,
    ...info
  } = options;
  const clientOptions = client ?? {};
  const environmentOption = given === undefined ? {} : { environment: given };
  const group = await TestGroup.of(["alice"], { client: clientOptions, ...environmentOption });
  const alice = group.party("alice");
  const { environment } = group;
  const { crypto } = alice.epoch;
  const bob = await forgeKeyPackage(await newClient("bob", clientOptions), changes);
  const { encryptionKey } = bob.keyPackage.leafNode;
  const carol = await forgeKeyPackage(await newClient("carol", clientOptions), {
    leaf: twin === true ? { encryptionKey } : {},
  });
  const joiner = await newClient("joiner", joinerOptions ?? clientOptions);
  const members = [alice.bundle, bob, carol].map(({ keyPackage }) => keyPackage.leafNode);
  const before = treeOfLeaves(members);
  const after = treeOfLeaves([...members, joiner.keyPackage.leafNode]);
  const welcome = await forgeWelcome(alice.epoch, { nodes: after, ...info, joiners: [joiner] });
  const { groupInfo } = await forgeGroupInfo(alice.epoch, { nodes: before, ...info });
  const { credential, capabilities, extensions } = joiner.keyPackage.leafNode;
  return {
    joiner,
    join: () => join(welcome.bytes, [joiner], environment),
    external: () =>
      joinByExternalCommit(
        {
          crypto,
          groupInfo,
          leaf: { credential, capabilities, extensions, signer: joiner.signer },
          psks: [],
          pending: [],
          authenticatedData: EMPTY_BYTES,
        },
        environment,
      ),
    observe: () => validateGroupInfo(crypto, groupInfo, environment),
  };
}

/** Joiner by Welcome, joiner by external commit, and observer refuse to believe the description. */
export async function refusedAsTree(
  options: WorldOptions,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const { joiner, join: enter, external, observe } = await world(options);
  await refuses(joiner, enter, rule, expected);
  await refuses(joiner, external, rule, expected);
  await refuses(joiner, observe, rule, expected);
}

/** All three believe it. */
export async function believed(options: WorldOptions = {}): Promise<void> {
  const { join: enter, external, observe } = await world(options);
  await enter();
  await external();
  await observe();
}
