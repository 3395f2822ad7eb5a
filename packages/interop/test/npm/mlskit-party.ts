/** mlskit as a member, with nothing but its public API. */
import { Client, type CommitRequest, type Group, memoryStorage } from "mlskit";
import { fromUtf8, utf8 } from "../../src/bytes.ts";
import { EXPORT, type Made, type Party } from "./party.ts";

export async function mlskitParty(
  name: string,
  cipherSuite: number,
  isPrivate: boolean,
): Promise<Party> {
  const client = await Client.create({
    storage: memoryStorage(),
    identity: name,
    cipherSuite,
    authenticationService: { validate: (identities) => identities.map(() => true) },
    policy: { reviewProposal: () => true },
  });
  const config = { handshake: { send: isPrivate ? "private" : "public", accept: "both" } } as const;
  let current: Group | undefined;
  const group = (): Group => {
    if (current === undefined) throw new Error(`${name} is in no group`);
    return current;
  };
  const commit = async (request: CommitRequest): Promise<Made> => {
    const pending = await group().commit(request);
    const { welcomes } = await group().acceptCommit();
    return {
      messages: [pending.commit],
      welcome: welcomes[0]?.bytes,
      ratchetTree: group().ratchetTree(),
    };
  };
  return {
    name,
    isOurs: true,
    keyPackage: async () => (await client.createKeyPackage()).bytes,
    create: async (groupId) => {
      current = await client.createGroup({ groupId, config });
    },
    join: async (welcome, ratchetTree) => {
      current = await client.join(welcome, { ratchetTree, config });
    },
    add: (keyPackage) => commit({ add: [keyPackage] }),
    refresh: () => commit({ forcePath: true }),
    proposeRemove: async (removed) => {
      const [member] = group().findMembers({ identity: utf8(removed) });
      if (member === undefined) throw new Error(`${removed} is no member`);
      return (await group().proposeRemove(member.leafIndex)).bytes;
    },
    commitProposals: () => commit({}),
    groupInfo: () => group().groupInfo(),
    joinExternally: async (groupInfo) => {
      const joined = await client.joinExternally(groupInfo, { config });
      current = joined.group;
      await client.acceptJoin(joined.group.id);
      return joined.commit;
    },
    write: async (text) => (await group().send(utf8(text))).bytes,
    read: async (message) => {
      const outcome = await group().process(message, { accept: true });
      if ("error" in outcome) throw outcome.error;
      return outcome.kind === "application" ? fromUtf8(outcome.data) : undefined;
    },
    exported: async () => group().export(EXPORT.label, EXPORT.context, EXPORT.length),
  };
}
