/** Where scripts come from: the working group's, if they are there, and ours. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BadUsage } from "./options.ts";
import { type Config, parseConfig } from "./script.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

/** Kept beside the repository, for they are not ours: mlswg/mls-implementations has them. */
export const OFFICIAL_FOLDER: string = join(packageFolder, "../../../shared/interop-configs");
export const OWN_FOLDER: string = join(packageFolder, "configs");
/** One script that is longer than all others together. */
export const LONG_CONFIG = "deep_random";
/** Those of the working group. */
export const OFFICIAL_CONFIGS: readonly string[] = [
  "application",
  "branch",
  "commit",
  LONG_CONFIG,
  "external_join",
  "external_proposals",
  "reinit",
  "welcome_join",
];

export interface ConfigChoice {
  readonly folder: string | undefined;
  readonly configs: readonly string[] | undefined;
  readonly scripts: readonly string[] | undefined;
}

export interface LoadedConfigs {
  readonly configs: readonly Config[];
  /** Names of official configurations that were asked for and are not there. */
  readonly missing: readonly string[];
  /** Where they were looked for, and where they are to be had. */
  readonly remedy: string;
}

/** @throws BadUsage where a name is that of nothing */
export function loadConfigs(choice: ConfigChoice): LoadedConfigs {
  const official = choice.folder ?? OFFICIAL_FOLDER;
  const isAsked = (name: string): boolean => choice.configs?.includes(name) ?? true;
  const folders = [official, OWN_FOLDER].filter((folder) => existsSync(folder));
  const configs: Config[] = [];
  const names: string[] = [];
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort()) {
      const name = basename(file, ".json");
      if (!file.endsWith(".json")) continue;
      names.push(name);
      if (isAsked(name)) configs.push(parseConfig(name, readFileSync(join(folder, file), "utf8")));
    }
  }
  const missing = OFFICIAL_CONFIGS.filter((name) => {
    return isAsked(name) && !existsSync(join(official, `${name}.json`));
  });
  const remedy = `not in ${official}; interop/configs of github.com/mlswg/mls-implementations has them, and --configs names the folder`;
  const known = [...new Set([...OFFICIAL_CONFIGS, ...names])].join(", ");
  const scripts = configs.flatMap((config) => config.scripts.map(({ name }) => name));
  const places = [...configs.map(({ name }) => name), ...missing.map((name) => `${name} (absent)`)];
  // Nobody shall believe to have played what has another name.
  for (const name of choice.configs ?? []) {
    if (names.includes(name) || missing.includes(name)) continue;
    throw new BadUsage(`there is no configuration "${name}", only ${known}`);
  }
  for (const name of choice.scripts ?? []) {
    if (scripts.includes(name)) continue;
    throw new BadUsage(`there is no script "${name}" in ${places.join(", ")}`);
  }
  return { configs: withScripts(configs, choice.scripts), missing, remedy };
}

function withScripts(configs: readonly Config[], asked: readonly string[] | undefined): Config[] {
  if (asked === undefined) return [...configs];
  return configs.flatMap(({ name, scripts: all }) => {
    const scripts = all.filter((script) => asked.includes(script.name));
    return scripts.length === 0 ? [] : [{ name, scripts }];
  });
}
