/** A client in a group whose other members do everything wrong that their keys permit. */
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Client, type Group } from "../../src/index.ts";
import { forgeWelcome, groupInfoMessage, forgeGroupInfo, nodesOf } from "../support/forge.ts";
import { acceptAnyCredential, NOW, testEnvironment } from "../support/environment.ts";
import { seat } from "../support/forge-clients.ts";
import { bundleOf } from "../support/forge-join.ts";
import { externalSenders } from "../support/forge-lists.ts";
import { authenticatorOf, newSigner, provider } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import { Forger } from "./forgeries.ts";
import type { Target } from "./live-group.ts";
import type { SeededRandom } from "./random.ts";
import { watchedStorage } from "./watched-storage.ts";

export class Insider {
  readonly #random: SeededRandom;
  readonly #forger: Forger;
  readonly #group: TestGroup;
  readonly target: Target;
  readonly own: Group;

  private constructor(
    random: SeededRandom,
    forger: Forger,
    group: TestGroup,
    target: Target,
    own: Group,
  ) {
    this.#random = random;
    this.#forger = forger;
    this.#group = group;
    this.target = target;
    this.own = own;
  }

  static async start(random: SeededRandom): Promise<Insider> {
    const service = await newSigner();
    const environment = testEnvironment({ policy: { reviewProposal: () => true } });
    const extensions = [externalSenders(service)];
    const group = await TestGroup.of(["alice", "bob", "carol", "dave"], {
      extensions,
      environment,
    });
    const target = await newTarget("victim");
    await target.client.putPsk(utf8("known"), utf8("secret"));
    const own = await seat(group, { ...target, options: target.options });
    return new Insider(random, new Forger(random, service), group, target, own);
  }

  /** Correctly signed, tagged and encrypted, and for a random reason wrong. */
  message(): Promise<Uint8Array> {
    return this.#forger.message(this.#random.pick(this.#group.members));
  }

  /** The next epoch, by an honest Commit. @returns Whether the client follows it. */
  async goOn(): Promise<boolean> {
    const alice = this.#random.pick(this.#group.members);
    const { commit } = await this.#group.commit(alice.name, { pending: [] });
    const outcome = await this.own.process(commit, { accept: true });
    this.#forger.reset();
    // Test parties keep every epoch; here they would be all that grows.
    for (const { past } of this.#group.members) past.length = Math.min(past.length, 2);
    return (
      outcome.kind === "commit" &&
      toHex(this.own.epochAuthenticator) === authenticatorOf(alice.epoch)
    );
  }

  /** A client that is outside, with a Welcome and a GroupInfo for it that are sealed and wrong. */
  async invitation(): Promise<{
    readonly target: Target;
    readonly welcome: Uint8Array;
    readonly groupInfo: Uint8Array;
  }> {
    const target = await newTarget("invited");
    const joiner = await bundleOf((await target.client.createKeyPackage({ grease: false })).bytes);
    const proposals = [{ type: "add", keyPackage: joiner.keyPackage } as const];
    const { next } = await this.#group.createCommit("alice", { proposals, pending: [] });
    const forger = this.#forger;
    const random = this.#random;
    const damage = (bytes: Uint8Array): Uint8Array => forger.damage(bytes);
    const honest = nodesOf(next.tree);
    const nodes = random.below(2) === 0 ? honest : forger.tree(honest);
    const { bytes } = await forgeWelcome(next, {
      joiners: [joiner],
      nodes,
      ...random.pick([
        {},
        { alterSecretBytes: damage },
        { alterGroupInfoBytes: damage },
        { pathSecret: () => random.bytes(32) },
        { signer: random.below(9) },
        { ratchetTree: false },
        { alterConfirmationTag: damage },
      ]),
    });
    const { epoch } = this.#group.party("alice");
    const described = await forgeGroupInfo(epoch, { nodes: forger.tree(nodesOf(epoch.tree)) });
    return { target, welcome: bytes, groupInfo: groupInfoMessage(described) };
  }
}

async function newTarget(name: string) {
  const storage = watchedStorage();
  const options = {
    storage,
    provider,
    authenticationService: acceptAnyCredential,
    policy: { reviewProposal: (): true => true },
    clock: () => NOW,
  };
  return { client: await Client.create({ ...options, identity: name }), storage, options };
}
