/** A process that writes to a file store until it is done or killed. Started by file-processes.test.ts. */
import fs from "node:fs";
import { MlsError } from "../../../src/errors.ts";
import { fileStorage } from "../../../src/storage/file.ts";

const [mode, directory = "", count = "0"] = process.argv.slice(2);
const storage = await fileStorage(directory, {
  exclusive: mode === "own",
  dangerouslyUnencrypted: true,
});

/** Batches whose parts all name the same step; tells each acknowledged step. */
async function writeSteps(): Promise<void> {
  const last = await storage.get("step/a");
  let step = last === undefined ? 0 : Number(Buffer.from(last.value).toString().split(";")[1]);
  for (;;) {
    step++;
    const value = Buffer.from(`step;${step};`.padEnd(20 + ((step * 977) % 5000), "x"));
    const puts = [{ key: `extra/${step}`, value }];
    for (const key of ["step/a", "step/b", "step/c"]) puts.push({ key, value });
    await storage.write({ puts, deletes: [`extra/${step - 1}`], expect: [] });
    fs.writeSync(1, `${step}\n`);
  }
}

/** Read, add one, write if nobody else has; the number of conflicts goes to stdout. */
async function increment(): Promise<void> {
  let conflicts = 0;
  for (let done = 0; done < Number(count); ) {
    const record = await storage.get("counter");
    const version = record?.version ?? 0;
    const value = Buffer.from(
      `${record === undefined ? 1 : Number(Buffer.from(record.value)) + 1}`,
    );
    const puts = [
      { key: "counter", value },
      { key: `log/${process.pid}/${done}`, value },
    ];
    try {
      await storage.write({ puts, deletes: [], expect: [{ key: "counter", version }] });
      done++;
    } catch (error) {
      if (!MlsError.is(error, "STORAGE_CONFLICT")) throw error;
      conflicts++;
    }
  }
  fs.writeSync(1, `${conflicts}\n`);
}

await (mode === "increment" ? increment() : writeSteps());
await storage.close();
