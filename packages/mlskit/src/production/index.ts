/**
 * What a production client does beside its groups, each to be taken or left: key-package stock, jobs
 * over all groups, first sync, stored events, ready-made policies, a log that cannot leak.
 */
export { addAgain, type AddAgainOptions } from "./add-again.ts";
export { type BeaconComparison, compareBeacon, createBeacon } from "./beacon.ts";
export { compareGroupInfo, type GroupInfoComparison } from "./compare-group-info.ts";
export {
  type CommitOrProposeOptions,
  commitOrPropose,
  type GroupTransport,
  type Wishes,
  type WishesResult,
} from "./commit-or-propose.ts";
export {
  addDevice,
  type Device,
  type DeviceJobOptions,
  membersByIdentity,
  removeDevice,
} from "./devices.ts";
export {
  acknowledgeEvents,
  eventLog,
  type EventLogOptions,
  type LoggedEvent,
  replayEvents,
} from "./event-log.ts";
export { type ExpiringMember, expiringMembers } from "./expiring-members.ts";
export { type ExpiryOptions, reportExpiry } from "./expiry.ts";
export { processBatches, type SyncOptions } from "./first-sync.ts";
export type { JobOptions, JobProgress, JobResult } from "./group-job.ts";
export { keepKeyPackages, type KeepOptions } from "./keep-key-packages.ts";
export type { KeyPackageDirectory } from "./key-package-directory.ts";
export { keyPackageObstacles } from "./key-package-obstacles.ts";
export {
  declineWelcome,
  maintainKeyPackages,
  type StockOptions,
  type StockReport,
} from "./key-package-stock.ts";
export { type ClientLog, type LogEntry, logTo } from "./log.ts";
export {
  adminsOnly,
  allOf,
  type IsAdmin,
  memberLimit,
  noExternalCommits,
  selfRemovalOnly,
} from "./policies.ts";
export { proposeAgain } from "./propose-again.ts";
export { collectRetiredIdentities } from "./retired-identities.ts";
export {
  applyRetention,
  type FailedRetention,
  type RetentionOptions,
  type RetentionReport,
} from "./retention.ts";
export { rotateIdentity, unfinishedRotations } from "./rotate-identity.ts";
export {
  continueSuccession,
  type SuccessionOptions,
  type SuccessionStep,
} from "./succession-job.ts";
