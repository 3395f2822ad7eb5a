/** Scripts of the harness: what their steps say, checked when they are read. */
import { utf8 } from "../bytes.ts";
import type { Extension } from "../protocol.ts";
import { Fields } from "./fields.ts";

/** A proposal that somebody is to make or to commit; numbers are those of earlier steps. */
export interface Description {
  readonly type: string;
  readonly keyPackage: number | undefined;
  readonly removed: string | undefined;
  readonly pskId: number | undefined;
  readonly epochId: number | undefined;
  readonly extensions: readonly Extension[];
  readonly changeGroupId: boolean;
  readonly changeCipherSuite: boolean;
}

interface CommitFields {
  readonly byReference: readonly number[];
  readonly byValue: readonly Description[];
  readonly forcePath: boolean;
  readonly externalTree: boolean;
}

interface ReInitFields {
  /** Absent if the proposal is that of an earlier step. */
  readonly proposer: string | undefined;
  readonly externalProposal: number | undefined;
  readonly committer: string;
  readonly welcomer: string;
  readonly members: readonly string[];
  readonly changeGroupId: boolean;
  readonly changeCipherSuite: boolean;
  readonly extensions: readonly Extension[];
  readonly forcePath: boolean;
  readonly externalTree: boolean;
}

interface By<Action extends string> {
  readonly action: Action;
  readonly actor: string;
}

export type Step =
  | (By<"createGroup"> & { readonly members: readonly string[] })
  | By<"createKeyPackage">
  | By<"updateProposal">
  | By<"handlePendingCommit">
  | (By<"joinGroup"> & { readonly welcome: number })
  | (By<"externalJoin"> & {
      readonly joiner: string;
      readonly members: readonly string[];
      readonly externalTree: boolean;
      readonly removePrior: boolean;
      readonly psks: readonly number[];
    })
  | { readonly action: "installExternalPSK"; readonly clients: readonly string[] }
  | (By<"groupInfo"> & { readonly externalTree: boolean })
  | (By<"addProposal"> & { readonly keyPackage: number })
  | (By<"removeProposal"> & { readonly removed: string })
  | (By<"externalPSKProposal"> & { readonly pskId: number })
  | (By<"resumptionPSKProposal"> & { readonly epochId: number })
  | (By<"groupContextExtensionsProposal"> & { readonly extensions: readonly Extension[] })
  | (By<"fullCommit"> &
      CommitFields & {
        readonly members: readonly string[];
        readonly joiners: readonly string[];
        /** Whom the Commit removes and who is told so; ours. */
        readonly leavers: readonly string[];
      })
  | (By<"commit"> & CommitFields)
  | (By<"handleCommit"> & { readonly commit: number; readonly byReference: readonly number[] })
  | (By<"protect"> & { readonly authenticatedData: string; readonly plaintext: string })
  | (By<"unprotect"> & { readonly ciphertext: number })
  | ({ readonly action: "reinit" } & ReInitFields)
  | (By<"branch"> & {
      readonly members: readonly string[];
      readonly extensions: readonly Extension[];
      readonly forcePath: boolean;
      readonly externalTree: boolean;
    })
  | (By<"newMemberAddProposal"> & { readonly joiner: string })
  | (By<"addExternalSigner"> & { readonly signer: string })
  | (By<"externalSignerProposal"> & {
      readonly member: string;
      readonly description: Description;
    })
  /** Ours: all make a Commit of the same epoch, and the first one's wins. */
  | (By<"race"> & { readonly rivals: readonly string[]; readonly members: readonly string[] });

export interface Script {
  readonly name: string;
  readonly steps: readonly Step[];
  /** In order of first appearance. */
  readonly actors: readonly string[];
}

export interface Config {
  readonly name: string;
  readonly scripts: readonly Script[];
}

/** @throws Error that names the script and the step */
export function parseConfig(name: string, text: string): Config {
  const fields = new Fields(JSON.parse(text), name);
  const scripts = fields.object("scripts");
  return {
    name,
    scripts: scripts.names().map((script) => {
      const steps = scripts.objects(script).map(parseStep);
      return { name: script, steps, actors: actorsOf(steps) };
    }),
  };
}

function parseStep(fields: Fields): Step {
  const action = fields.text("action");
  const step = stepOf(action, fields);
  fields.finish();
  return step;
}

function stepOf(action: string, fields: Fields): Step {
  const members = (): readonly string[] => fields.texts("members");
  switch (action) {
    case "installExternalPSK":
      return { action, clients: fields.texts("clients") };
    case "reinit":
      return {
        action,
        proposer: fields.optionalText("proposer"),
        externalProposal: fields.optionalNumber("externalReinitProposal"),
        committer: fields.text("committer"),
        welcomer: fields.text("welcomer"),
        members: members(),
        changeGroupId: fields.flag("changeGroupID"),
        changeCipherSuite: fields.flag("changeCiphersuite") || fields.flag("changeCipherSuite"),
        extensions: extensionsOf(fields),
        ...pathAndTree(fields),
      };
    default:
      return stepBy(action, fields.text("actor"), fields);
  }
}

