/** Members of a group moving on to another one, for the tests of ReInit and branches. RFC 9420 §11. */
import { equalBytes } from "../../src/codec/index.ts";
import type { AuthenticationService } from "../../src/credentials/authentication-service.ts";
import type { Environment } from "../../src/group/environment.ts";
import type { Epoch } from "../../src/group/epoch.ts";
import type { KeyPackageBundle } from "../../src/group/join-by-welcome.ts";
import { type Parent, type Predecessor } from "../../src/group/parent-group.ts";
import {
  checkSuccession,
  type CreatedSuccessor,
  type Succession,
  type SuccessorOptions,
  withResumptionPsk,
} from "../../src/group/successor.ts";
import type { ReInit } from "../../src/messages/proposal.ts";
import { testEnvironment } from "../support/environment.ts";
import {
  authenticatorOf,
  type ClientOptions,
  join,
  newClient,
  provider,
} from "../support/parties.ts";

/** A person is who it says, and stays who it is. */
export const byIdentity: AuthenticationService = {
  validate: (identities) => identities.map(() => true as const),
  isSuccessor: ({ credential: a }, { credential: b }) =>
    a.type === "basic" && b.type === "basic" && equalBytes(a.identity, b.identity)
      ? true
      : { reason: "another person" },
};

export const environment: Environment = testEnvironment({ authenticationService: byIdentity });

export type Bundles = ReadonlyMap<string, KeyPackageBundle>;

export async function newClients(
  names: readonly string[],
  options: ClientOptions = {},
): Promise<Bundles> {
  const bundles = new Map<string, KeyPackageBundle>();
  for (const name of names) bundles.set(name, await newClient(name, options));
  return bundles;
}

/** What `creator` needs to start the new group with everybody else in `bundles`. */
export function optionsFor(
  creator: string,
  bundles: Bundles,
  options: Partial<SuccessorOptions> = {},
): SuccessorOptions {
  const own = bundles.get(creator)!;
  const others = [...bundles].filter(([name]) => name !== creator);
  return {
    crypto: provider.suite(own.keyPackage.cipherSuite),
    creator: own,
    keyPackages: others.map(([, { keyPackage }]) => keyPackage),
    forcePath: true,
    ratchetTree: true,
    ...options,
  };
}

export interface Joined {
  readonly epoch: Epoch;
  readonly succession: Succession;
}

/** Joins the new group as someone who knows the old one. */
export async function joinSuccessor(
  { welcomes, ratchetTree }: CreatedSuccessor,
  bundle: KeyPackageBundle,
  parent: Parent | Predecessor,
): Promise<Joined> {
  const withPsk = withResumptionPsk(environment, parent);
  const staged = await join(welcomes[0]!.bytes, [bundle], withPsk, ratchetTree);
  const succession = await checkSuccession(staged, () => parent, environment);
  return { epoch: staged.epoch, succession };
}

export function sameEpoch(...epochs: readonly Epoch[]): boolean {
  return new Set(epochs.map(authenticatorOf)).size === 1;
}

export function reInitTo(changes: Partial<ReInit> & Pick<ReInit, "groupId">): ReInit {
  return { type: "reInit", version: 1, cipherSuite: 1, extensions: [], ...changes };
}
