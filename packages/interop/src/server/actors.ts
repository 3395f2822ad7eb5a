/** One client of mlskit per actor of a script, each with a store of its own. */
import {
  type AuthenticationService,
  Client,
  createSigner,
  type CryptoProvider,
  type GroupConfig,
  type Identity,
  memoryStorage,
  type Padding,
  type Signer,
  type Storage,
} from "mlskit";
import { sameBytes } from "../bytes.ts";

/** What all actors of a server have in common. */
export interface ActorSettings {
  readonly provider: CryptoProvider;
  /** Of encrypted messages. */
  readonly padding: Padding;
}

export interface Actor {
  readonly client: Client;
  readonly provider: CryptoProvider;
  readonly storage: Storage;
  readonly name: Uint8Array;
  readonly identity: Identity;
  readonly signer: Signer;
  /** Raw, for the answers that hand it out. */
  readonly signatureKey: Uint8Array;
}

/** Identities of the same name are the same client, whatever their keys; all are believed. */
const everybody: AuthenticationService = {
  validate: (identities) => identities.map(() => true),
  isSuccessor: ({ credential: a }, { credential: b }) => {
    const isSame = a.type === "basic" && b.type === "basic" && sameBytes(a.identity, b.identity);
    return isSame || { reason: "the identity would change" };
  },
};

export async function createActor(
  { provider, padding }: ActorSettings,
  name: Uint8Array,
  cipherSuite: number,
): Promise<Actor> {
  const { signer, signatureKey } = await freshSigner(provider, cipherSuite);
  const storage = memoryStorage();
  const client = await Client.create({
    storage,
    identity: name,
    cipherSuite,
    signer,
    provider,
    authenticationService: everybody,
    policy: { reviewProposal: () => true },
    limits: { maximumLifetime: undefined },
    config: { pendingProposals: 4096, pendingProposalsPerSender: 4096, padding },
  });
  return { client, provider, storage, name, identity: client.identity, signer, signatureKey };
}

/** The same actor with a key for another suite. */
export async function withSuite(
  provider: CryptoProvider,
  actor: Actor,
  cipherSuite: number,
): Promise<Actor> {
  if (actor.identity.cipherSuite === cipherSuite) return actor;
  const { signer, signatureKey } = await freshSigner(provider, cipherSuite);
  const identity = await actor.client.addIdentity({ identity: actor.name, cipherSuite, signer });
  return { ...actor, identity, signer, signatureKey };
}

export async function freshSigner(
  provider: CryptoProvider,
  cipherSuite: number,
): Promise<{ readonly signer: Signer; readonly signatureKey: Uint8Array }> {
  const crypto = provider.suite(cipherSuite);
  const pair = await crypto.generateSignatureKeyPair();
  return { signer: createSigner(crypto, pair), signatureKey: pair.privateKey };
}

/** How a member sends its proposals and Commits; both forms are accepted. */
export function handshakes(encrypt: boolean): Pick<GroupConfig, "handshake"> {
  return { handshake: { send: encrypt ? "private" : "public", accept: "both" } };
}
