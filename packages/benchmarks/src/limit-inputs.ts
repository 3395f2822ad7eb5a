/** The limits of a group of operations, for the group at hand: performs it once and looks on. */
import type { CommitResult, Invitation } from "./boundary.ts";
import { type Epoch, messages } from "./internals.ts";
import { type Lengths, LIMITS, type Shape, type Step } from "./limits.ts";
import { LowLevelMember } from "./low-level-member.ts";
import { type Fixture, RUNS } from "./operations.ts";
import { shapeOf } from "./shape.ts";

type Tree = Epoch["tree"];

/** What one operation met and left. */
interface Seen {
  readonly before: Tree;
  readonly after: Tree;
  readonly result: unknown;
}

/** Steps by operation. */
export async function limitsOf(
  group: string,
  fixture: Fixture<Invitation>,
): Promise<Record<string, Step[]>> {
  const seen = new Map<string, Seen>();
  const treeOf = (): Tree => lowLevel(fixture.sender).tree;
  await RUNS[group]?.(
    fixture,
    async (operation, work) => {
      const before = treeOf();
      const result = await work();
      seen.set(operation, { before, after: treeOf(), result });
      return result;
    },
    () => undefined,
  );
  const steps: Record<string, Step[]> = {};
  for (const operation of seen.keys()) {
    const limit = LIMITS[operation];
    if (limit !== undefined) steps[operation] = limit(...inputsOf(operation, fixture, seen));
  }
  return steps;
}

/** Operations of a sender, by those of its receiver. */
const SENDERS: Readonly<Record<string, string>> = {
  process: "commit",
  processAdd: "addOne",
  processRemove: "removeOne",
  processAddBare: "addBare",
  processUpdate: "update",
};

function inputsOf(
  operation: string,
  { sender, receiver, size, welcome, creator }: Fixture<Invitation>,
  all: ReadonlyMap<string, Seen>,
): [Shape, Lengths] {
  const { before, after, result } = found(all, SENDERS[operation] ?? operation);
  const shape = (tree: Tree, ...changed: readonly number[]): Shape =>
    shapeOf(tree, sender.leaf, receiver.leaf, changed);
  switch (SENDERS[operation] ?? operation) {
    case "add":
      // New members are told in the Welcome; a path encrypted to nobody is left.
      return [{ ...shape(after), seals: 0 }, lengths(result as CommitResult)];
    case "join": {
      const joined = lowLevel(result);
      // The creator, or in a forged group the member before both guests.
      const inviter = creator === undefined ? size - 3 : 0;
      const shapeOfJoined = shapeOf(joined.tree, inviter, joined.leaf);
      return [shapeOfJoined, { commit: 0, groupInfo: groupInfoLength(welcome) }];
    }
    case "externalJoin": {
      const { commit, member } = result as {
        readonly commit: Uint8Array;
        readonly member: unknown;
      };
      const { members, slots, parents } = shape(before);
      const joined = lowLevel(member);
      const own = shapeOf(joined.tree, joined.leaf, sender.leaf);
      const treeBytes = before.encode().length;
      return [
        { ...own, members, slots, parents },
        { commit: commit.length, groupInfo: treeBytes },
      ];
    }
    case "addOne":
      // The path is that of the larger tree, but not encrypted to the new member.
      return [
        { ...shape(after, size), seals: shape(before).seals },
        lengths(result as CommitResult),
      ];
    case "addBare":
      // Of the new tree nothing but the new leaf and what is above it.
      return [
        { ...shape(before), changed: shapeOf(after, size, receiver.leaf).changed },
        lengths(result as CommitResult),
      ];
    case "removeOne":
      return [shape(after, size), lengths(result as CommitResult)];
    case "update":
      return [shape(before, receiver.leaf), lengths(result as CommitResult)];
    case "commit":
      return [shape(before), lengths(result as CommitResult)];
    default:
      return [shape(before), { commit: 0, groupInfo: 0 }];
  }
}

function lengths({ commit, welcome }: CommitResult): Lengths {
  return { commit: commit.length, groupInfo: groupInfoLength(welcome) };
}

function groupInfoLength(welcome: Uint8Array | undefined): number {
  if (welcome === undefined) return 0;
  const message = messages.decodeMlsMessage(welcome);
  return message.wireFormat === "welcome" ? message.message.encryptedGroupInfo.length : 0;
}

function found(all: ReadonlyMap<string, Seen>, operation: string): Seen {
  const seen = all.get(operation);
  if (seen === undefined) throw new Error(`${operation} was not performed`);
  return seen;
}

function lowLevel(member: unknown): LowLevelMember {
  if (member instanceof LowLevelMember) return member;
  throw new Error("limits are those of mlskit");
}
