/** Commits of what a careless member let through. */
import type { CachedProposal } from "../../src/group/proposal-entry.ts";
import { cacheKey } from "../../src/group/proposal-entry.ts";
import type { RuleId } from "../../src/rule-registry.ts";
import { type Expected, refuses } from "../support/assertions.ts";
import { forgeCommit } from "../support/forge.ts";
import type { TestGroup } from "../support/test-group.ts";

/** A Commit by alice with this proposal is refused by carol and the observer, though both cached it. */
export async function commitWith(
  group: TestGroup,
  cached: CachedProposal,
  rule: RuleId,
  expected: Expected = {},
): Promise<void> {
  const { bytes } = await forgeCommit(group.party("alice"), { proposals: [cached] });
  for (const party of [group.party("carol"), group.observer]) {
    party.cache.set(cacheKey(cached.reference), cached);
    await refuses(party, () => party.receive(bytes), rule, expected);
    party.cache.clear();
  }
}
