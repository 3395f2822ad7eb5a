/**
 * Access to node:crypto without an import, so that bundles for browsers can contain this code.
 * `process.getBuiltinModule` exists from Node 20.16, and in Deno and Bun.
 */
import type * as Crypto from "node:crypto";
import { UsageError } from "../errors.ts";

export type NodeCrypto = typeof Crypto;

/** Whether this runtime has node:crypto. */
export function hasNodeCrypto(): boolean {
  return nodeCryptoOrUndefined() !== undefined;
}

/** @throws UsageError `NO_NODE_CRYPTO` */
export function nodeCrypto(): NodeCrypto {
  const module = nodeCryptoOrUndefined();
  if (module === undefined) {
    throw new UsageError("NO_NODE_CRYPTO", "this runtime has no node:crypto");
  }
  return module;
}

function nodeCryptoOrUndefined(): NodeCrypto | undefined {
  if (typeof process === "undefined") return undefined;
  // Absent where `process` is only a bundler's stub.
  const load = process.getBuiltinModule as typeof process.getBuiltinModule | undefined;
  return load?.("node:crypto");
}

/**
 * OpenSSL 3.0 (Node 20) decodes DER keys several times slower than JWK ones; later versions do not.
 * Other libraries (BoringSSL) are fast with both.
 */
export function hasSlowDer(): boolean {
  return (process.versions.openssl ?? "").startsWith("3.0.");
}

/** Node 24 handles a raw symmetric key five times slower than a KeyObject. */
export function hasSlowRawKeys(): boolean {
  return (process.versions.node ?? "").startsWith("24.");
}
