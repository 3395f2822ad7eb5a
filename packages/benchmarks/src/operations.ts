/** The measured operations of mlskit, written against {@link Library}. */
import type { Invitation, Library, Member } from "./boundary.ts";

/** Takes the time of one operation in a run; everything outside is preparation. */
export type Timer = <T>(operation: string, work: () => Promise<T>) => Promise<T>;

/** Two members of a group, and what is needed to do things to it again and again. */
export interface Fixture<I extends Invitation> {
  readonly library: Library<I>;
  readonly size: number;
  readonly sender: Member;
  readonly receiver: Member;
  /** The receiver joined by these; joining does not use them up. */
  readonly invitation: I;
  readonly welcome: Uint8Array;
  /** Key packages of the other members; of a cold tree only. */
  readonly creator: I | undefined;
  readonly added: readonly Uint8Array[];
}

/** One member creates the group and adds all others in one commit. */
export async function coldFixture<I extends Invitation>(
  library: Library<I>,
  size: number,
): Promise<Fixture<I>> {
  const creator = await library.invitation("creator");
  const invitations: I[] = [];
  for (let i = 1; i < size; i++) invitations.push(await library.invitation(`member ${i}`));
  const sender = await library.create(creator);
  const added = invitations.map(({ keyPackage }) => keyPackage);
  const { welcome } = await sender.commit({ add: added });
  const invitation = invitations.at(-1);
  if (welcome === undefined || invitation === undefined) throw new Error("nobody was added");
  const receiver = await library.join(invitation, welcome);
  return { library, size, sender, receiver, invitation, welcome, creator, added };
}

/** Two guests of a group in which everybody else has committed; now they do, too. */
export async function warmFixture<I extends Invitation>(
  library: Library<I>,
  size: number,
  [first, second]: readonly I[],
  welcome: Uint8Array,
): Promise<Fixture<I>> {
  if (first === undefined || second === undefined) throw new Error("two guests are needed");
  const sender = await library.join(first, welcome);
  const receiver = await library.join(second, welcome);
  await receiver.process((await sender.commit()).commit);
  await sender.process((await receiver.commit()).commit);
  return {
    library,
    size,
    sender,
    receiver,
    invitation: second,
    welcome,
    creator: undefined,
    added: [],
  };
}

type Run = (
  fixture: Fixture<Invitation>,
  time: Timer,
  bytes: (operation: string, count: number) => void,
) => Promise<void>;

/** One round of each group of operations. */
export const RUNS: Readonly<Record<string, Run>> = {
  async add({ library, creator, added }, time, bytes) {
    if (creator === undefined) throw new Error("only on a cold tree");
    library.forget();
    const { commit, welcome } = await time("add", async () => {
      return (await library.create(creator)).commit({ add: added });
    });
    bytes("add", commit.length + (welcome?.length ?? 0));
  },

  async join({ library, invitation, welcome }, time, bytes) {
    library.forget();
    await time("join", () => library.join(invitation, welcome));
    bytes("join", welcome.length);
  },

  async commit({ sender, receiver }, time, bytes) {
    const { commit } = await time("commit", () => sender.commit());
    await time("process", () => receiver.process(commit));
    bytes("commit", commit.length);
    checkAgreement(sender, receiver);
  },

  async message({ sender, receiver }, time, bytes) {
    const message = await time("send", () => sender.send(PAYLOAD));
    const data = await time("receive", () => receiver.receive(message));
    bytes("send", message.length);
    if (Buffer.compare(data, PAYLOAD) !== 0) throw new Error("another plaintext was received");
  },

  async membership({ library, size, sender, receiver }, time, bytes) {
    const { keyPackage } = await library.invitation("guest");
    const added = await time("addOne", () => sender.commit({ add: [keyPackage] }));
    await time("processAdd", () => receiver.process(added.commit));
    const removed = await time("removeOne", () => sender.commit({ remove: [size] }));
    await time("processRemove", () => receiver.process(removed.commit));
    bytes("addOne", added.commit.length + (added.welcome?.length ?? 0));
    bytes("removeOne", removed.commit.length);
    checkAgreement(sender, receiver);
  },

  async bareAdd({ library, size, sender, receiver }, time, bytes) {
    const { keyPackage } = await library.invitation("guest");
    const added = await time("addBare", async () => {
      const proposal = await sender.proposeAdd(keyPackage);
      return { proposal, ...(await sender.commit({ bare: true })) };
    });
    await time("processAddBare", async () => {
      await receiver.process(added.proposal);
      await receiver.process(added.commit);
    });
    const { proposal, commit, welcome } = added;
    bytes("addBare", proposal.length + commit.length + (welcome?.length ?? 0));
    await receiver.process((await sender.commit({ remove: [size] })).commit);
    checkAgreement(sender, receiver);
  },

  async update({ sender, receiver }, time, bytes) {
    const proposal = await time("propose", () => receiver.proposeUpdate());
    const { commit } = await time("update", async () => {
      await sender.process(proposal);
      return sender.commit();
    });
    await time("processUpdate", () => receiver.process(commit));
    bytes("propose", proposal.length);
    bytes("update", commit.length);
    checkAgreement(sender, receiver);
  },

  async externalJoin({ library, sender }, time, bytes) {
    const invitation = await library.invitation("outsider");
    const groupInfo = await sender.groupInfo();
    library.forget();
    const { commit } = await time("externalJoin", () =>
      library.joinExternally(invitation, groupInfo),
    );
    bytes("externalJoin", commit.length);
  },

  async storage({ library, receiver }, time, bytes) {
    library.forget();
    const stored = await time("store", () => receiver.store());
    const loaded = await time("load", () => library.load(stored));
    bytes("store", stored.bytes);
    bytes("load", stored.bytes);
    checkAgreement(receiver, loaded);
  },
};

/** Outside the timer: both are in the same epoch. */
function checkAgreement(one: Member, other: Member): void {
  if (Buffer.compare(one.authenticator(), other.authenticator()) !== 0) {
    throw new Error("the members are not in the same epoch");
  }
}

const PAYLOAD: Uint8Array = Uint8Array.from({ length: 1024 }, (_, i) => (i * 7) & 0xff);
