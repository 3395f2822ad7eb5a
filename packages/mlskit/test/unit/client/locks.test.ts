/** Locks of groups: there is one per group in use, and none for others. */
import { expect, test } from "vitest";
import { coreOfClient } from "../../../src/client/client.ts";
import { Mutex } from "../../../src/client/session/mutex.ts";
import { testGroup } from "../../../src/testing/index.ts";

const HANDLE = 7;

test("the lock of a group goes when nobody holds it or waits for it, and no sooner", async () => {
  const core = coreOfClient((await testGroup({ members: 1 })).member(0).client);
  const lock = core.lockOf(HANDLE);
  const order: string[] = [];
  const release = await core.lockOf(HANDLE).acquire();
  const second = core.lockOf(HANDLE).run(async () => order.push("second"));
  release();
  // The first is done, and the second is waiting or running.
  const third = core.lockOf(HANDLE).run(async () => order.push("third"));
  expect(core.lockOf(HANDLE)).toBe(lock);
  await Promise.all([second, third]);
  expect(order).toEqual(["second", "third"]);
  expect(core.lockOf(HANDLE)).not.toBe(lock);
});

test("a lock goes after work that fails, too", async () => {
  const core = coreOfClient((await testGroup({ members: 1 })).member(0).client);
  const lock = core.lockOf(HANDLE);
  const failing = lock.run(() => Promise.reject(new RangeError("no")));
  await expect(failing).rejects.toThrow("no");
  expect(core.lockOf(HANDLE)).not.toBe(lock);
});

test("a mutex tells each time that it became idle, and only then", async () => {
  let idle = 0;
  const mutex = new Mutex(() => idle++);
  await Promise.all([mutex.run(async () => 1), mutex.run(async () => 2)]);
  expect(idle).toBe(1);
  const release = await mutex.acquire();
  expect(idle).toBe(1);
  release();
  await mutex.run(async () => 3);
  expect(idle).toBe(2);
});
