/** Catalogue M-SUITE-09: what a bundle of one suite contains, and what it weighs. */
import { describe, expect, test } from "vitest";
import { cipherSuite } from "../../src/index.ts";
import { bundle } from "../support/bundle.ts";

const SUITES = [1, 2, 3, 4, 5, 6, 7];

/** Bytes after minification and gzip that a two-party client for suite 1 may have. */
const CLIENT_LIMIT = 83_000;
/** The same for a program that keeps its state by itself, over the pure functions. */
const FUNCTIONS_LIMIT = 44_100;

function clientOf(suite: string): string {
  return `
    export { Client, createProvider } from "./src/client/index.ts";
    export { memoryStorage } from "./src/storage/memory.ts";
    export * from "./src/providers/${suite}.ts";
  `;
}

/**
 * Code, by the files that hold it or by constants that nothing else has, and the suites it is for:
 * some files of the libraries hold several curves or hashes.
 */
const PARTS: readonly { readonly sign: RegExp; readonly suites: readonly number[] }[] = [
  { sign: /ciphers\/(aes|_polyval)\.js/, suites: [1, 2, 4, 5, 7] },
  { sign: /ciphers\/(chacha|_poly1305|_arx)\.js/, suites: [3, 6] },
  { sign: /ed25519\.[jt]s|curve25519\.ts/, suites: [1, 3] },
  { sign: /ed448\.[jt]s|curve448\.ts|sha3\.js/, suites: [4, 6] },
  { sign: /(montgomery|edwards|okp)[\w-]*\.[jt]s/, suites: [1, 3, 4, 6] },
  { sign: /nist[\w-]*\.[jt]s|weierstrass\.js|ecdsa-der\.ts/, suites: [2, 5, 7] },
  // Half of the orders of P-256, P-384 and P-521.
  { sign: /ffffffff00000000ffffffffffffffffbce6faada7179e84/i, suites: [2] },
  { sign: /c7634d81f4372ddf581a0db248b0a77aecec196accc52973/i, suites: [7] },
  { sign: /51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb/i, suites: [5] },
  // Names of suites, which stand for their descriptors.
  ...SUITES.map((suite) => ({
    sign: new RegExp(`${cipherSuite(suite).name}\\b`),
    suites: [suite],
  })),
];

describe("M-SUITE-09 pkg-3: suites are imported one by one", () => {
  for (const provider of ["noble", "webcrypto"]) {
    for (const suite of SUITES) {
      test(`M-SUITE-09: ${provider} suite ${suite} brings no code of other suites`, async () => {
        const { text, files } = await bundle(clientOf(`${provider}/suite-${suite}`));
        const haystack = `${files.join("\n")}\n${text}`;
        const foreignParts = PARTS.filter(
          ({ sign, suites }) => !suites.includes(suite) && sign.test(haystack),
        );
        expect(foreignParts).toEqual([]);
        const foreign = files.filter((file) =>
          /providers\/(node|default|(noble|webcrypto)\/(index|suite-))/.test(file),
        );
        expect(foreign).toEqual([`src/providers/${provider}/suite-${suite}.ts`]);
      });
    }
  }

  test("M-SUITE-09: the signs above are found where they belong", async () => {
    const everything = await bundle(`
      export * from "./src/providers/noble/index.ts";
      export * from "./src/providers/webcrypto/index.ts";
    `);
    const haystack = `${everything.files.join("\n")}\n${everything.text}`;
    for (const { sign } of PARTS) expect(haystack).toMatch(sign);
  });

  test("M-SUITE-09: a client for suite 1 stays within its limit", async () => {
    const { size, files } = await bundle(clientOf("webcrypto/suite-1"));
    expect(size).toBeLessThanOrEqual(CLIENT_LIMIT);
    // Nothing of what has an entry point of its own, and no texts of rules.
    const optional = /src\/(observer|drafts|x509|testing|rule-registry)/;
    expect(files.filter((file) => optional.test(file))).toEqual([]);
  });

  test("M-SUITE-09: so does a program over the pure functions", async () => {
    const { size, files } = await bundle(`
      export {
        createCommit, createGroup, createKeyPackage, createSigner, currentKeys, DEFAULT_LIMITS,
        openWelcome, OpenedContent, processCommit, protectApplicationData, stageJoin,
        validateKeyPackages, VerifiedContent,
      } from "./src/group/index.ts";
      export { createProvider } from "./src/crypto/create-provider.ts";
      export { decodeMlsMessage, encodeMlsMessage } from "./src/wire.ts";
      export * from "./src/providers/webcrypto/suite-1.ts";
    `);
    expect(size).toBeLessThanOrEqual(FUNCTIONS_LIMIT);
    expect(files.filter((file) => /src\/(client|storage)\//.test(file))).toEqual([]);
  });
});
