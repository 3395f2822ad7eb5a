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
  readonly whose: Whose;
  readonly evidence: Evidence;
  /** With the sentences of the RFC that show whose it is or what it leaves open, literally. */
  readonly reason: string;
  /** What a run says that fails because of it. Any other failure is none of it. */
  readonly error: RegExp;
  /** Whether it need not show whenever it applies. */
  readonly isOccasional?: boolean;
  /** A run that can fail because of it. */
  applies(run: LimitedRun): boolean;
}

/** The implementation itself, or only the server around it that speaks the harness's protocol. */
export type Whose = "library" | "test server";

/** By what one sees whose it is. Without a sentence that says it, runs count as unsettled. */
export type Evidence = "RFC sentence" | "fails among its own kind too" | "left open by the RFC";

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

const GENERATION =
  "RFC 9420 §14: “The generation of Commit messages MUST NOT modify a client's state”";

export const PEER_LIMITS: readonly PeerLimit[] = [
  {
    id: "mls-go-given-tree",
    ...MLS_GO,
    whose: "test server",
    evidence: "RFC sentence",
    reason:
      "a joiner does not use the tree that it is given beside a Welcome, and joins without one; RFC 9420 §12.4.3.1: “Verify that the tree hash of the ratchet tree matches the tree_hash field in GroupInfo”",
    error: /^Unprotect at mls-?go.*AEAD decryption failed/i,
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && script === "external_tree" && !isPeer("alice")) ||
      (config === "reinit" && script === "external_tree" && !isPeer("charlie")) ||
      (config === "welcome_join" &&
        script === "with_external_tree" &&
        !isPeer("alice") &&
        isPeer("bob")) ||
      (script === "reinit_then_branch" && !isPeer("alice")) ||
      (script === "external_tree_for_two_joiners" &&
        !isPeer("alice") &&
        (isPeer("charlie") || isPeer("diana"))),
  },
  {
    id: "mls-go-truncated-tree",
    ...MLS_GO,
    whose: "test server",
    evidence: "RFC sentence",
    reason:
      "an external joiner does not extend a tree given beside the GroupInfo; RFC 9420 §12.4.3.3: “The receiver MUST check that the last node in ratchet_tree is non-blank, and then extend the tree to the right until it has a length of the form 2^(d+1) - 1”",
    error: /^ExternalJoin at mls-?go.*tree hash mismatch/i,
    applies: ({ script, isPeer }) =>
      script === "external_join_with_everything" && !isPeer("alice") && isPeer("bob"),
  },
  {
    id: "mls-go-merges-at-once",
    ...MLS_GO,
    whose: "test server",
    evidence: "RFC sentence",
    reason: `Commit applies the Commit at once, so that a member that lost a race cannot follow; ${GENERATION}`,
    error:
      /^HandleCommit at mls-?go.*(sender_data.*AEAD decryption failed|epoch mismatch: message has)/i,
    applies: ({ script, isPeer }) => script === "race" && (isPeer("alice") || isPeer("bob")),
  },
  {
    id: "openmls-merges-at-once",
    peer: /openmls/i,
    version: "309042c",
    whose: "test server",
    evidence: "RFC sentence",
    reason: `Commit applies the Commit at once, so that a member that lost a race cannot follow; ${GENERATION}`,
    error: /^HandleCommit at OpenMLS.*Message epoch differs from the group's epoch/,
    applies: ({ script, isPeer }) => script === "race" && (isPeer("alice") || isPeer("bob")),
  },
  {
    id: "mls-go-reinit-psk",
    ...MLS_GO,
    whose: "library",
    evidence: "RFC sentence",
    reason:
      "as welcomer after a ReInit it names no PSK of the group that ended; RFC 9420 §11.2: “The Welcome message MUST specify a PreSharedKeyID of type resumption with usage reinit, where the group_id field matches the old group and the epoch field indicates the epoch after the Commit covering the ReInit”",
    // Where the group keeps its id, the library refuses before the server can look.
    error:
      /^HandleReInitWelcome at mlskit .*(names no PSK of usage reinit$|\[GROUP_EXISTS, rule valn1403\]$)/,
    applies: ({ config, script, isPeer }) =>
      (config === "reinit" && isPeer(script === "all_same_actor" ? "alice" : "charlie")) ||
      (script === "external_reinit" && isPeer("bob")) ||
      (script === "reinit_then_branch" && isPeer("alice")),
  },
  {
    id: "mls-go-reinit-leaf-key",
    ...MLS_GO,
    whose: "library",
    evidence: "RFC sentence",
    reason:
      "as welcomer after a ReInit it does not keep the private key of its leaf, and reads no Commit with a path; RFC 9420 §7.5: “Decrypt the path secret for the parent of the copath node using the private key from the resolution node”",
    error: /^HandleCommit at mls-?go.*path secret.*crypto\/ecdh: invalid private key/i,
    // One of ours refuses the Welcome before, for it names no PSK.
    applies: ({ script, isPeer }) =>
      script === "reinit_then_branch" && ["alice", "bob", "charlie"].every(isPeer),
  },
  {
    id: "mls-rs-branch-signer",
    ...MLS_RS,
    whose: "test server",
    evidence: "RFC sentence",
    reason:
      "a key package for a branch has a signature key of its own, but whoever joins with it goes on signing with that of the parent group; RFC 9420 §6.1: “The sender MUST use the private key corresponding to […] The signature key contained in the LeafNode at the index indicated by leaf_index in the ratchet tree”",
    // What it sends fails at whoever reads it, with ours and with its own kind.
    error:
      /^Unprotect at (mlskit|Wickr MLS) [^,]*, sent by Wickr MLS .*(\[SIGNATURE_INVALID, |error InvalidSignature$)/,
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && ["bob", "charlie", "diana", "eliza"].some(isPeer)) ||
      (script === "reinit_then_branch" && isPeer("alice")),
  },
  {
    id: "mls-rs-reinit-nonce",
    ...MLS_RS,
    whose: "library",
    evidence: "RFC sentence",
    reason:
      "as welcomer after a ReInit it makes the nonce as long as the hash of the suite before; RFC 9420 §8.4: “the psk_nonce of its PreSharedKeyID MUST be set to a fresh random value of length KDF.Nh, where KDF is the KDF for the cipher suite of the group into which the PSK is being injected”",
    error: /^HandleReInitWelcome at mlskit .*a PSK nonce must be as long as/,
    // Only if the two suites have hashes of different lengths.
    isOccasional: true,
    applies: ({ config, script, isPeer }) =>
      (config === "reinit" && script === "change_ciphersuite" && isPeer("charlie")) ||
      (script === "external_reinit" && isPeer("bob")),
  },
  {
    id: "mls-rs-branch-extensions",
    ...MLS_RS,
    whose: "library",
    evidence: "left open by the RFC",
    reason:
      "a branch has the extensions of its parent, and any other is refused, where the harness asks for others; RFC 9420 §11.3: “A new group can be formed from a subset of an existing group's members, using the same parameters as the old group”, but what a joiner checks are no extensions, RFC 9420 §12.4.3.1: “For usage branch, verify that the version and cipher_suite of the new group match those of the old group, and that the members of the new group compose a subset of the members of the old group, according to the application”",
    error: /^HandleBranch at Wickr MLS .*ReInitExtensionsMismatch/,
    isOccasional: true,
    applies: ({ config, script }) => config === "branch" && script === "with_extensions",
  },
  {
    id: "mlspp-branch-tree",
    peer: /mlspp/i,
    version: "61e4d76",
    whose: "test server",
    evidence: "fails among its own kind too",
    reason:
      "CreateBranch moves the new state away before it reads the tree that was asked for beside the Welcome, and ends with map::at; where the tree is read first, all these runs pass; the RFC says nothing of such a call",
    error: /^CreateBranch at mlspp.*map::at/i,
    applies: ({ config, script, isPeer }) =>
      (config === "branch" && script === "external_tree" && isPeer("alice")) ||
      (script === "reinit_then_branch" && isPeer("charlie")),
  },
];

