/**
 * What lives in the current test and has a state: parties, observers, key packages, and every client
 * with its store, whoever made it. A refusal must change none of it, so that a test need not name
 * what it wants to be unchanged. Programs that are no tests watch nothing.
 */
import { afterEach, beforeEach } from "vitest";
import { Client } from "../../src/client/client.ts";
import { PublicGroup } from "../../src/observer/public-group.ts";

const ofTheFile = new Set<object>();
const ofTheTest = new Set<object>();
let current: Set<object> | undefined;

/** Watches something until the test ends, or the file if no test has begun. */
export function watch<T extends object>(subject: T): T {
  current?.add(subject);
  return subject;
}

/** Everything that is watched, and these. */
export function living(others: readonly object[] = []): readonly object[] {
  return [...new Set([...ofTheFile, ...ofTheTest, ...others])];
}

// The fuzzer uses the test support outside of a test runner, and compares by itself.
if (process.env["VITEST"] !== undefined) {
  current = ofTheFile;
  beforeEach(() => {
    current = ofTheTest;
  });
  afterEach(() => {
    ofTheTest.clear();
    current = ofTheFile;
  });
  watchWhatIsMade();
}

/** Tests make clients and public groups in many ways, which all end in these static methods. */
function watchWhatIsMade(): void {
  const { create, open } = Client;
  Client.create = async function (this: typeof Client, ...options) {
    return watch(await create.apply(this, options));
  };
  Client.open = async function (this: typeof Client, ...options) {
    return watch(await open.apply(this, options));
  };
  const { start, restore } = PublicGroup;
  PublicGroup.start = async (...options) => {
    const started = await start.apply(PublicGroup, options);
    watch(started.group);
    return started;
  };
  PublicGroup.restore = (...options) => watch(restore.apply(PublicGroup, options));
}
