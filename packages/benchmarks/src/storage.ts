/** What a client writes: bytes per message and per commit, by the testing kit. */
import { measureStorage, type StorageSizes } from "mlskit/testing";

export async function measureSizes(members: readonly number[]): Promise<StorageSizes[]> {
  const sizes: StorageSizes[] = [];
  for (const count of members) {
    process.stderr.write(`storage, N = ${count}\n`);
    sizes.push(await measureStorage({ members: count }));
  }
  return sizes;
}
