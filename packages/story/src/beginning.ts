/** First half: people find together, talk, compete, and get their mail in the wrong order. */
import type { Member } from "./member.ts";
import { listNames } from "./names.ts";
import { CAST, type World } from "./world.ts";

/** Everybody gets an identity, a store and a key package. */
export async function meet(world: World, directory: string): Promise<void> {
  const { narrator, options, delivery } = world;
  const { members } = options;
  narrator.chapter("Identities and key packages");
  const step = narrator.progress("create", "creating clients", members);
  for (let i = 0; i < members; i++) {
    const member = await world.createPerson(directory);
    const { bytes } = await (await member.client()).createKeyPackage();
    delivery.publishKeyPackage(member.name, bytes);
    member.rest();
    step();
  }
  const names = world.people.map(({ name }) => name);
  const onDisk = world.people.filter(({ isDurable }) => isDurable).length;
  narrator.say("identities", `${listNames(names)} have keys and a published key package.`, {
    clients: members,
    names: names.slice(0, CAST),
  });
  const where = `${onDisk} clients keep their state in files under ${directory}`;
  const rest = onDisk < members ? `, ${members - onDisk} in memory` : "";
  narrator.say("stores", `${where}${rest}.`, { onDisk, inMemory: members - onDisk, directory });
}

/** Alice creates the group and adds all but two. */
export async function gather(world: World): Promise<void> {
  const { narrator, delivery, people } = world;
  narrator.chapter("A group");
  const alice = world.person("Alice");
  const absent = new Set(["Alice", "Erin", "Frank"]);
  const invited = people.filter(({ name }) => !absent.has(name));
  alice.enter(await (await alice.client()).createGroup());
  world.admit([alice]);
  const add = invited.map(({ name }) => delivery.takeKeyPackage(name));
  const { welcomes, epoch } = await world.commit(alice, { add });
  narrator.say("added", `Alice creates a group and adds ${invited.length} members.`, {
    by: "Alice",
    members: invited.length,
    epoch: Number(epoch),
    welcomeBytes: welcomes.reduce((sum, { bytes }) => sum + bytes.length, 0),
  });
  const step = narrator.progress("join", "joining", invited.length);
  for (const member of invited) {
    await join(member, welcomes);
    member.rest();
    step();
  }
  world.admit(invited);
  await world.deliverSoon();
  const count = (await alice.group()).memberCount;
  narrator.say("joined", `${listNames(invited.map(({ name }) => name))} join: ${count} members.`, {
    members: count,
  });
}

/** Everybody writes. In large groups the cast reads it all, the others what Alice writes. */
export async function converse(world: World): Promise<void> {
  const { narrator, members, options } = world;
  narrator.chapter("Everybody writes");
  const cast = members.filter(({ isDurable }) => isDurable).map(({ name }) => name);
  const isLarge = members.length > 4 * CAST;
  const count = Math.max(members.length, options.texts.length);
  const shown = 6;
  const step = narrator.progress("write", "writing", count);
  for (let i = 0; i < count; i++) {
    const author = members[i % members.length];
    if (author === undefined) continue;
    const { bytes, text } = await world.write(author);
    const toAll = !isLarge || i === 0;
    world.delivery.send(author.name, bytes, toAll ? undefined : cast);
    if (i < shown) {
      narrator.say("message", `${author.name}: ${text}`, {
        from: author.name,
        text,
        bytes: bytes.length,
      });
    }
    for (const member of isLarge && !toAll ? world.people.slice(0, CAST) : members) {
      if (i % 16 === 15) await world.deliver(member);
    }
    author.rest();
    step();
  }
  await world.deliverSoon();
  const readers = isLarge ? `${cast.length} of them read everything` : "everybody reads it all";
  const more = count > shown ? `… and ${count - shown} more. ` : "";
  narrator.say("conversation", `${more}${count} messages, ${readers}.`, {
    messages: count,
    read: world.read,
  });
}

/** Bob and Carol commit in the same epoch; Carol loses and tries again. */
export async function race(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("Two Commits for one epoch");
  const [bob, carol, erin] = [world.person("Bob"), world.person("Carol"), world.person("Erin")];
  const group = await carol.group();
  const wish = await group.add([delivery.takeKeyPackage("Erin")]);
  narrator.say("staged", "Carol prepares to add Erin; Bob renews his keys at the same time.", {
    by: "Carol",
    epoch: Number(wish.epoch),
  });
  await world.commit(bob, { forcePath: true });
  const verdict = world.offer(carol, wish);
  if (verdict.isAccepted) throw new Error("the delivery service took two Commits for one epoch");
  narrator.say("conflict", `The delivery service has ${verdict.winner}'s Commit already.`, {
    loser: "Carol",
    winner: verdict.winner,
  });
  const [outcome] = await world.deliver(carol);
  const lost = outcome?.kind === "commit" ? outcome.discarded : undefined;
  if (lost === undefined) throw new Error("the Commit that lost is not reported");
  const wanted = lost.summary.added.length;
  narrator.say("followed", `Carol follows Bob; her Commit (${wanted} added) is discarded.`, {
    outcome: outcome?.kind ?? "",
    discardedAdds: wanted,
    status: group.status,
  });
  const rebuilt = await group.rebuild(lost);
  if (rebuilt === undefined) throw new Error("nothing is left of what Carol wanted");
  const { welcomes, epoch } = await world.settle(carol, rebuilt);
  await join(erin, welcomes);
  world.admit([erin]);
  await world.deliverSoon("following Bob and Carol");
  narrator.say("rebuilt", `She builds it again in the new epoch: Erin is in, epoch ${epoch}.`, {
    by: "Carol",
    added: "Erin",
    epoch: Number(epoch),
  });
}

/** Messages arrive backwards, twice, and before the Commit that they depend on. */
export async function disorder(world: World): Promise<void> {
  const { narrator, delivery } = world;
  narrator.chapter("Mail in the wrong order");
  const [alice, dave] = [world.person("Alice"), world.person("Dave")];
  const early: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    const { bytes } = await world.write(dave);
    delivery.send("Dave", bytes);
    early.push(bytes);
  }
  await world.commit(dave, { forcePath: true });
  const { bytes } = await world.write(dave);
  delivery.send("Dave", bytes);
  const kinds: string[] = [];
  for (const envelope of delivery.collect("Alice").reverse()) {
    const outcomes = await world.receive(alice, envelope.bytes);
    kinds.push(outcomes.map(({ kind }) => kind).join(" → "));
  }
  narrator.say(
    "disorder",
    `Dave writes three times, commits and writes again; Alice gets it all backwards: ${kinds.join(", ")}.`,
    { outcomes: kinds },
  );
  const expected = ["future", "commit → application", "application", "application", "application"];
  if (kinds.join() !== expected.join()) world.problems.push("mail was lost in the wrong order");
  const again = early[0] === undefined ? [] : await world.receive(alice, early[0]);
  const verdict = again[0]?.kind ?? "";
  narrator.say("duplicate", `A message that comes a second time is a ${verdict}.`, {
    outcome: verdict,
  });
  if (verdict !== "duplicate") world.problems.push("a message could be read twice");
  await world.deliverAll("following Bob, Carol and Dave");
}

export async function join(
  member: Member,
  welcomes: readonly { readonly bytes: Uint8Array }[],
): Promise<void> {
  const client = await member.client();
  for (const { bytes } of welcomes) member.enter(await client.join(bytes));
}
