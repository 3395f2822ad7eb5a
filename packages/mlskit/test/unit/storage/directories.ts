/** Temporary directories that are gone after the test file. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";

export function temporaryDirectories(): () => string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "mlskit-"));
  afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return () => path.join(root, `store-${++count}`);
}

/** All bytes of all files below a directory. */
export function allBytes(directory: string): Buffer {
  const names = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  const files = names.map((name) => path.join(directory, name));
  return Buffer.concat(
    files.filter((file) => fs.lstatSync(file).isFile()).map((file) => fs.readFileSync(file)),
  );
}
