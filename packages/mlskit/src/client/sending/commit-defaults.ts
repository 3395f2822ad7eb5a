/** How our Commits are made unless a request says otherwise. Catalogue M-POL-04. */
import type { CommitDefaults } from "../../group/environment.ts";
import { groupView } from "../../group/epoch.ts";
import type { GroupSession } from "../session/session.ts";

/** The same with nothing left open. */
interface SettledDefaults {
  readonly path: NonNullable<CommitDefaults["path"]>;
  readonly ratchetTree: boolean;
  readonly joinersPerWelcome: number | undefined;
  readonly externalCommits: boolean;
  readonly handshakes: NonNullable<CommitDefaults["handshakes"]>;
}

/** The policy's word counts before the group's configuration. */
export async function commitDefaults({
  state,
  environment,
}: GroupSession): Promise<SettledDefaults> {
  const { epoch, config } = state;
  const view = groupView(epoch.context, epoch.tree);
  const wanted = (await environment.policy.commitDefaults?.(view)) ?? {};
  return {
    path: wanted.path ?? "always",
    ratchetTree: wanted.ratchetTree ?? config.ratchetTree,
    joinersPerWelcome: wanted.joinersPerWelcome,
    externalCommits: wanted.externalCommits ?? config.externalCommits,
    handshakes: wanted.handshakes ?? config.handshake.send,
  };
}
