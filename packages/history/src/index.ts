/**
 * Letting devices read what was written before they joined. Catalogue M-MD-02.
 *
 * A *history member* is a member of the group at whom nobody sits. Whoever makes it keeps nothing of it
 * but its *secret*, a sealed client with one key package, and sends that to the group. A device
 * that comes later gets the secret from any member, joins by the Welcome that the history member was
 * added with, and reads from there on what the delivery service has kept.
 */
export {
  acceptHistory,
  historyMembers,
  isHistoryMember,
  newHistoryMember,
  type HistoryMember,
  type HistoryMemberOptions,
} from "./history-member.ts";
export { type CommitWithHistory, commitWithHistory, endHistory, startHistory } from "./commit.ts";
export { HistoryReader, type HistoryReaderOptions, openHistory } from "./history-reader.ts";
export { renewHistory } from "./policy.ts";
