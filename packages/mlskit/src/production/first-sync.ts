/** Catching up with many messages. Rule P-TX-08. */
import type { WireTypes } from "../codec/index.ts";
import type { MaybePromise } from "../crypto/index.ts";
import { MlsError } from "../errors.ts";
import { type Route, routeMessage } from "../framing/route.ts";
import { wireTypes } from "../group/environment.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientTransaction } from "../client/client-transaction.ts";
import type { Group } from "../client/group.ts";
import type { Outcome } from "../client/state/outcome.ts";
import { isUnreadable } from "../client/session/unreadable.ts";
import { invalid } from "../client/receiving/failed-message.ts";
import type { ProcessOptions } from "../client/receiving/process.ts";

export interface SyncOptions extends ProcessOptions {
  /** Messages per transaction. Default: 100. */
  readonly batch?: number | undefined;
  /** Stops before the next write. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called inside each transaction, to store plaintext and the cursor of the delivery service together
   * with the keys that are used up.
   */
  onBatch?(transaction: ClientTransaction, outcomes: readonly Outcome[]): MaybePromise<void>;
}

const DEFAULT_BATCH = 100;

/**
 * Processes messages of any groups in order, one transaction per batch, and yields the outcomes of
 * each batch when it is durable: one outcome for each message, at its place. A message that cannot be
 * used stops none of the others, see {@link Group.processMany}; neither does one that could be used later,
 * for which `error.retryable` is true: keep its bytes to process it again. A group that cannot be read
 * ({@link Client.unreadableGroups}) holds up no other; what comes for it is `invalid`, and is to be kept
 * if the group may become readable.
 *
 * What is to be accepted must be accepted in the transaction: by the option, or in `onBatch`. Outcomes that
 * were yielded cannot be any more, and throw `TRANSACTION_CLOSED`.
 *
 * @throws StorageError `STORAGE_CONFLICT` if another process was faster: begin again after the last batch
 * that was yielded
 */
export async function* processBatches(
  client: Client,
  messages: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: SyncOptions = {},
): AsyncGenerator<readonly Outcome[], void, void> {
  const { batch: size = DEFAULT_BATCH, signal } = options;
  const types = wireTypes(coreOfClient(client).options);
  let batch: Uint8Array[] = [];
  const run = (): Promise<readonly Outcome[]> => {
    const taken = batch;
    batch = [];
    return client.transaction(
      async (transaction) => {
        const outcomes: Outcome[] = [];
        for (const bytes of taken) {
          signal?.throwIfAborted();
          outcomes.push(await processInside(transaction, bytes, options, types));
        }
        await options.onBatch?.(transaction, outcomes);
        return outcomes;
      },
      { signal },
    );
  };
  for await (const bytes of messages) {
    batch.push(bytes);
    if (batch.length >= size) yield await run();
  }
  if (batch.length > 0) yield await run();
}

/** What cannot be routed is no matter of the transaction. */
async function processInside(
  transaction: ClientTransaction,
  bytes: Uint8Array,
  options: ProcessOptions,
  types: WireTypes,
): Promise<Outcome> {
  let route: Route;
  try {
    route = routeMessage(bytes, types);
  } catch (error) {
    return invalid(error, undefined);
  }
  const { wireFormat } = route;
  if (wireFormat !== "publicMessage" && wireFormat !== "privateMessage") {
    return { kind: wireFormat, bytes };
  }
  const { groupId } = route;
  let group: Group;
  try {
    group = await transaction.group(groupId);
  } catch (error) {
    if (MlsError.is(error, "GROUP_NOT_FOUND")) return { kind: "unknownGroup", groupId };
    if (!isUnreadable(error)) throw error;
    return { kind: "invalid", groupId, error };
  }
  const [outcome] = await group.processMany([bytes], options);
  return outcome as Outcome;
}
