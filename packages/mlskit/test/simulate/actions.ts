/** What may happen next, and how often. */
import { fromHex, fromUtf8 } from "../../src/codec/index.ts";
import type { Group } from "../../src/index.ts";
import type { Device } from "./device.ts";
import { GROUP_SIZE, type World } from "./world.ts";

interface Action {
  readonly name: string;
  readonly weight: number;
  /** `group` is one that the device is an active member of, or undefined. */
  run(world: World, device: Device, group: Group | undefined, id: string): Promise<void> | void;
}

/** For a device that runs, and a group. */
const ACTIONS: readonly Action[] = [
  inGroup("send", 500, (world, device, _, id) => world.say(device, id)),
  inGroup("renew", 35, (world, device, _, id) =>
    world.commit(device, id, { forcePath: true }, "renew"),
  ),
  inGroup("commit proposals", 40, (world, device, group, id) => {
    return group.pendingProposals.length === 0 ? undefined : world.commit(device, id, {}, "commit");
  }),
  inGroup("add", 45, async (world, device, group, id) => {
    if (group.memberCount >= GROUP_SIZE) return;
    const keyPackage = someoneElse(world, group);
    if (keyPackage !== undefined) await world.commit(device, id, { add: [keyPackage] }, "add");
  }),
  inGroup("remove", 20, async (world, device, group, id) => {
    const leaf = otherLeaf(world, group);
    if (leaf !== undefined) await world.commit(device, id, { remove: [leaf] }, "remove");
  }),
  inGroup("propose update", 25, (world, device, _, id) =>
    propose(world, device, id, (own) => own.proposeUpdate()),
  ),
  inGroup("propose remove", 8, async (world, device, group, id) => {
    const leaf = otherLeaf(world, group);
    if (leaf !== undefined) await propose(world, device, id, (own) => own.proposeRemove(leaf));
  }),
  inGroup("propose add", 8, async (world, device, group, id) => {
    const bytes = group.memberCount < GROUP_SIZE ? someoneElse(world, group) : undefined;
    if (bytes !== undefined) await propose(world, device, id, (own) => own.proposeAdd(bytes));
  }),
  inGroup("leave", 5, async (world, device, group, id) => {
    if (group.memberCount > 1) await propose(world, device, id, (own) => own.leave());
  }),
  inGroup("resync", 8, (world, device, group, id) =>
    group.memberCount < 2 ? undefined : world.joinExternally(device, id, true),
  ),
  {
    name: "external join",
    weight: 12,
    async run(world, device, group, id) {
      const isFull = world.ledger.membersOf(id).size >= GROUP_SIZE;
      if (group !== undefined || isFull || world.ledger.membersOf(id).has(device.name)) return;
      await world.joinExternally(device, id, false);
    },
  },
  {
    name: "rebuild",
    weight: 40,
    async run(world, device) {
      const { lost } = device;
      device.lost = undefined;
      if (lost === undefined) return;
      const work = async (): Promise<void> => {
        const group = await device.client.group(fromHex(lost.group));
        await group.rebuild(lost.wishes, { groupInfo: true });
      };
      await world.act(device, "rebuild", work, [
        "PENDING_COMMIT",
        "PENDING_JOIN",
        "GROUP_INACTIVE",
        "GROUP_NOT_FOUND",
      ]);
      await world.submit(device, lost.group);
    },
  },
  { name: "tend", weight: 60, run: (world, device) => world.tend(device) },
  {
    name: "crash at a write",
    weight: 14,
    run(world, device) {
      const { plan, writes } = device.faults;
      const next = writes + 1 + world.random.below(2);
      const isAfter = world.random.chance(0.5);
      plan.crashBeforeWrite = isAfter ? undefined : next;
      plan.crashAfterWrite = isAfter ? next : undefined;
    },
  },
  { name: "crash now", weight: 6, run: (world, device) => world.kill(device) },
  {
    name: "storage fault",
    weight: 14,
    run(world, device) {
      const { faults } = device;
      if (world.random.chance(0.5)) faults.plan.failWrite = faults.writes + 1;
      else faults.plan.failRead = faults.reads + 1 + world.random.below(4);
    },
  },
  {
    name: "offline",
    weight: 8,
    run(world, device) {
      device.isOnline = false;
      world.network.setOnline(device.name, false);
      world.count("times offline");
    },
  },
  {
    name: "partition",
    weight: 2,
    run(world) {
      const cut = world.devices.filter(() => world.random.chance(0.3)).map(({ name }) => name);
      world.network.partition(cut, ["delivery service"]);
      world.count("partitions");
    },
  },
  { name: "heal", weight: 6, run: (world) => world.network.heal() },
  {
    name: "weather",
    weight: 4,
    run(world) {
      const { random } = world;
      const loss = random.pick([0, 0, 0.05, 0.3]) ?? 0;
      const duplication = random.pick([0, 0.05, 0.3]) ?? 0;
      world.network.conditions = { loss, duplication, delay: 1 + random.below(12) };
    },
  },
];

/** One event: a device does something, or comes back. */
export async function next(world: World): Promise<void> {
  const { random } = world;
  const device = random.pick(world.devices);
  if (device === undefined) return;
  if (!device.isUp) {
    if (random.chance(0.3)) await world.restart(device);
    else world.step++;
    return;
  }
  if (!device.isOnline && random.chance(0.1)) {
    device.isOnline = true;
    world.network.setOnline(device.name, true);
  }
  const id = random.pick(world.groups) ?? "";
  const before = world.step;
  const action = random.weighted(ACTIONS);
  const found = await world.look(device, id);
  if (!device.isUp) return;
  world.count(`action: ${action?.name ?? ""}`);
  await action?.run(world, device, found?.status === "active" ? found : undefined, id);
  if (world.step === before) world.step++;
  await world.tick();
}

type GroupRun = (
  world: World,
  device: Device,
  group: Group,
  id: string,
) => Promise<void> | undefined;

function inGroup(name: string, weight: number, run: GroupRun): Action {
  return {
    name,
    weight,
    async run(world, device, group, id) {
      if (group !== undefined) await run(world, device, group, id);
    },
  };
}

async function propose(
  world: World,
  device: Device,
  id: string,
  make: (group: Group) => Promise<{ readonly bytes: Uint8Array }>,
): Promise<void> {
  await world.act(device, "propose", () => device.propose(fromHex(id), make), [
    "PENDING_COMMIT",
    "MEMBER_NOT_FOUND",
  ]);
}

/** A key package of somebody who is not in the group, as far as the group knows. */
function someoneElse(world: World, group: Group): Uint8Array | undefined {
  const present = new Set(
    group.members().map(({ identity }) => fromUtf8(identity ?? new Uint8Array())),
  );
  const other = world.random.pick(world.devices.filter(({ name }) => !present.has(name)));
  return other === undefined ? undefined : world.take(other.name);
}

function otherLeaf(world: World, group: Group): number | undefined {
  return world.random.pick(group.members().filter(({ isOwn }) => !isOwn))?.leafIndex;
}