function stepBy(action: string, actor: string, fields: Fields): Step {
  const members = (): readonly string[] => fields.texts("members");
  switch (action) {
    case "createKeyPackage":
    case "updateProposal":
    case "handlePendingCommit":
      return { action, actor };
    case "createGroup":
      return { action, actor, members: members() };
    case "joinGroup":
      return { action, actor, welcome: fields.number("welcome") };
    case "externalJoin":
      return {
        action,
        actor,
        joiner: fields.text("joiner"),
        members: members(),
        externalTree: pathAndTree(fields).externalTree,
        removePrior: fields.flag("removePrior"),
        psks: fields.numbers("psks"),
      };
    case "groupInfo":
      return { action, actor, externalTree: pathAndTree(fields).externalTree };
    case "addProposal":
      return { action, actor, keyPackage: fields.number("keyPackage") };
    case "removeProposal":
      return { action, actor, removed: fields.text("removed") };
    case "externalPSKProposal":
      return { action, actor, pskId: fields.number("pskID") };
    case "resumptionPSKProposal":
      return { action, actor, epochId: fields.number("epochID") };
    case "groupContextExtensionsProposal":
      return { action, actor, extensions: extensionsOf(fields) };
    case "fullCommit": {
      const [joiners, leavers] = [fields.texts("joiners"), fields.texts("leavers")];
      return { action, actor, members: members(), joiners, leavers, ...commitOf(fields) };
    }
    case "commit":
      return { action, actor, ...commitOf(fields) };
    case "handleCommit":
      return {
        action,
        actor,
        commit: fields.number("commit"),
        byReference: fields.numbers("byReference"),
      };
    case "protect": {
      const authenticatedData = fields.text("authenticatedData");
      return { action, actor, authenticatedData, plaintext: fields.text("plaintext") };
    }
    case "unprotect":
      return { action, actor, ciphertext: fields.number("ciphertext") };
    case "branch":
      return {
        action,
        actor,
        members: members(),
        extensions: extensionsOf(fields),
        ...pathAndTree(fields),
      };
    case "newMemberAddProposal":
      return { action, actor, joiner: fields.text("joiner") };
    case "addExternalSigner":
      return { action, actor, signer: fields.text("signer") };
    case "externalSignerProposal": {
      const description = fields.inner("description", descriptionOf);
      return { action, actor, member: fields.text("member"), description };
    }
    case "race":
      return { action, actor, rivals: fields.texts("rivals"), members: members() };
    default:
      throw fields.error(`there is no action "${action}"`);
  }
}

function commitOf(fields: Fields): CommitFields {
  return {
    byReference: fields.numbers("byReference"),
    byValue: fields.inners("byValue", descriptionOf),
    ...pathAndTree(fields),
  };
}

/** Both spellings: some official scripts use one that the official runner does not read. */
function pathAndTree(fields: Fields): { forcePath: boolean; externalTree: boolean } {
  const forcePath = [fields.flag("force_path"), fields.flag("forcePath")];
  const externalTree = [fields.flag("external_tree"), fields.flag("externalTree")];
  return { forcePath: forcePath.includes(true), externalTree: externalTree.includes(true) };
}

function descriptionOf(fields: Fields): Description {
  return {
    type: fields.text("proposalType"),
    keyPackage: fields.optionalNumber("keyPackage"),
    removed: fields.optionalText("removed"),
    pskId: fields.optionalNumber("pskID"),
    epochId: fields.optionalNumber("epochID"),
    extensions: extensionsOf(fields),
    changeGroupId: fields.flag("changeGroupID"),
    changeCipherSuite: fields.flag("changeCipherSuite"),
  };
}

function extensionsOf(fields: Fields): Extension[] {
  return fields.inners("extensions", (extension) => ({
    extension_type: extension.number("extension_type"),
    extension_data: new Uint8Array(Buffer.from(extension.text("extension_data"), "base64")),
  }));
}

function actorsOf(steps: readonly Step[]): readonly string[] {
  const found = new Set<string>();
  for (const step of steps) for (const name of namesIn(step)) found.add(name);
  return [...found];
}

function namesIn(step: Step): string[] {
  const names: (string | undefined)[] = [];
  if ("actor" in step) names.push(step.actor);
  if ("proposer" in step) names.push(step.proposer, step.committer, step.welcomer);
  if ("joiner" in step) names.push(step.joiner);
  if ("signer" in step) names.push(step.signer);
  if ("clients" in step) names.push(...step.clients);
  if ("rivals" in step) names.push(...step.rivals);
  if ("members" in step) names.push(...step.members);
  if ("joiners" in step) names.push(...step.joiners);
  return names.filter((name) => name !== undefined);
}

/** Actors are known to servers by their names. */
export function identityOf(actor: string): Uint8Array {
  return utf8(actor);
}
