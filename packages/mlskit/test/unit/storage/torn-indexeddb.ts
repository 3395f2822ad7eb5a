/** How a store in IndexedDB is cut off, and how its quota runs out. */
import type { LimitedStorage, StorageWork } from "../../../src/storage/contract.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { LITTLE } from "./torn-batches.ts";

type Open = (factory: IDBFactory, name: string) => Promise<Storage>;

/** Told of every request that changes something; decides whether the transaction ends with it. */
type Watch = (request: IDBRequest, value: Uint8Array | undefined) => void;

/** Databases of this factory tell of what is put and deleted. */
function watched(factory: IDBFactory, watch: Watch): IDBFactory {
  const open = factory.open.bind(factory);
  return new Proxy(factory, {
    get(target, name) {
      if (name !== "open") {
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (...args: Parameters<IDBFactory["open"]>) => {
        const request = open(...args);
        request.addEventListener("success", () => watchDatabase(request.result, watch));
        return request;
      };
    },
  });
}

function watchDatabase(database: IDBDatabase, watch: Watch): void {
  const begin = database.transaction.bind(database);
  database.transaction = (...args) => {
    const transaction = begin(...args);
    const storeOf = transaction.objectStore.bind(transaction);
    transaction.objectStore = (name) => {
      const store = storeOf(name);
      const [put, remove] = [store.put.bind(store), store.delete.bind(store)];
      store.put = (record: { readonly value: Uint8Array }, ...more: IDBValidKey[]) => {
        const request = put(record, ...more);
        watch(request, record.value);
        return request;
      };
      store.delete = (key) => {
        const request = remove(key);
        watch(request, undefined);
        return request;
      };
      return store;
    };
    return transaction;
  };
}

/** A browser drops a transaction that had not come to its end when the tab died: at each request. */
export async function* tornDatabase(
  newFactory: () => IDBFactory,
  open: Open,
  prepare: StorageWork,
  write: StorageWork,
): AsyncGenerator<Storage> {
  for (let cut = 1; ; cut++) {
    const factory = newFactory();
    let [count, isArmed, isCut] = [0, false, false];
    const watch: Watch = (request) => {
      if (!isArmed || ++count !== cut) return;
      isCut = true;
      request.addEventListener("success", () => request.transaction?.abort());
    };
    const storage = await open(watched(factory, watch), "torn");
    await prepare(storage);
    isArmed = true;
    await write(storage).catch((error: unknown) => {
      if (!isCut) throw error;
    });
    isArmed = false;
    await storage.close();
    yield await open(factory, "torn");
    // The last one was cut after its end.
    if (!isCut) return;
  }
}

/** A quota is found to be exceeded when the request is carried out, which ends the transaction. */
export async function limitedDatabase(factory: IDBFactory, open: Open): Promise<LimitedStorage> {
  let isFull = false;
  const watch: Watch = (request, value) => {
    if (!isFull || value === undefined || value.length <= LITTLE) return;
    request.addEventListener("success", () => request.transaction?.abort());
  };
  return {
    storage: await open(watched(factory, watch), "limited"),
    fill: () => void (isFull = true),
    free: () => void (isFull = false),
  };
}
