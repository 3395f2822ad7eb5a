/** Correctly signed, but invalid: everything that a hostile insider can make. */
export * from "./forge-commit.ts";
export * from "./forge-leaf.ts";
export * from "./forge-message.ts";
export * from "./forge-path.ts";
export * from "./forge-tree.ts";
export * from "./forge-welcome.ts";
