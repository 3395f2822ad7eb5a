/** The same conversation for any three members: create, add, join, talk, commit, remove, come back. */
import { expect } from "vitest";
import { hex, utf8 } from "../../src/bytes.ts";
import type { Made, Party } from "./party.ts";

/** What was done, for tests that want to know that nothing was left out. */
export type Deed = "add" | "refresh" | "propose" | "remove" | "external join";

export async function converse(
  first: Party,
  second: Party,
  third: Party,
): Promise<ReadonlyMap<Deed, readonly Party[]>> {
  const deeds = new Map<Deed, Party[]>();
  const did = (deed: Deed, party: Party): void => {
    deeds.set(deed, [...(deeds.get(deed) ?? []), party]);
  };
  await first.create(utf8("a group"));
  let members: readonly Party[] = [first];
  for (const [sponsor, joiner] of [
    [first, second],
    [second, third],
  ] as const) {
    const made = await sponsor.add(await joiner.keyPackage());
    await deliver(made, except(members, sponsor));
    if (made.welcome === undefined) throw new Error(`${sponsor.name} made no Welcome`);
    await joiner.join(made.welcome, made.ratchetTree);
    members = [...members, joiner];
    await agree(members);
    did("add", sponsor);
  }
  for (const party of members) {
    if (party.refresh === undefined) continue;
    await deliver(await party.refresh(), except(members, party));
    await agree(members);
    did("refresh", party);
  }

  const proposer = members.find((party) => party !== second && party.proposeRemove !== undefined);
  const remover = [third, first].find((party) => party.commitProposals !== undefined);
  if (proposer?.proposeRemove === undefined || remover?.commitProposals === undefined) return deeds;
  const proposal = await proposer.proposeRemove(second.name);
  for (const party of except(members, proposer)) await party.read(proposal);
  did("propose", proposer);
  await deliver(await remover.commitProposals(), except(members, remover));
  members = [first, third];
  await agree(members);
  await expect(readable(second, await first.write("not for you"))).rejects.toThrow();
  did("remove", remover);

  const host = members.find((party) => party.groupInfo !== undefined);
  if (second.joinExternally === undefined || host?.groupInfo === undefined) return deeds;
  const commit = await second.joinExternally(await host.groupInfo());
  for (const party of members) await party.read(commit);
  await agree([...members, second]);
  did("external join", second);
  return deeds;
}

function except(parties: readonly Party[], one: Party): Party[] {
  return parties.filter((party) => party !== one);
}

async function deliver({ messages }: Made, receivers: readonly Party[]): Promise<void> {
  for (const receiver of receivers) {
    for (const message of messages) await receiver.read(message);
  }
}

/** One secret state, and everybody reads everybody. */
async function agree(members: readonly Party[]): Promise<void> {
  const secrets = new Set<string>();
  for (const party of members) secrets.add(hex(await party.exported()));
  expect(secrets.size).toBe(1);
  for (const sender of members) {
    const message = await sender.write(`hello from ${sender.name}`);
    for (const receiver of except(members, sender)) {
      expect(await receiver.read(message)).toBe(`hello from ${sender.name}`);
    }
  }
}

/** A text, or an error: a message that says nothing was not refused by itself. */
async function readable(party: Party, message: Uint8Array): Promise<string> {
  const text = await party.read(message);
  if (text === undefined) throw new Error("there is nothing to read");
  return text;
}
