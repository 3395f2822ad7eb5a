/** Groups of which a backup or a second copy is made. */
import { encryptedStorage } from "../../src/storage/encrypted.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type TestGroup, type TestGroupOptions, testGroup } from "../../src/testing/index.ts";
import { MapStorage } from "./map-storage.ts";

export const KEY = new Uint8Array(32).fill(3);
export const FROZEN = { code: "ROLLBACK_SUSPECTED", blame: "state" };

/** Three members on stores that can be copied. */
export async function copyableWorld(options: TestGroupOptions = {}) {
  const stores: MapStorage[] = [];
  const storage = (): MapStorage => {
    const store = new MapStorage();
    stores.push(store);
    return store;
  };
  const world = await testGroup({ members: 3, ...options, storage });
  return { world, store: (index: number) => stores[index] as MapStorage };
}

export function optionsOf(world: TestGroup, storage: Storage) {
  return { storage, authenticationService: world.directory, clock: world.clock };
}

/** Opens encrypted stores that remember which state they had last. */
export function guardedStores() {
  let remembered: Uint8Array | undefined;
  const rollbackGuard = {
    recall: () => remembered,
    remember: (state: Uint8Array) => void (remembered = state.slice()),
  };
  return (inner: MapStorage) => encryptedStorage(inner, KEY, { rollbackGuard });
}
