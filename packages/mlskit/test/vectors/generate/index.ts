/** Writes mlskit's own vectors, in the official formats, with a manifest. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeProvider } from "../../../src/providers/index.ts";
import { inlineExecutor } from "../executor.ts";
import { formatNamed } from "../formats/index.ts";
import { MANIFEST_FILE } from "../locate.ts";
import type { Manifest, ManifestEntry } from "../manifest.ts";
import { runFile, sha256 } from "../run-file.ts";
import {
  cryptoBasicsCase,
  deserializationCases,
  keyScheduleCase,
  pskSecretCases,
  secretTreeCases,
  treeMathCases,
} from "./basics.ts";
import {
  passiveCommitCases,
  passiveRandomCase,
  passiveWelcomeCases,
  welcomeCase,
} from "./groups.ts";
import { messagesCase } from "./messages.ts";
import { OWN_CLOCK } from "./people.ts";
import { messageProtectionCase, transcriptHashesCases } from "./protection.ts";
import { type Source, SUITES, sourceFor } from "./random.ts";
import { treekemCases, treeOperationsCases, treeValidationCases } from "./trees.ts";

/** Cases of one suite. */
type Generator = (source: Source) => unknown[] | Promise<unknown[]>;

const one = (make: (source: Source) => Promise<unknown>): Generator => {
  return async (source) => [await make(source)];
};

const GENERATORS: Readonly<Record<string, Generator>> = {
  "crypto-basics": one(cryptoBasicsCase),
  "secret-tree": secretTreeCases,
  "message-protection": one(messageProtectionCase),
  "key-schedule": one(keyScheduleCase),
  psk_secret: pskSecretCases,
  "transcript-hashes": transcriptHashesCases,
  welcome: one(welcomeCase),
  "tree-operations": treeOperationsCases,
  "tree-validation": treeValidationCases,
  treekem: treekemCases,
  messages: one(messagesCase),
  "passive-client-welcome": passiveWelcomeCases,
  "passive-client-handling-commit": passiveCommitCases,
  "passive-client-random": one(passiveRandomCase),
};

/** Files in which something may expire. */
const DATED = [
  "tree-validation",
  "passive-client-welcome",
  "passive-client-handling-commit",
  "passive-client-random",
];

/** The cases of one file, the same each time. */
export async function generateCases(
  name: string,
  suites: readonly number[] = SUITES,
): Promise<unknown[]> {
  if (name === "tree-math") return treeMathCases();
  if (name === "deserialization") return deserializationCases();
  const generator = GENERATORS[name];
  if (generator === undefined) throw new Error(`nothing generates ${name}`);
  const cases: unknown[] = [];
  for (const suite of suites) cases.push(...(await generator(sourceFor(suite, name))));
  return cases;
}

export async function writeVectors(
  directory: string,
  onFile: (file: string, bytes: number) => void,
): Promise<void> {
  const texts = new Map<string, string>();
  for (const name of ["tree-math", "deserialization", ...Object.keys(GENERATORS)]) {
    const text = formatFile(await generateCases(name));
    texts.set(name, text);
    onFile(`${name}.json`, text.length);
  }
  // Nothing is replaced before everything is made.
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const files: ManifestEntry[] = [];
  for (const [name, text] of texts) {
    writeFileSync(join(directory, `${name}.json`), text);
    files.push(await describe(directory, name, text));
  }
  const unsupportedSuites = { node: [], webcrypto: [], noble: [] };
  const manifest: Manifest = { unsupportedSuites, files };
  writeFileSync(join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** One case per line. */
export function formatFile(cases: readonly unknown[]): string {
  return `[\n${cases.map((item) => JSON.stringify(item)).join(",\n")}\n]\n`;
}

/** The entry that the file's own results lead to. */
async function describe(directory: string, name: string, text: string): Promise<ManifestEntry> {
  const file = `${name}.json`;
  const type = formatNamed(name)?.type ?? name;
  const clock = DATED.includes(name) ? OWN_CLOCK : undefined;
  const now = clock === undefined ? undefined : BigInt(Date.parse(clock)) / 1000n;
  const provider = nodeProvider();
  const nothing = { entry: undefined, manifest: undefined };
  const executor = inlineExecutor(provider);
  const options = { ...nothing, provider, executor, type, now, withControls: false };
  const result = await runFile(join(directory, file), file, options);
  const perSuite: Record<string, number> = {};
  for (const { suite, status, reason } of result.cases) {
    if (status !== "passed") throw new Error(`${file}: ${reason ?? status}`);
    perSuite[suite] = (perSuite[suite] ?? 0) + 1;
  }
  const minimum = Object.fromEntries(result.totals);
  const cases = result.cases.length;
  return { file, type, sha256: sha256(text), cases, perSuite, minimum, clock };
}
