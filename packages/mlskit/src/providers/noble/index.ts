/** Provider in pure JavaScript: works wherever there is secure randomness. */
import { createProvider } from "../../crypto/create-provider.ts";
import type { CryptoProvider } from "../../crypto/crypto-provider.ts";
import type { NobleOptions } from "./provider.ts";
import { nobleSuite1 } from "./suite-1.ts";
import { nobleSuite2 } from "./suite-2.ts";
import { nobleSuite3 } from "./suite-3.ts";
import { nobleSuite4 } from "./suite-4.ts";
import { nobleSuite5 } from "./suite-5.ts";
import { nobleSuite6 } from "./suite-6.ts";
import { nobleSuite7 } from "./suite-7.ts";

export type { NobleOptions } from "./provider.ts";
export {
  nobleSuite1,
  nobleSuite2,
  nobleSuite3,
  nobleSuite4,
  nobleSuite5,
  nobleSuite6,
  nobleSuite7,
};

/** All suites of RFC 9420 §17.1, synchronous throughout. */
export function nobleProvider(options: NobleOptions = {}): CryptoProvider {
  return createProvider(
    "noble",
    [nobleSuite1, nobleSuite2, nobleSuite3, nobleSuite4, nobleSuite5, nobleSuite6, nobleSuite7].map(
      (make) => make(options),
    ),
  );
}
