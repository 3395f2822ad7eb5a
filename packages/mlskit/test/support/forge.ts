/** The forge of the testing kit, for the parties of these tests. */
export * from "../../src/testing/forge/index.ts";
export { newKeyPair } from "./parties.ts";
