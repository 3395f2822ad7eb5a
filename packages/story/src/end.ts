/** Second half: somebody goes, a client dies and returns, somebody lets himself in. */
import { listNames } from "./names.ts";
import type { World } from "./world.ts";

/** Carol removes Oscar, who keeps receiving and cannot read any more. */
export async function remove(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("A member is removed");
  const [carol, oscar] = [world.person("Carol"), world.person("Oscar")];
  const before = await world.write(carol);
  delivery.send("Carol", before.bytes);
  const [last] = await world.deliver(oscar);
  if (last?.kind !== "application") world.problems.push("Oscar could not read as a member");
  await world.deliverSoon();
  narrator.say("lastMessage", "Oscar still reads what Carol writes.", { reader: "Oscar" });

  const group = await carol.group();
  const leaves = group.findMembers({ identity: "Oscar" }).map(({ leafIndex }) => leafIndex);
  const { epoch } = await world.commit(carol, { remove: leaves });
  narrator.say("removed", `Carol removes Oscar: epoch ${epoch}.`, {
    by: "Carol",
    member: "Oscar",
    epoch: Number(epoch),
  });
  const [first] = delivery.collect("Oscar");
  const after = await world.write(carol);
  world.dismiss(oscar);
  delivery.send("Carol", after.bytes);
  await world.deliverSoon("removing Oscar");

  // Somebody at the delivery service is kind to Oscar and gives him everything.
  const outcomes: string[] = [];
  for (const bytes of [after.bytes, first?.bytes, after.bytes]) {
    if (bytes === undefined) continue;
    for (const { kind } of await world.receive(oscar, bytes)) outcomes.push(kind);
  }
  const send = await refusal(() => world.write(oscar));
  const exporter = await refusal(async () => (await oscar.group()).epochAuthenticator);
  narrator.say(
    "lockedOut",
    `Oscar gets a copy of everything: ${outcomes.join(", ")}. Sending: ${send}. Secrets: ${exporter}.`,
    { outcomes, send, exporter },
  );
  if (outcomes.includes("application") || !outcomes.includes("removed")) {
    world.problems.push("the removed member could read on");
  }
  if (send === "" || exporter === "") world.problems.push("the removed member could go on");
}

/** Bob's client dies between sending a Commit and hearing that it was taken. */
export async function restart(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("A client dies and comes back");
  const [bob, dave] = [world.person("Bob"), world.person("Dave")];
  const first = await world.write(bob);
  delivery.send("Bob", first.bytes);
  const pending = await (await bob.group()).update();
  const verdict = world.offer(bob, pending);
  bob.kill();
  narrator.say("killed", "Bob sends a Commit, and his client dies before the answer.", {
    member: "Bob",
    epoch: Number(pending.epoch),
    taken: verdict.isAccepted,
  });
  await world.deliver(dave);
  const missed = await world.write(dave);
  delivery.send("Dave", missed.bytes);

  const group = await bob.group();
  const { status } = group;
  narrator.say("reopened", `Opened from its files, the group is ${status}, epoch ${group.epoch}.`, {
    status,
    epoch: Number(group.epoch),
  });
  if (status !== "pendingCommit") world.problems.push("the pending Commit was lost");
  const kinds = (await world.deliver(bob)).map(({ kind }) => kind);
  narrator.say(
    "caughtUp",
    `Bob reads his mail: ${kinds.join(", ")}. He is in epoch ${group.epoch}.`,
    {
      outcomes: kinds,
      epoch: Number(group.epoch),
    },
  );
  if (kinds.join() !== "ownCommit,application") world.problems.push("Bob did not catch up");
  const next = await world.write(bob);
  delivery.send("Bob", next.bytes);
  await world.deliverAll("following Carol and Bob");
  narrator.say("resumed", "He writes again, and everybody reads it.", { read: world.read });
}

/** Frank needs no invitation but the group's public GroupInfo. */
export async function comeIn(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("An external join");
  const [alice, frank] = [world.person("Alice"), world.person("Frank")];
  const groupInfo = await (await alice.group()).groupInfo();
  const client = await frank.client();
  const { group, commit } = await client.joinExternally(groupInfo);
  frank.enter(group);
  const verdict = delivery.submitCommit("Frank", group.epoch - 1n, commit);
  if (!verdict.isAccepted) throw new Error(`${verdict.winner} was faster than Frank`);
  await client.acceptJoin(group.id);
  world.admit([frank]);
  await world.deliverSoon("following Frank");
  const { bytes, text } = await world.write(frank);
  delivery.send("Frank", bytes);
  await world.deliverSoon();
  narrator.say(
    "externalJoin",
    `Frank joins from outside, epoch ${group.epoch}, and says: ${text}`,
    {
      member: "Frank",
      epoch: Number(group.epoch),
      members: group.memberCount,
    },
  );
}

/** A message is under way for so long that its epoch has ended when it arrives. */
export async function late(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("A late message");
  const [alice, erin] = [world.person("Alice"), world.person("Erin")];
  const { bytes, number } = await world.write(erin);
  const { epoch } = await world.commit(alice, { forcePath: true });
  await world.deliverSoon("following Alice");
  narrator.say("updated", `Alice renews her keys: epoch ${epoch}.`, {
    by: "Alice",
    epoch: Number(epoch),
  });
  delivery.send("Erin", bytes);
  await world.deliverAll("following Frank and Alice");
  const readers = world.readersOf(number);
  narrator.say("late", `Erin's message from epoch ${epoch - 1n} arrives now; ${readers} read it.`, {
    readers,
    epoch: Number(epoch - 1n),
  });
  if (readers !== world.members.length - 1)
    world.problems.push("a message that came late was lost");
}

/** Returns whether all members are in the same epoch with the same secrets. */
export async function compare(world: World): Promise<boolean> {
  const { narrator, members } = world;
  narrator.chapter("Everybody compares");
  const counts = await world.authenticators();
  for (const [digest, count] of counts) {
    narrator.say("authenticator", `${count} members have the epoch authenticator ${digest}….`, {
      members: count,
      fingerprint: digest,
    });
  }
  const isEqual = counts.size === 1;
  if (!isEqual) world.problems.push(`${counts.size} different epoch authenticators`);
  const names = listNames(members.map(({ name }) => name));
  narrator.say("agreement", isEqual ? `${names} agree.` : `${names} do not agree.`, { isEqual });
  return isEqual;
}

/** The error's code, or nothing if there was no error. */
async function refusal(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
    return "";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