/** The limits that can show in a run with this cast. */
export function limitsOf(
  run: Omit<LimitedRun, "isPeer">,
  cast: ReadonlyMap<string, Pick<ServerDescription, "name" | "isOurs">>,
): PeerLimit[] {
  return PEER_LIMITS.filter(({ peer, applies }) => {
    const isPeer = (actor: string): boolean => {
      const server = cast.get(actor);
      return server !== undefined && !server.isOurs && peer.test(server.name);
    };
    return [...cast.keys()].some(isPeer) && applies({ ...run, isPeer });
  });
}

/** What counts a run that fails because of the limit with this id. */
export function verdictOn(id: string): "limited" | "unsettled" {
  const limit = PEER_LIMITS.find((other) => other.id === id);
  return limit?.evidence === "RFC sentence" ? "limited" : "unsettled";
}

/** Calls that a peer answers without content: nothing can be compared, and no run fails. */
export interface EmptyAnswers extends Pick<PeerLimit, "id" | "peer" | "version" | "whose"> {
  readonly calls: readonly CallName[];
  readonly reason: string;
}

export const EMPTY_ANSWERS: readonly EmptyAnswers[] = [
  {
    id: "mls-rs-empty-exports",
    ...MLS_RS,
    whose: "test server",
    calls: ["StateAuth", "Export"],
    reason:
      "exported secrets are compared among the other members only; epoch authenticators are those that members give when they enter an epoch",
  },
];

export function emptyAnswersOf(
  { name }: ServerDescription,
  call: CallName,
): EmptyAnswers | undefined {
  return EMPTY_ANSWERS.find(({ peer, calls }) => peer.test(name) && calls.includes(call));
}
