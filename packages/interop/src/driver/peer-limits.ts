/**
 * What is known to be missing at peers, with the version it was seen at. A failure that fits is
 * counted apart; a limit that does not show where it should is a failure too, so that this list
 * stays true.
 */
import type { CallName } from "../protocol.ts";
import type { ServerDescription } from "./connection.ts";

export interface PeerLimit {
  readonly id: string;
  /** Matches the server's name. */
  readonly peer: RegExp;
  /** At which it was seen. */
  readonly version: string;
  readonly reason: string;
  /** Where it shows in some runs only: what it says then. Any other failure is none of it. */
  readonly error?: RegExp | undefined;
  /** A run that cannot succeed because of it. */
  applies(run: LimitedRun): boolean;
}

/** What is known of a run before it starts. */
export interface LimitedRun {
  readonly config: string;
  readonly script: string;
  readonly suite: number;
  readonly encrypt: boolean;
  /** Whether this peer plays the actor. */
  isPeer(actor: string): boolean;
}

/** A peer of which several limits are known. */
const MLS_GO = { peer: /mls-?go/i, version: "v1.6.0" };
/** The name that its test server gives itself. */
const MLS_RS = { peer: /wickr mls/i, version: "6fc9223" };

export const PEER_LIMITS: readonly PeerLimit[] = [
  {
    id: "mls-go-given-tree",
    ...MLS_GO,
    reason: "a joiner ignores the tree that it is given beside a Welcome (RFC 9420 §12.4.3.1)",
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && script === "external_tree" && !isPeer("alice")) ||
      (config === "reinit" && script === "external_tree" && !isPeer("charlie")) ||
      (script === "with_external_tree" && !isPeer("alice") && isPeer("bob")) ||
      (script === "external_tree_for_two_joiners" &&
        !isPeer("alice") &&
        (isPeer("charlie") || isPeer("diana"))),
  },
  {
    id: "mls-go-truncated-tree",
    ...MLS_GO,
    reason:
      "an external joiner does not extend a tree given beside the GroupInfo (RFC 9420 §12.4.3.3)",
    applies: ({ script, isPeer }) =>
      script === "external_join_with_everything" && !isPeer("alice") && isPeer("bob"),
  },
  {
    id: "mls-go-merges-at-once",
    ...MLS_GO,
    reason: "Commit applies the Commit at once, so that a member that lost a race cannot follow",
    applies: ({ script, isPeer }) => script === "race" && (isPeer("alice") || isPeer("bob")),
  },
  {
    id: "openmls-merges-at-once",
    peer: /openmls/i,
    version: "309042c",
    reason:
      "Commit of its test server applies the Commit at once, so that a member that lost a race cannot follow (RFC 9420 §14)",
    applies: ({ script, isPeer }) => script === "race" && (isPeer("alice") || isPeer("bob")),
  },
  {
    id: "mls-go-p521-path-key",
    ...MLS_GO,
    reason:
      "a member cannot read some P-521 private keys that it stored itself (RFC 9180 §7.1.2: SerializePrivateKey() “produces a byte string of length Nsk”)",
    error: /at mls-go: .*path secret.*crypto\/ecdh: invalid private key/,
    applies: ({ suite }) => suite === 5,
  },
  {
    id: "mls-rs-branch-signer",
    ...MLS_RS,
    reason:
      "whoever joins a branch goes on signing with its key of the parent group; RFC 9420 §6.1: “The sender MUST use the private key corresponding to […] The signature key contained in the LeafNode at the index indicated by leaf_index in the ratchet tree”",
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && ["bob", "charlie", "diana", "eliza"].some(isPeer)) ||
      (script === "reinit_then_branch" && isPeer("alice")),
  },
  {
    id: "mls-rs-reinit-nonce",
    ...MLS_RS,
    reason:
      "as welcomer after a ReInit it makes the nonce as long as the hash of the suite before; RFC 9420 §8.4: “of length KDF.Nh, where KDF is the KDF for the cipher suite of the group into which the PSK is being injected”",
    error: /a PSK nonce must be as long as/,
    applies: ({ config, script }) => config === "reinit" || script === "external_reinit",
  },
  {
    id: "mls-rs-branch-extensions",
    ...MLS_RS,
    reason:
      "refuses a branch whose extensions are not those of the parent, and passes none on as creator; RFC 9420 §11.3 has joiners check version, cipher suite, epoch and members, and no extensions",
    error: /ReInitExtensionsMismatch/,
    applies: ({ config, script }) => config === "branch" && script === "with_extensions",
  },
  {
    id: "mlspp-branch-tree",
    peer: /mlspp/i,
    version: "61e4d76",
    reason:
      "CreateBranch of its test server moves the new state away before it reads the tree that was asked for beside the Welcome (RFC 9420 §12.4.3.3)",
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && script === "external_tree" && isPeer("alice")) ||
      (script === "reinit_then_branch" && isPeer("charlie")),
  },
];

/** Calls that a peer answers without content. */
const EMPTY_ANSWERS: readonly { readonly peer: RegExp; readonly calls: readonly CallName[] }[] = [
  { peer: MLS_RS.peer, calls: ["StateAuth", "Export"] },
];

export function hasWorking({ name }: ServerDescription, call: CallName): boolean {
  return !EMPTY_ANSWERS.some(({ peer, calls }) => peer.test(name) && calls.includes(call));
}
