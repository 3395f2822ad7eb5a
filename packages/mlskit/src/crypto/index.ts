export * from "./cipher-suite.ts";
export * from "./crypto-provider.ts";
export { Secret } from "./secret.ts";
