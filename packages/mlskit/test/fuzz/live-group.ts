/** A group that goes on living while it is shot at. */
import { concat, toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group, KeyDirectory } from "../../src/index.ts";
import { type WatchedStorage, watchedStorage } from "./watched-storage.ts";

/** A client that is shot at. */
export interface Target {
  readonly client: Client;
  readonly storage: WatchedStorage;
}

export interface Party extends Target {
  readonly group: Group;
}

export interface LiveGroup {
  readonly directory: KeyDirectory;
  readonly parties: readonly Party[];
  /** Honest messages of every kind, for mutating. */
  readonly corpus: Uint8Array[];
}

export async function newTarget(directory: KeyDirectory, name: string): Promise<Target> {
  const storage = watchedStorage();
  const client = await Client.create({
    identity: name,
    storage,
    authenticationService: directory,
    policy: { reviewProposal: () => true },
  });
  directory.add(client.identity);
  return { client, storage };
}

/** Three members and a corpus of everything that they and others may send. */
export async function liveGroup(): Promise<LiveGroup> {
  const directory = new KeyDirectory();
  const corpus: Uint8Array[] = [];
  const made = [];
  for (const name of ["alice", "bob", "carol"]) made.push(await newTarget(directory, name));
  const [alice, bob, carol] = made;
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error("nobody");
  const a = await alice.client.createGroup();
  const packages = [];
  for (const { client } of [bob, carol]) packages.push((await client.createKeyPackage()).bytes);
  corpus.push(...packages);
  const added = await a.add(packages, { groupInfo: true });
  corpus.push(added.commit);
  const { welcomes, groupInfo } = await a.acceptCommit();
  const [welcome] = welcomes;
  if (welcome === undefined) throw new Error("no welcome");
  corpus.push(welcome.bytes);
  if (groupInfo !== undefined) corpus.push(groupInfo);
  corpus.push(await a.groupInfo());
  const parties: Party[] = [
    { ...alice, group: a },
    { ...bob, group: await bob.client.join(welcome.bytes) },
    { ...carol, group: await carol.client.join(welcome.bytes) },
  ];
  const dave = await newTarget(directory, "dave");
  const { groupId, epoch } = { groupId: a.id, epoch: a.epoch };
  corpus.push((await dave.client.proposeJoin({ groupId, epoch })).bytes);
  corpus.push((await dave.client.joinExternally(await a.groupInfo())).commit);
  return { directory, parties, corpus };
}

/** How often a store was written, and what memory says of its groups. */
export async function stateOf({ client, storage }: Target): Promise<string> {
  const groups = (await client.groups()).map((group) =>
    [
      group.status,
      group.epoch,
      group.status === "active" ? [toHex(group.epochAuthenticator), group.nextGeneration] : [],
      group.pendingProposals.map(({ reference }) => toHex(reference)),
      group.pendingCommit === undefined,
    ].join(" "),
  );
  return [storage.writes, ...groups].join("\n");
}

/** Also reads every record: writes that cancel out would show here. */
export async function fingerprint(target: Target): Promise<string> {
  const records = await target.storage.list("");
  const parts = records.map(({ key, value, version }) => `${key}@${version}:${toHex(value)}`);
  return [await stateOf(target), ...parts].join("\n");
}

export const AAD: Uint8Array = concat(utf8("aad"), new Uint8Array([0, 255]));
