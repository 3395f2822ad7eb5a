/** The library's own source as text, for tests of what must not stand in it. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface SourceFile {
  /** Below src/, with `/`. */
  readonly file: string;
  readonly text: string;
}

const folder = fileURLToPath(new URL("../../src/", import.meta.url));

export function sourceFiles(): readonly SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((file) => ({ file, text: readFileSync(`${folder}${file}`, "utf8") }));
}

/** Code without comments. */
export function codeOf({ text }: SourceFile): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

/** Functions and methods with the result that they declare. */
export function functionsOf(
  files: readonly SourceFile[],
): readonly { readonly file: string; readonly name: string; readonly result: string }[] {
  const pattern =
    /^\s*(?:export |static |async |function |private )*(\w+)(?:<[^>]*>)?\([^{}]*?\): ([^;{]+?) \{$/gm;
  return files.flatMap((source) =>
    [...codeOf(source).matchAll(pattern)].map(([, name, result]) => {
      return { file: source.file, name: name!, result: result! };
    }),
  );
}
