/** messages: every wire object, decoded and encoded again. RFC 9420 §6, §12. */
import { concat, decode, encode, type Codec } from "../../../src/codec/index.ts";
import { MlsMessage } from "../../../src/framing/mls-message.ts";
import { Commit } from "../../../src/messages/commit.ts";
import { Proposal, ProposalType } from "../../../src/messages/proposal.ts";
import { GroupSecrets } from "../../../src/messages/welcome.ts";
import { RatchetTreeNodes } from "../../../src/tree/nodes.ts";
import type { Checks } from "../checks.ts";
import type { Control, Format } from "../format.ts";
import type { Value } from "../value.ts";
import { rebuild } from "./rebuild.ts";

/** Which message each field must hold. */
const MESSAGES = {
  mls_welcome: "welcome",
  mls_group_info: "groupInfo",
  mls_key_package: "keyPackage",
  public_message_application: "publicMessage",
  public_message_proposal: "publicMessage",
  public_message_commit: "publicMessage",
  private_message: "privateMessage",
} as const;

/** Proposals without their type, which the format leaves out. */
const PROPOSALS = {
  add_proposal: ProposalType.add,
  update_proposal: ProposalType.update,
  remove_proposal: ProposalType.remove,
  pre_shared_key_proposal: ProposalType.psk,
  re_init_proposal: ProposalType.reInit,
  external_init_proposal: ProposalType.externalInit,
  group_context_extensions_proposal: ProposalType.groupContextExtensions,
} as const;

const MESSAGE_KEYS = Object.keys(MESSAGES) as readonly (keyof typeof MESSAGES)[];
const PROPOSAL_KEYS = Object.keys(PROPOSALS) as readonly (keyof typeof PROPOSALS)[];
const KEYS = [
  ...MESSAGE_KEYS,
  ...PROPOSAL_KEYS,
  "ratchet_tree",
  "group_secrets",
  "commit",
] as const;

export const messages: Format = {
  type: "messages",
  keys: KEYS,
  hasSuite: false,
  verify(value, { checks }) {
    const fields = value.object(...KEYS);
    for (const key of MESSAGE_KEYS) checkMessage(fields[key], key, checks);
    for (const key of PROPOSAL_KEYS) checkProposal(fields[key], PROPOSALS[key], checks);
    roundTrip(RatchetTreeNodes, fields.ratchet_tree.hex(), checks);
    roundTrip(GroupSecrets, fields.group_secrets.hex(), checks);
    roundTrip(Commit, fields.commit.hex(), checks);
  },
  // The bytes are the only expected value there is, and opaque fields may hold anything: what must
  // be noticed is damage to the structure.
  controls: KEYS.flatMap((path): Control[] => [
    { kind: "trailing byte", path, rewrite: rewriting(path, (hex) => `${hex}00`) },
    { kind: "missing byte", path, rewrite: rewriting(path, (hex) => hex.slice(0, -2)) },
    ...(path in MESSAGES ? ([{ kind: "header", path, at: "first" }] as const) : []),
    ...(path in MESSAGES
      ? [{ kind: "wire format", path, rewrite: rewriting(path, otherFormat) }]
      : []),
  ]),
};

function checkMessage(field: Value, key: keyof typeof MESSAGES, checks: Checks): void {
  const message = roundTrip(MlsMessage, field.hex(), checks);
  if (message.wireFormat !== MESSAGES[key]) throw field.error(`it holds a ${message.wireFormat}`);
  if (message.wireFormat !== "publicMessage") return;
  const { contentType } = message.message.content.content;
  if (key !== `public_message_${contentType}`) throw field.error(`it holds a ${contentType}`);
}

function checkProposal(field: Value, type: number, checks: Checks): void {
  roundTrip(Proposal, concat(Uint8Array.of(type >> 8, type & 0xff), field.hex()), checks);
}

/** From the bytes and from the fields alone. */
function roundTrip<T>(codec: Codec<T>, bytes: Uint8Array, checks: Checks): T {
  const value = decode(codec, bytes);
  checks.bytes("round trips", encode(codec, value), bytes);
  checks.bytes("rebuilt objects", encode(codec, rebuild(value)), bytes);
  return value;
}

function rewriting(key: string, change: (hex: string) => string): (json: unknown) => unknown {
  return (json) => {
    const fields = json as Readonly<Record<string, unknown>>;
    const hex = fields[key];
    return typeof hex === "string" ? { ...fields, [key]: change(hex) } : undefined;
  };
}

/** A welcome becomes a PublicMessage, everything else a Welcome. */
function otherFormat(hex: string): string {
  return `0001${hex.startsWith("00010003") ? "0001" : "0003"}${hex.slice(8)}`;
}
