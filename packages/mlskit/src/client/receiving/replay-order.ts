/** In which order buffered messages are tried again. Rules P-BUF-03, P-BUF-04. */
import { decodeMlsMessageInPlace } from "../../framing/mls-message.ts";
import { MlsError } from "../../errors.ts";
import { wireTypes } from "../../group/environment.ts";
import type { BufferedMessage } from "../state/group-state.ts";
import { contentTypeOf, type GroupMessage, infoOf } from "./receive.ts";
import type { GroupSession } from "../session/session.ts";

const REPLAY_ORDER = ["application", "proposal", "commit"];

/** The next of those that our epoch can read and that were not tried; damaged ones come first. */
export function nextToReplay(
  session: GroupSession,
  tried: ReadonlySet<string>,
): readonly [hash: string, message: BufferedMessage] | undefined {
  const { buffer: kept, epoch } = session.state;
  let next: readonly [hash: string, message: BufferedMessage] | undefined;
  let rank = REPLAY_ORDER.length;
  for (const [hash, message] of kept) {
    if (tried.has(hash)) continue;
    const decoded = decodeBuffered(session, message);
    if (decoded !== undefined && infoOf(decoded).epoch > epoch.context.epoch) continue;
    const own = decoded === undefined ? -1 : REPLAY_ORDER.indexOf(contentTypeOf(decoded));
    if (own >= rank) continue;
    next = [hash, message];
    rank = own;
  }
  return next;
}

/** Undefined if it is no message of a group, or cannot be read since our limits or types changed. */
export function decodeBuffered(
  session: GroupSession,
  { bytes }: BufferedMessage,
): GroupMessage | undefined {
  try {
    const decoded = decodeMlsMessageInPlace(bytes, wireTypes(session.environment));
    const { wireFormat } = decoded;
    return wireFormat === "publicMessage" || wireFormat === "privateMessage" ? decoded : undefined;
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    return undefined;
  }
}
