/** Where scripts come from: the working group's, if they are there, and ours. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, parseConfig } from "./script.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

/** Kept beside the repository, for they are not ours. */
export const OFFICIAL_FOLDER: string = join(packageFolder, "../../../shared/interop-configs");
export const OWN_FOLDER: string = join(packageFolder, "configs");
/** One script that is longer than all others together. */
export const LONG_CONFIG = "deep_random";

export interface ConfigChoice {
  readonly folder: string | undefined;
  readonly configs: readonly string[] | undefined;
  readonly scripts: readonly string[] | undefined;
}

export interface LoadedConfigs {
  readonly configs: readonly Config[];
  /** What could not be loaded, and why. */
  readonly missing: readonly string[];
}

export function loadConfigs(choice: ConfigChoice): LoadedConfigs {
  const official = choice.folder ?? OFFICIAL_FOLDER;
  const missing: string[] = [];
  if (!existsSync(official)) {
    missing.push(`the official scripts are not at ${official} (--configs names another folder)`);
  }
  const folders = [official, OWN_FOLDER].filter((folder) => existsSync(folder));
  const configs: Config[] = [];
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort()) {
      const name = basename(file, ".json");
      if (!file.endsWith(".json")) continue;
      if (choice.configs !== undefined && !choice.configs.includes(name)) continue;
      const config = parseConfig(name, readFileSync(join(folder, file), "utf8"));
      const scripts = config.scripts.filter((script) => {
        return choice.scripts === undefined || choice.scripts.includes(script.name);
      });
      if (scripts.length > 0) configs.push({ name, scripts });
    }
  }
  return { configs, missing };
}
