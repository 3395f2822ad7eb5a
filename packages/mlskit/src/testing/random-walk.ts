/** A model checker for applications: random operations, and what must hold after each. M-TST-07. */
import { MlsError } from "../errors.ts";
import type { Group } from "../client/group.ts";
import type { Outcome } from "../client/state/outcome.ts";
import { disagreement } from "./agreement.ts";
import { SeededRandom } from "./random.ts";
import { type TestGroup, type TestGroupOptions, type TestMember, testGroup } from "./test-group.ts";

/** What actions work with. */
export interface Walk {
  readonly random: SeededRandom;
  readonly world: TestGroup;
  readonly step: number;
  /** Place of any member. */
  anybody(): number;
}

export interface WalkAction {
  readonly name: string;
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /**
   * Does something and tells everybody whom it concerns. If it throws an MlsError, the operation was
   * refused, and the walk checks that no store has changed.
   */
  run(walk: Walk): Promise<void>;
}

export interface WalkOptions extends TestGroupOptions {
  readonly seed: number | string;
  readonly steps: number;
  /** Default: {@link WALK_ACTIONS}. */
  readonly actions?: readonly WalkAction[] | undefined;
  /** The application's own invariant, asked after every step. Throws if it is broken. */
  readonly invariant?: ((walk: Walk) => void | Promise<void>) | undefined;
}

export interface WalkReport {
  readonly steps: number;
  /** By the name of the action. */
  readonly done: ReadonlyMap<string, number>;
  readonly refused: ReadonlyMap<string, number>;
  readonly world: TestGroup;
}

/**
 * Walks and checks after every step that all epoch authenticators and member lists are equal, and
 * after every refusal that no store has changed.
 * @throws Error that names the seed, the step and the action
 */
export async function randomWalk(options: WalkOptions): Promise<WalkReport> {
  const { seed, steps, actions = WALK_ACTIONS } = options;
  const random = new SeededRandom(seed);
  const world = await testGroup(options);
  const done = new Map<string, number>();
  const refused = new Map<string, number>();
  for (let step = 1; step <= steps; step++) {
    const action = random.weighted(actions);
    if (action === undefined) break;
    const anybody = (): number => random.below(world.members.length);
    const walk: Walk = { random, world, step, anybody };
    try {
      const wasRefused = await isRefused(action, walk);
      const counts = wasRefused ? refused : done;
      counts.set(action.name, (counts.get(action.name) ?? 0) + 1);
      const difference = disagreement(world.groups);
      if (difference !== undefined) throw new Error(difference);
      await options.invariant?.(walk);
    } catch (cause) {
      throw new Error(`seed ${seed}, step ${step}, ${action.name}: ${String(cause)}`, { cause });
    }
  }
  return { steps, done, refused, world };
}

async function isRefused(action: WalkAction, walk: Walk): Promise<boolean> {
  const before = await versions(walk.world.members);
  try {
    await action.run(walk);
    return false;
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    if ((await versions(walk.world.members)) === before) return true;
    throw new Error("an operation failed and changed something", { cause: error });
  }
}

/** Every record of every store: a write raises a version. */
async function versions(members: readonly TestMember[]): Promise<string> {
  const all: string[] = [];
  for (const { storage } of members) {
    for (const { key, version } of await storage.list("")) all.push(`${key} ${version}`);
  }
  return all.join("\n");
}

const LARGEST = 8;

/** Talk, renewal, coming and going, proposals, and damaged messages. */
export const WALK_ACTIONS: readonly WalkAction[] = [
  {
    name: "say",
    weight: 8,
    async run({ world, random, anybody }) {
      const data = random.bytes(random.below(100));
      expectAll(await world.say(anybody(), data), "application");
    },
  },
  {
    name: "update",
    weight: 3,
    async run({ world, anybody }) {
      await world.commit(anybody(), { forcePath: true });
    },
  },
  {
    name: "add",
    weight: 2,
    async run({ world, step, anybody }) {
      if (world.members.length < LARGEST) await world.add([`member of step ${step}`], anybody());
    },
  },
  {
    name: "remove",
    weight: 1,
    async run({ world, anybody }) {
      const [by, whom] = [anybody(), anybody()];
      // By itself is refused: that is for leave.
      const removed = world.member(whom).group.ownLeafIndex;
      await world.commit(by, { remove: [removed] });
      world.forget(whom);
    },
  },
  {
    name: "propose and commit",
    weight: 2,
    async run({ world, anybody }) {
      const [by, committer] = [anybody(), anybody()];
      if (by === committer) return;
      const { bytes } = await world.member(by).group.proposeUpdate();
      expectAll(await world.deliver(bytes, by), "proposal");
      await world.commit(committer);
    },
  },
  {
    name: "damage",
    weight: 2,
    async run({ world, random, anybody }) {
      const from = anybody();
      const { bytes } = await world.member(from).group.send("damaged on the way");
      const damaged = bytes.slice();
      const at = random.below(damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
      const others = world.groups.filter((_, i) => i !== from);
      for (const group of others) await expectNoEffect(group, damaged);
      expectAll(await world.deliver(bytes, from), "application");
    },
  },
];

async function expectNoEffect(group: Group, damaged: Uint8Array): Promise<void> {
  const { kind } = await group.process(damaged);
  if (kind === "application" || kind === "commit" || kind === "proposal") {
    throw new Error(`a damaged message was taken for a valid one: ${kind}`);
  }
}

function expectAll(outcomes: readonly Outcome[], kind: Outcome["kind"]): void {
  for (const outcome of outcomes) {
    if (outcome.kind !== kind) throw new Error(`instead of ${kind}: ${outcome.kind}`);
  }
}
