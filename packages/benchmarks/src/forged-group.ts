/**
 * A group in which every member has committed, made without anybody committing: 2N keys, and leaves
 * whose parent hashes are chained as if the leftmost member of each subtree had been its last
 * committer. Joiners check all of it. Members of any library are added by one Commit.
 */
import {
  codec,
  commits,
  creation,
  type CryptoProvider,
  type Epoch,
  epochs,
  type KeyPackageBundle,
  leaves,
  messages,
  padding,
  parentHashes,
  signers,
  type SuiteCrypto,
  treeHashes,
  treeMath,
  trees,
} from "./internals.ts";
import { acceptingEnvironment, LowLevelLibrary } from "./low-level.ts";

export interface ForgedGroup {
  /** For guests, given by their key packages; each time starting from the same group. */
  invite(guests: readonly Uint8Array[], ratchetTree?: boolean): Promise<GuestWelcome>;
}

export interface GuestWelcome {
  /** The tree is inside, unless it was not wanted there. */
  readonly welcome: Uint8Array;
  readonly tree: Uint8Array;
}

/**
 * A group of `size` members. The last of them invites, so that its path runs above all guests: nobody
 * is left unmerged, and joiners need not agree on how to treat that.
 */
export async function forgeGroup(
  provider: CryptoProvider,
  suite: number,
  size: number,
): Promise<ForgedGroup> {
  const environment = acceptingEnvironment();
  const library = new LowLevelLibrary(() => provider, suite);
  const crypto = provider.suite(suite);
  const creator = (await library.invitation("inviter")).bundle;
  const groupId = codec.utf8(GROUP_ID);
  const first = await creation.createGroup(
    { crypto, groupId, extensions: [], creator },
    environment,
  );
  const forge = new Forge(crypto, groupId, size, creator);
  const tree = trees.RatchetTree.fromNodes(crypto, await forge.nodes());
  const context = { ...first.context, treeHash: tree.treeHash() };
  // Only the tree and the epoch's secrets matter for a public Commit.
  const contextBytes = epochs.encodeContext(context);
  const ownLeaf = treeMath.leafIndex(size - 1);
  const epoch: Epoch = { ...first, tree, context, contextBytes, ownLeaf };
  return {
    async invite(guests, ratchetTree = true) {
      const added = guests.map((bytes) => {
        const message = messages.decodeMlsMessage(bytes);
        if (message.wireFormat !== "keyPackage") throw new Error("not a key package");
        return { type: "add" as const, keyPackage: message.message };
      });
      const options = {
        proposals: added,
        pending: [],
        forcePath: true,
        authenticatedData: codec.EMPTY_BYTES,
        wireFormat: "publicMessage" as const,
        padding: padding.noPadding,
        ratchetTree,
      };
      const { welcomes, next } = await commits.createCommit(epoch, options, environment);
      if (welcomes[0] === undefined) throw new Error("nobody was added");
      return { welcome: welcomes[0].bytes, tree: next.tree.encode() };
    },
  };
}

/** Some libraries know groups by text. */
const GROUP_ID = "benchmark";

type Nodes = NonNullable<Parameters<typeof trees.RatchetTree.fromNodes>[1][number]>[];

interface Member extends Pick<KeyPackageBundle, "signer"> {
  readonly signatureKey: Uint8Array;
  readonly encryptionKey: Uint8Array;
  readonly credential: { readonly type: "basic"; readonly identity: Uint8Array };
}

/** The nodes of a tree without blanks. RFC 9420 §7.9. */
class Forge {
  readonly #crypto: SuiteCrypto;
  readonly #groupId: Uint8Array;
  readonly #size: number;
  readonly #inviter: KeyPackageBundle;
  readonly #hasher: InstanceType<typeof treeHashes.TreeHasher>;
  readonly #nodes: Nodes = [];

  constructor(crypto: SuiteCrypto, groupId: Uint8Array, size: number, inviter: KeyPackageBundle) {
    this.#crypto = crypto;
    this.#groupId = groupId;
    this.#size = size;
    this.#inviter = inviter;
    this.#hasher = new treeHashes.TreeHasher(crypto);
  }

  async nodes(): Promise<(Nodes[number] | undefined)[]> {
    const top = treeMath.root(this.#size);
    await this.#subtree(top, codec.EMPTY_BYTES);
    return Array.from({ length: 2 * this.#size - 1 }, (_, at) => this.#nodes[at]);
  }

  /** Fills a subtree whose root has this parent hash; its tree hash. */
  async #subtree(node: number, parentHash: Uint8Array): Promise<Uint8Array> {
    const at = treeMath.nodeIndex(node);
    const [left, right] = [treeMath.left(at), treeMath.right(at)];
    if (left === undefined || right === undefined) return this.#leaf(node / 2, parentHash);
    // A parent without members on its right stays blank, and is skipped by the chain.
    if (right - 2 ** treeMath.level(right) >= 2 * this.#size - 1) {
      const first = await this.#subtree(left, parentHash);
      return this.#hasher.parent(undefined, first, await this.#subtree(right, parentHash));
    }
    // The right side was set before by another committer, whose chain ended at a former root.
    const former = this.#crypto.randomBytes(this.#crypto.suite.kdf.size);
    const second = await this.#subtree(right, former);
    const { publicKey } = await this.#crypto.generateKeyPair();
    const parent = { encryptionKey: publicKey, parentHash, unmergedLeaves: [] };
    this.#nodes[node] = { type: "parent", parent };
    const chained = parentHashes.parentHash(this.#crypto, {
      encryptionKey: publicKey,
      parentHash,
      originalSiblingTreeHash: second,
    });
    return this.#hasher.parent(parent, await this.#subtree(left, chained), second);
  }

  async #leaf(index: number, parentHash: Uint8Array): Promise<Uint8Array> {
    if (index >= this.#size) return this.#hasher.leaf(index, undefined);
    const { signer, ...own } = index === this.#size - 1 ? this.#own() : await this.#member(index);
    const origin = { source: "commit" as const, parentHash };
    const fields = { ...this.#inviter.keyPackage.leafNode, ...own, origin };
    const leaf = await leaves.signLeafNode(this.#crypto, signer, fields, {
      groupId: this.#groupId,
      leafIndex: treeMath.leafIndex(index),
    });
    this.#nodes[2 * index] = { type: "leaf", leaf };
    return this.#hasher.leaf(index, leaf);
  }

  /** The inviter's leaf is that of its key package. */
  #own(): Pick<KeyPackageBundle, "signer"> {
    return { signer: this.#inviter.signer };
  }

  /** Everybody else has a name and keys of its own, and is otherwise the same. */
  async #member(index: number): Promise<Member> {
    const signer = signers.createSigner(
      this.#crypto,
      await this.#crypto.generateSignatureKeyPair(),
    );
    const { publicKey } = await this.#crypto.generateKeyPair();
    const identity = codec.utf8(`member ${index}`);
    return {
      signer,
      signatureKey: signer.publicKey,
      encryptionKey: publicKey,
      credential: { type: "basic", identity },
    };
  }
}
