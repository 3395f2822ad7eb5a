/**
 * A group in which every member has committed, without N members who each follow N commits: the
 * epoch's secrets are the same for all, so one state commits in everybody's name, from far leaves to
 * near ones, which costs N log N encryptions. The last two members are guests of any library; they
 * join by the Welcome and commit themselves.
 */
import {
  codec,
  commits,
  creation,
  type CryptoProvider,
  type Environment,
  type Epoch,
  type KeyPackageBundle,
  messages,
  padding,
  type Secret,
  treeMath,
} from "./internals.ts";
import { acceptingEnvironment, LowLevelLibrary } from "./low-level.ts";

export interface WarmGroup {
  /** For guests, given by their key packages. */
  invite(guests: readonly Uint8Array[]): Promise<GuestWelcome>;
}

export interface GuestWelcome {
  /** The tree is inside. */
  readonly welcome: Uint8Array;
  readonly tree: Uint8Array;
}

/** A group of `size` members, to which guests may be added, each time starting from here. */
export async function warmGroup(
  provider: CryptoProvider,
  suite: number,
  size: number,
): Promise<WarmGroup> {
  const environment = acceptingEnvironment();
  const library = new LowLevelLibrary(() => provider, suite);
  const crypto = provider.suite(suite);
  const bundles: KeyPackageBundle[] = [];
  for (let i = 0; i < size; i++) bundles.push((await library.invitation(`member ${i}`)).bundle);
  const [creator, ...others] = bundles;
  if (creator === undefined) throw new Error("a group needs a creator");
  let epoch = await creation.createGroup(
    { crypto, groupId: crypto.randomBytes(16), extensions: [], creator },
    environment,
  );
  if (others.length > 0) {
    const added = others.map(({ keyPackage }) => ({ type: "add" as const, keyPackage }));
    epoch = (await commit(epoch, environment, added)).next;
  }
  for (const leaf of farApart(bundles.length)) {
    const bundle = bundles[leaf];
    if (bundle === undefined) continue;
    epoch = (await commit(inTheNameOf(epoch, leaf, bundle), environment, [])).next;
  }
  return {
    async invite(guests) {
      const added = guests.map((bytes) => {
        const message = messages.decodeMlsMessage(bytes);
        if (message.wireFormat !== "keyPackage") throw new Error("not a key package");
        return { type: "add" as const, keyPackage: message.message };
      });
      const { welcomes, next } = await commit(epoch, environment, added);
      if (welcomes[0] === undefined) throw new Error("nobody was added");
      return { welcome: welcomes[0].bytes, tree: next.tree.encode() };
    },
  };
}

/** Only the public tree and the epoch's secrets matter for a public Commit. */
function inTheNameOf(epoch: Epoch, leaf: number, bundle: KeyPackageBundle): Epoch {
  const ownLeaf = treeMath.leafIndex(leaf);
  const privateKeys = new Map<number, Secret>([[2 * leaf, bundle.encryptionKey]]);
  return { ...epoch, ownLeaf, privateKeys, signer: bundle.signer };
}

function commit(
  epoch: Epoch,
  environment: Environment,
  proposals: Parameters<typeof commits.createCommit>[1]["proposals"],
): ReturnType<typeof commits.createCommit> {
  const options = {
    proposals,
    pending: [],
    forcePath: true,
    authenticatedData: codec.EMPTY_BYTES,
    wireFormat: "publicMessage" as const,
    padding: padding.noPadding,
    ratchetTree: true,
  };
  return commits.createCommit(epoch, options, environment);
}

/** 0 … count − 1 in bit-reversed order: each new path meets subtrees that are already filled. */
function farApart(count: number): number[] {
  const bits = Math.ceil(Math.log2(Math.max(2, count)));
  const order: number[] = [];
  for (let i = 0; i < 2 ** bits; i++) {
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++)
      if ((i & (1 << bit)) !== 0) reversed += 2 ** (bits - 1 - bit);
    if (reversed < count) order.push(reversed);
  }
  return order;
}
