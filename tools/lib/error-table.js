/** docs/generated/errors.md: every error that the library throws, from the places that throw it. */
import { blank, listFiles, readText } from "./sources.js";

/** Classes whose code is not named where they are thrown. */
const ONE_CODE = { Decode: "MALFORMED", Provider: "PROVIDER_FAILED", Internal: "INTERNAL" };

/** Who has to act, in the order of the table. */
const CLASSES = {
  Usage: "the caller, who asked for something that cannot be done; nothing was built",
  State: "the caller, later: it is too early, too late, or something is missing",
  Decode: "the sender, or whoever damaged the bytes; drop the message",
  Unsupported: "nobody: the other side can do what this build cannot",
  Validation: "the sender, who broke the rule that `rule` names",
  Crypto: "the sender, or whoever damaged the bytes",
  Policy:
    "the application, whose service, policy or configuration refused; after `POLICY_TIMEOUT` and `HOOK_FAILED` the message can be processed again",
  Storage: "the store; retry after `STORAGE_CONFLICT` and `STORE_LOCKED`",
  Provider: "the cryptographic provider",
  Transport: "the delivery service; after `TRANSPORT_RETRY` the same bytes go out again",
  Internal: "mlskit: please report it",
};
const SHOWN = 4;
const TEXT = '(?:"([^"\\n]*)"|`([^`]*)`)?';
const thrown = new RegExp(`\\bnew (\\w+)Error\\(\\s*"([A-Z][A-Z_]+)",\\s*${TEXT}`, "g");
const single = new RegExp(`\\bnew (${Object.keys(ONE_CODE).join("|")})Error\\(\\s*${TEXT}`, "g");
const chosen =
  /\bnew (\w+)Error\(\s*\w+ \? "([A-Z_]+)" : "([A-Z_]+)",\s*\w+ \? "([^"]*)" : "([^"]*)"/g;
const broken = new RegExp(`"(?:valn\\d{4}|mk-\\d+)",\\s*"([A-Z][A-Z_]+)",\\s*${TEXT}`, "g");

export function errorTable() {
  const texts = new Map(Object.keys(CLASSES).map((name) => [name, new Map()]));
  const add = (name, code, text) => {
    const codes = texts.get(name);
    if (codes === undefined) throw new Error(`a class of errors without description: ${name}`);
    const known = codes.get(code) ?? new Set();
    codes.set(code, known);
    if (text !== undefined) known.add(text.replace(/\$\{[^}]*\}/g, "…"));
  };
  const named = new Map();
  for (const path of listFiles("packages/mlskit/src")) {
    const source = blank(readText(path));
    for (const [, name, code, plain, template] of source.matchAll(thrown))
      add(name, code, plain ?? template);
    for (const [, name, plain, template] of source.matchAll(single))
      add(name, ONE_CODE[name], plain ?? template);
    for (const [, name, one, other, text, otherText] of source.matchAll(chosen)) {
      add(name, one, text);
      add(name, other, otherText);
    }
    for (const [, code, plain, template] of source.matchAll(broken))
      add("Validation", code, plain ?? template);
    for (const [, code] of source.matchAll(/"([A-Z]+_[A-Z_]+)"/g)) named.set(code, path);
  }
  const listed = new Set([...texts.values()].flatMap((codes) => [...codes.keys()]));
  for (const [code, path] of named) {
    if (!listed.has(code)) throw new Error(`${path}: no table of errors would list ${code}`);
  }
  return format(texts);
}

function format(texts) {
  const lines = [
    "# Errors",
    "",
    "Generated from the sources; do not edit, run `npm run docs`.",
    "",
    "Every error is an `MlsError` with a stable `code`, and its class (`blame`) says who has to act. Codes",
    "are part of the public contract, texts are not. `details` holds indices, ids and epochs, `rule` the",
    "[rule](validation.md) that was broken, `cause` what a store or provider threw. No error carries key",
    "material or plaintext. What the network caused is not thrown by `process` but is an outcome.",
  ];
  for (const [name, codes] of texts) {
    lines.push("", `## ${name}Error`, "", `To act: ${CLASSES[name]}.`, "");
    lines.push("| code | for example |", "|---|---|");
    for (const [code, known] of [...codes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const shown = [...known].slice(0, SHOWN).join("; ").replaceAll("|", "\\|");
      lines.push(
        `| \`${code}\` | ${shown === "" ? "–" : shown}${known.size > SHOWN ? "; …" : ""} |`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
