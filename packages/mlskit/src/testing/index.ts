/**
 * What applications need to test with: groups in one call, a network and a delivery service in
 * memory, stores that fail when told to, seeded randomness, a clock that stands still, and a model
 * checker. Works under any test framework. What a hostile insider can make is in
 * `mlskit/testing/forge`. Catalogue M-TST.
 */
export { assertAgreement, disagreement } from "./agreement.ts";
export { broadcast, commitAndBroadcast, type DeliveredCommit } from "./broadcast.ts";
export {
  type DeliveryServiceOptions,
  headerOf,
  type LogEntry,
  type SubmitAnswer,
  VirtualDeliveryService,
} from "./delivery-service.ts";
export { type DirectoryOptions, VirtualKeyPackageDirectory } from "./key-package-directory.ts";
export {
  formatStorageSizes,
  measureStorage,
  type MeasureStorageOptions,
  MeasuringStorage,
  type Spread,
  type StorageSizes,
} from "./measure-storage.ts";
export { type ProviderFactory, SeededRandom, seededProvider } from "./random.ts";
export {
  randomWalk,
  type Walk,
  WALK_ACTIONS,
  type WalkAction,
  type WalkOptions,
  type WalkReport,
} from "./random-walk.ts";
export { type TestClock, testClock } from "./test-clock.ts";
export { TestGroup, testGroup, type TestGroupOptions, type TestMember } from "./test-group.ts";
export {
  type NetworkConditions,
  type Packet,
  RELIABLE,
  VirtualNetwork,
} from "./virtual-network.ts";
export { type FaultPlan, FaultStorage, faultStorage } from "../storage/fault.ts";
export { type DiskFault, SimulatedDisk } from "../storage/fault-file.ts";
export {
  type LimitedStorage,
  type StorageCheck,
  storageContract,
  type StorageHarness,
  type StorageWork,
} from "../storage/contract.ts";
