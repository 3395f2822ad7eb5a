/** Writes of one operation. Rules P-TX-01, P-TX-04. */
import { expect, test } from "vitest";
import { Transaction } from "../../../src/client/records/transaction.ts";
import { utf8 } from "../../../src/codec/index.ts";
import { memoryStorage } from "../../../src/storage/memory.ts";

test("P-TX-04: nobody but who sealed it adds to a transaction that is about to be written", async () => {
  const storage = memoryStorage();
  const transaction = new Transaction(storage);
  transaction.put("a", utf8("in time"));
  const sealed = transaction.seal();
  const closed = { code: "TRANSACTION_CLOSED" };
  const late = [
    () => transaction.put("b", utf8("late")),
    () => transaction.delete("a"),
    () => transaction.expect("a", 7),
    () => transaction.seal(),
  ];
  for (const work of late) expect(work).toThrow(expect.objectContaining(closed));
  for (const work of [() => transaction.get("a"), () => transaction.list("")]) {
    await expect(work()).rejects.toMatchObject(closed);
  }
  sealed.put("event", utf8("of what is written"));
  sealed.expect("event", 0);
  await transaction.commit();
  expect((await storage.list("")).map(({ key }) => key)).toEqual(["a", "event"]);
  await expect(transaction.commit()).rejects.toMatchObject(closed);
});
