/** Which operations are measured together, because one makes what the other needs. */

export interface OperationGroup {
  readonly name: string;
  /** What it times. */
  readonly operations: readonly string[];
  /** Tree states it is run on. */
  readonly trees: readonly ("cold" | "warm")[];
  /** Suites it is run on, where not on all. */
  readonly suites?: readonly number[];
}

export const GROUPS: readonly OperationGroup[] = [
  { name: "add", operations: ["add"], trees: ["cold"] },
  { name: "join", operations: ["join"], trees: ["cold", "warm"] },
  { name: "commit", operations: ["commit", "process"], trees: ["cold", "warm"] },
  { name: "message", operations: ["send", "receive"], trees: ["warm"] },
  {
    name: "membership",
    operations: ["addOne", "processAdd", "removeOne", "processRemove"],
    trees: ["warm"],
  },
  // As bindings do it that offer nothing else; there are some for this suite only.
  { name: "bareAdd", operations: ["addBare", "processAddBare"], trees: ["warm"], suites: [3] },
  { name: "update", operations: ["propose", "update", "processUpdate"], trees: ["warm"] },
  { name: "externalJoin", operations: ["externalJoin"], trees: ["warm"] },
  { name: "storage", operations: ["store", "load"], trees: ["warm"] },
];

/** How reports call them. */
export const TITLES: Readonly<Record<string, string>> = {
  add: "create and add N − 1 in one commit",
  join: "join from Welcome",
  commit: "commit with path",
  process: "process commit",
  send: "send 1 KiB",
  receive: "receive 1 KiB",
  addOne: "add one",
  processAdd: "process add",
  removeOne: "remove one",
  processRemove: "process remove",
  addBare: "propose to add one and commit, without path and tree",
  processAddBare: "process this proposal and commit",
  propose: "propose update",
  update: "receive proposal and commit it",
  processUpdate: "process committed update",
  externalJoin: "external join",
  store: "store whole group",
  load: "load group",
};
