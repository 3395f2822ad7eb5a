/** Secrets do not show up in output. */
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "../../../src/crypto/index.ts";

test("a secret is redacted wherever it could be printed", () => {
  const secret = new Secret(Uint8Array.from([171, 172, 173]));
  const shown = [
    inspect({ secret }),
    JSON.stringify({ secret }),
    String(secret),
    inspect(Object.assign({}, secret)),
  ];
  for (const text of shown) expect(text).not.toMatch(/171|abacad/);
});

test("erase overwrites the bytes that the secret owns", () => {
  const bytes = Uint8Array.from([1, 2, 3]);
  const secret = new Secret(bytes);
  const copy = Secret.copyOf(bytes);
  secret.erase();
  expect(bytes).toEqual(new Uint8Array(3));
  expect(secret.length).toBe(0);
  expect(copy.bytes).toEqual(Uint8Array.from([1, 2, 3]));
});
