/**
 * The calls of the working group's harness with their requests and answers, as
 * proto/mls_client.proto has them. Empty bytes stand for what is absent.
 */

export interface Extension {
  readonly extension_type: number;
  readonly extension_data: Uint8Array;
}

/** A proposal to be made by whoever reads this; which fields count depends on the type. */
export interface ProposalDescription {
  readonly proposal_type: Uint8Array;
  readonly key_package?: Uint8Array;
  readonly removed_id?: Uint8Array;
  readonly psk_id?: Uint8Array;
  readonly epoch_id?: string;
  readonly extensions?: readonly Extension[];
  readonly group_id?: Uint8Array;
  readonly cipher_suite?: number;
}

export interface PreSharedKey {
  readonly psk_id: Uint8Array;
  readonly psk_secret: Uint8Array;
}

type Empty = Readonly<Record<never, never>>;

interface OfState {
  readonly state_id: number;
}

interface OfTransaction {
  readonly transaction_id: number;
}

interface PrivateKeys {
  readonly init_priv: Uint8Array;
  readonly encryption_priv: Uint8Array;
  readonly signature_priv: Uint8Array;
}

interface Joined extends OfState {
  readonly epoch_authenticator: Uint8Array;
}

interface Proposed {
  readonly proposal: Uint8Array;
}

interface CommitRequest extends OfState {
  readonly by_reference: readonly Uint8Array[];
  readonly by_value: readonly ProposalDescription[];
  readonly force_path: boolean;
  readonly external_tree: boolean;
}

interface CommitResponse {
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array;
  readonly ratchet_tree: Uint8Array;
}

interface HandleCommitRequest extends OfState {
  readonly proposal: readonly Uint8Array[];
  readonly commit: Uint8Array;
}

interface ReInitCommitted {
  readonly reinit_id: number;
  readonly key_package: Uint8Array;
  readonly epoch_authenticator: Uint8Array;
}

interface CreatedSubgroup extends Joined {
  readonly welcome: Uint8Array;
  readonly ratchet_tree: Uint8Array;
}

interface Call<Request, Response> {
  readonly request: Request;
  readonly response: Response;
}

/** Every call of the service. */
export interface Calls {
  readonly Name: Call<Empty, { readonly name: string }>;
  readonly SupportedCiphersuites: Call<Empty, { readonly ciphersuites: readonly number[] }>;
  readonly CreateGroup: Call<
    {
      readonly group_id: Uint8Array;
      readonly cipher_suite: number;
      readonly encrypt_handshake: boolean;
      readonly identity: Uint8Array;
    },
    OfState
  >;
  readonly CreateKeyPackage: Call<
    { readonly cipher_suite: number; readonly identity: Uint8Array },
    OfTransaction & PrivateKeys & { readonly key_package: Uint8Array }
  >;
  readonly JoinGroup: Call<
    OfTransaction & {
      readonly welcome: Uint8Array;
      readonly encrypt_handshake: boolean;
      readonly identity: Uint8Array;
      readonly ratchet_tree: Uint8Array;
    },
    Joined
  >;
  readonly ExternalJoin: Call<
    {
      readonly group_info: Uint8Array;
      readonly ratchet_tree: Uint8Array;
      readonly encrypt_handshake: boolean;
      readonly identity: Uint8Array;
      readonly remove_prior: boolean;
      readonly psks: readonly PreSharedKey[];
    },
    Joined & { readonly commit: Uint8Array }
  >;
  readonly GroupInfo: Call<
    OfState & { readonly external_tree: boolean },
    { readonly group_info: Uint8Array; readonly ratchet_tree: Uint8Array }
  >;
  readonly StateAuth: Call<OfState, { readonly state_auth_secret: Uint8Array }>;
  readonly Export: Call<
    OfState & {
      readonly label: string;
      readonly context: Uint8Array;
      readonly key_length: number;
    },
    { readonly exported_secret: Uint8Array }
  >;
  readonly Protect: Call<
    OfState & { readonly authenticated_data: Uint8Array; readonly plaintext: Uint8Array },
    { readonly ciphertext: Uint8Array }
  >;
  readonly Unprotect: Call<
    OfState & { readonly ciphertext: Uint8Array },
    { readonly authenticated_data: Uint8Array; readonly plaintext: Uint8Array }
  >;
  readonly StorePSK: Call<PreSharedKey & { readonly state_or_transaction_id: number }, Empty>;
  readonly AddProposal: Call<OfState & { readonly key_package: Uint8Array }, Proposed>;
  readonly UpdateProposal: Call<OfState, Proposed>;
  readonly RemoveProposal: Call<OfState & { readonly removed_id: Uint8Array }, Proposed>;
  readonly ExternalPSKProposal: Call<OfState & { readonly psk_id: Uint8Array }, Proposed>;
  readonly ResumptionPSKProposal: Call<OfState & { readonly epoch_id: string }, Proposed>;
  readonly GroupContextExtensionsProposal: Call<
    OfState & { readonly extensions: readonly Extension[] },
    Proposed
  >;
  readonly Commit: Call<CommitRequest, CommitResponse>;
  readonly HandleCommit: Call<HandleCommitRequest, Joined>;
  readonly HandlePendingCommit: Call<OfState, Joined>;
  readonly ReInitProposal: Call<
    OfState & {
      readonly cipher_suite: number;
      readonly group_id: Uint8Array;
      readonly extensions: readonly Extension[];
    },
    Proposed
  >;
  readonly ReInitCommit: Call<CommitRequest, CommitResponse>;
  readonly HandlePendingReInitCommit: Call<OfState, ReInitCommitted>;
  readonly HandleReInitCommit: Call<HandleCommitRequest, ReInitCommitted>;
  readonly ReInitWelcome: Call<
    {
      readonly reinit_id: number;
      readonly key_package: readonly Uint8Array[];
      readonly force_path: boolean;
      readonly external_tree: boolean;
    },
    CreatedSubgroup
  >;
  readonly HandleReInitWelcome: Call<
    {
      readonly reinit_id: number;
      readonly welcome: Uint8Array;
      readonly ratchet_tree: Uint8Array;
    },
    Joined
  >;
  readonly CreateBranch: Call<
    OfState & {
      readonly group_id: Uint8Array;
      readonly extensions: readonly Extension[];
      readonly key_packages: readonly Uint8Array[];
      readonly force_path: boolean;
      readonly external_tree: boolean;
    },
    CreatedSubgroup
  >;
  readonly HandleBranch: Call<
    OfState & OfTransaction & { readonly welcome: Uint8Array; readonly ratchet_tree: Uint8Array },
    Joined
  >;
  readonly NewMemberAddProposal: Call<
    { readonly group_info: Uint8Array; readonly identity: Uint8Array },
    OfTransaction & PrivateKeys & Proposed
  >;
  readonly CreateExternalSigner: Call<
    { readonly cipher_suite: number; readonly identity: Uint8Array },
    { readonly signer_id: number; readonly external_sender: Uint8Array }
  >;
  readonly AddExternalSigner: Call<OfState & { readonly external_sender: Uint8Array }, Proposed>;
  readonly ExternalSignerProposal: Call<
    {
      readonly signer_id: number;
      readonly signer_index: number;
      readonly group_info: Uint8Array;
      readonly ratchet_tree: Uint8Array;
      readonly description: ProposalDescription | null;
    },
    Proposed
  >;
  readonly Free: Call<OfState, Empty>;
}

export type CallName = keyof Calls;
export type RequestOf<Name extends CallName> = Calls[Name]["request"];
export type ResponseOf<Name extends CallName> = Calls[Name]["response"];
