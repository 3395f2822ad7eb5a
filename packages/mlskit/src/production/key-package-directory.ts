/** What a client needs of the server that hands out its key packages. Rule P-KP-06. */
import type { MaybePromise } from "../crypto/index.ts";
import type { PublishedKeyPackage } from "../client/identity/key-packages.ts";

/**
 * The directory validates what it takes, hands out every package once except those of last resort, and
 * limits how many anybody gets. All calls may be repeated after a crash.
 */
export interface KeyPackageDirectory {
  /** Whether it keeps a package for when there are no others. Default: no. */
  readonly supportsLastResort?: boolean | undefined;
  /** Takes packages; those that it has or had before change nothing. */
  publish(packages: readonly PublishedKeyPackage[]): MaybePromise<unknown>;
  /** Hands these out no more, by KeyPackageRef; those that it does not have change nothing. */
  withdraw(references: readonly Uint8Array[]): MaybePromise<unknown>;
  /** Which of these were handed out, if the directory tells. */
  claimed?(references: readonly Uint8Array[]): MaybePromise<readonly Uint8Array[]>;
}
