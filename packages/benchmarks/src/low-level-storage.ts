/** A group as the client's records, in memory: what storing and loading cost without a medium. */
import type { Stored } from "./boundary.ts";
import {
  clientConfig,
  clientJoins,
  codec,
  type CryptoProvider,
  type Epoch,
  readGroups,
  recordKeys,
  type StoredRecord,
  writeGroups,
} from "./internals.ts";

export interface StoredGroup extends Stored {
  readonly records: readonly StoredRecord[];
  readonly signer: Epoch["signer"];
}

const HANDLE = 0;

export function storeEpoch(epoch: Epoch): StoredGroup {
  const state = clientJoins.freshState(HANDLE, epoch, clientConfig.DEFAULT_CONFIG, 0n, undefined);
  const records: StoredRecord[] = [];
  let bytes = 0;
  const sink = {
    put(key: string, value: Uint8Array) {
      records.push({ key, value, version: 1 });
      bytes += key.length + value.length;
    },
    delete: () => undefined,
  };
  sink.put(new recordKeys.GroupKeys(HANDLE).version, codec.EMPTY_BYTES);
  writeGroups.writeGroup(sink, undefined, state);
  return { bytes, records, signer: epoch.signer };
}

export async function loadEpoch(
  provider: CryptoProvider,
  { records, signer }: StoredGroup,
): Promise<Epoch> {
  const storage = {
    get: () => undefined,
    list: () => records.map((record) => ({ ...record, value: record.value.slice() })),
    write: () => undefined,
    close: () => undefined,
  };
  const types = { proposals: new Map(), credentials: new Map() };
  const context = { storage, provider, types, signer: async () => signer };
  const loaded = await readGroups.readGroup(context, HANDLE);
  if (loaded === undefined) throw new Error("the group was not stored");
  return loaded.state.epoch;
}
