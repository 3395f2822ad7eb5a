/** The measured operations by mlskit's group functions: no client, no storage. */
import type { Invitation, Library } from "./boundary.ts";
import {
  codec,
  creation,
  type CryptoProvider,
  type Environment,
  environments,
  externalJoins,
  joins,
  type KeyPackageBundle,
  keyPackages,
  messages,
  references,
  secrets,
  signers,
} from "./internals.ts";
import { LowLevelMember } from "./low-level-member.ts";
import { loadEpoch, type StoredGroup } from "./low-level-storage.ts";

export interface LowLevelInvitation extends Invitation {
  readonly bundle: KeyPackageBundle;
  readonly reference: Uint8Array;
}

const DAY = 86_400n;

export class LowLevelLibrary implements Library<LowLevelInvitation, LowLevelMember, StoredGroup> {
  readonly #freshProvider: () => CryptoProvider;
  readonly #suite: number;
  readonly #environment: Environment = acceptingEnvironment();
  #provider: CryptoProvider;

  /** `freshProvider` makes a provider with empty caches. */
  constructor(freshProvider: () => CryptoProvider, suite: number) {
    this.#freshProvider = freshProvider;
    this.#suite = suite;
    this.#provider = freshProvider();
  }

  forget(): void {
    this.#provider = this.#freshProvider();
    this.#provider.suite(this.#suite);
  }

  async invitation(name: string): Promise<LowLevelInvitation> {
    const crypto = this.#provider.suite(this.#suite);
    const signer = signers.createSigner(crypto, await crypto.generateSignatureKeyPair());
    const { now } = this.#environment;
    const { keyPackage, privateKeys } = await keyPackages.createKeyPackage({
      crypto,
      signer,
      credential: { type: "basic", identity: codec.utf8(name) },
      capabilities: {
        versions: [1],
        cipherSuites: [this.#suite],
        extensions: [],
        proposals: [],
        credentials: [1],
      },
      lifetime: { notBefore: now - DAY / 24n, notAfter: now + 80n * DAY },
    });
    return {
      keyPackage: messages.encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage }),
      bundle: { keyPackage, ...privateKeys, signer },
      reference: references.keyPackageRef(crypto, keyPackage),
    };
  }

  async create(invitation: LowLevelInvitation): Promise<LowLevelMember> {
    const bundle = usedOnce(invitation);
    const crypto = this.#provider.suite(this.#suite);
    const groupId = crypto.randomBytes(16);
    const options = { crypto, groupId, extensions: [], creator: bundle };
    const epoch = await creation.createGroup(options, this.#environment);
    return new LowLevelMember(epoch, this.#environment);
  }

  async join(invitation: LowLevelInvitation, welcome: Uint8Array): Promise<LowLevelMember> {
    const message = messages.decodeMlsMessage(welcome);
    if (message.wireFormat !== "welcome") throw new Error("not a Welcome");
    const { reference } = invitation;
    const bundle = usedOnce(invitation);
    const find = (wanted: Uint8Array): KeyPackageBundle | undefined =>
      codec.equalBytes(wanted, reference) ? bundle : undefined;
    const opened = await joins.openWelcome(
      this.#provider,
      message.message,
      find,
      this.#environment,
    );
    const { epoch } = await joins.stageJoin(opened, undefined, this.#environment);
    return new LowLevelMember(epoch, this.#environment);
  }

  async load(stored: StoredGroup): Promise<LowLevelMember> {
    return new LowLevelMember(await loadEpoch(this.#provider, stored), this.#environment);
  }

  async joinExternally(
    { bundle }: LowLevelInvitation,
    groupInfo: Uint8Array,
  ): Promise<{ readonly commit: Uint8Array; readonly member: LowLevelMember }> {
    const message = messages.decodeMlsMessage(groupInfo);
    if (message.wireFormat !== "groupInfo") throw new Error("not a GroupInfo");
    const { credential, capabilities, extensions } = bundle.keyPackage.leafNode;
    const joined = await externalJoins.joinByExternalCommit(
      {
        crypto: this.#provider.suite(this.#suite),
        groupInfo: message.message,
        leaf: { credential, capabilities, extensions, signer: bundle.signer },
        psks: [],
        pending: [],
        authenticatedData: codec.EMPTY_BYTES,
      },
      this.#environment,
    );
    return {
      commit: joined.commit,
      member: new LowLevelMember(joined.next, this.#environment),
    };
  }
}

/** A group erases the keys it was given; the same invitation is used again and again here. */
function usedOnce({ bundle }: LowLevelInvitation): KeyPackageBundle {
  return { ...bundle, encryptionKey: secrets.Secret.copyOf(bundle.encryptionKey.bytes) };
}

/** Every credential is accepted; the clock is the machine's. */
export function acceptingEnvironment(): Environment {
  return {
    now: BigInt(Math.floor(Date.now() / 1000)),
    authenticationService: {
      validate: (identities) => identities.map(() => true as const),
      isSuccessor: () => true,
    },
    policy: {},
    psks: () => undefined,
    types: { proposals: new Map(), credentials: new Map(), extensions: new Set() },
    limits: environments.DEFAULT_LIMITS,
  };
}
