/** The package as npm would publish it, in a project that has nothing else. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../support/bundle.ts";
import { codeOf, sourceFiles } from "../support/sources.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly files: readonly string[];
}

const library = fileURLToPath(new URL("../../", import.meta.url));
const root = join(library, "../..");
const manifest = JSON.parse(readFileSync(join(library, "package.json"), "utf8")) as Manifest;
const entries = Object.keys(manifest.exports)
  .filter((entry) => entry !== "./package.json")
  .map((entry) => `mlskit${entry.slice(1)}`);
/** Entry points that say that they need something installed beside the library. */
const optional = ["mlskit/x509"];

let project: string;

/** Built apart from the working tree, packed by npm, and unpacked beside its declared dependencies. */
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "mlskit-packed-"));
  const copy = join(project, "source");
  for (const file of ["src", "package.json", "tsconfig.json", "README.md", "LICENSE"]) {
    cpSync(join(library, file), join(copy, "packages/mlskit", file), { recursive: true });
  }
  cpSync(join(root, "tsconfig.base.json"), join(copy, "tsconfig.base.json"));
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "dir");
  const here = join(copy, "packages/mlskit");
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", here], here);
  const packed = run("npm", ["pack", "--json", "--pack-destination", project], here);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const modules = join(project, "consumer/node_modules");
  mkdirSync(modules, { recursive: true });
  run("tar", ["-xzf", join(project, filename), "-C", modules], project);
  run("mv", [join(modules, "package"), join(modules, "mlskit")], project);
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    cpSync(join(root, "node_modules", name), join(modules, name), { recursive: true });
  }
  writeFileSync(join(project, "consumer/package.json"), '{ "type": "module" }\n');
}, 240_000);

afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** Runs a program as a module of the consumer. */
function consume(program: string): string {
  const file = join(project, "consumer", "program.js");
  writeFileSync(file, program);
  return run(process.execPath, [file], join(project, "consumer"));
}

describe("pkg-1 the packed package in an empty project", () => {
  test("can be imported at every entry point, with its declared dependencies alone", () => {
    const required = entries.filter((entry) => !optional.includes(entry));
    const lines = required.map(
      (entry) => `console.log(Object.keys(await import("${entry}")).length > 0);`,
    );
    const output = consume(lines.join("\n")).trim().split("\n");
    expect(output).toEqual(required.map(() => "true"));
  });

  test("makes two clients talk", () => {
    const output = consume(`
      import { Client, KeyDirectory, memoryStorage } from "mlskit";
      const authenticationService = new KeyDirectory();
      const open = async (identity) => {
        const client = await Client.create({ identity, storage: memoryStorage(), authenticationService });
        authenticationService.add(client.identity);
        return client;
      };
      const [alice, bob] = [await open("alice"), await open("bob")];
      const group = await alice.createGroup();
      await group.add([(await bob.createKeyPackage()).bytes]);
      const { welcomes } = await group.acceptCommit();
      const joined = await bob.join(welcomes[0].bytes);
      const { data } = await joined.process((await group.send("hello")).bytes);
      console.log(new TextDecoder().decode(data));
    `);
    expect(output.trim()).toBe("hello");
  });
});

describe("pkg-2 what importing asks for and does", () => {
  test("neither window nor crypto.subtle nor any other global is needed or changed", () => {
    const portable = entries.filter(
      (entry) => !optional.includes(entry) && !/node|file|sqlite/.test(entry),
    );
    const output = consume(`
      const { getRandomValues } = globalThis.crypto;
      Object.defineProperty(globalThis, "crypto", {
        value: { getRandomValues: getRandomValues.bind(globalThis.crypto) },
      });
      for (const name of ["window", "document", "navigator", "process"]) {
        Object.defineProperty(globalThis, name, { value: undefined, configurable: true });
      }
      const before = Object.getOwnPropertyNames(globalThis).join();
      for (const entry of ${JSON.stringify(portable)}) await import(entry);
      console.log(Object.getOwnPropertyNames(globalThis).join() === before);
    `);
    expect(output.trim()).toBe("true");
  });

  test("an import that nothing is used of leaves no code", async () => {
    const { text } = await bundle('import "./src/index.ts"; import "./src/client/index.ts";');
    expect(text.trim()).toBe("");
  });
});

describe("pkg-5 what consumers see", () => {
  test("types that compile without looking away", () => {
    const consumer = join(project, "consumer");
    const required = entries.filter((entry) => !optional.includes(entry));
    const names = required.map(
      (entry, i) => `import * as e${i} from "${entry}";\nexport { e${i} };`,
    );
    writeFileSync(join(consumer, "all.ts"), `${names.join("\n")}\n`);
    const compilerOptions = {
      module: "nodenext",
      target: "es2022",
      lib: ["es2022", "dom"],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: [],
    };
    writeFileSync(
      join(consumer, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["all.ts"] }),
    );
    run(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", consumer],
      consumer,
    );
  });

  test("no way to internals", () => {
    for (const inside of [
      "dist/group/epoch.js",
      "src/index.ts",
      "dist/client/session/client-core.js",
    ]) {
      const program = `import("mlskit/${inside}").then(() => console.log("open"), ({ code }) => console.log(code));`;
      expect(consume(program).trim()).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
    }
    expect(entries.filter((entry) => entry.includes("*"))).toEqual([]);
  });
});

describe("pkg-6 no default accepts any credential", () => {
  test("a client is not built without an authentication service", () => {
    const output = consume(`
      import { Client, memoryStorage } from "mlskit";
      const made = Client.create({ identity: "alice", storage: memoryStorage() });
      made.then(() => console.log("built"), (error) => console.log(error.name));
    `);
    expect(output.trim()).not.toBe("built");
  });

  test("nothing for tests is exported but by the entry that says so", async () => {
    const own = (await import("../../src/testing/index.ts")) as Record<string, unknown>;
    const main = (await import("../../src/index.ts")) as Record<string, unknown>;
    const shared = Object.keys(main).filter((name) => name in own);
    expect(shared).toEqual([]);
    const suspicious = Object.keys(main).filter((name) =>
      /accept(any|all)|insecure|test|seeded/i.test(name),
    );
    expect(suspicious).toEqual([]);
  });
});

test("pkg-7 the library has no chance and no clock of its own", () => {
  const ambient = /\b(Date\.now|new Date\(\s*\)|Math\.random|performance\.now|getRandomValues)\b/;
  const users = sourceFiles().filter((source) => ambient.test(codeOf(source)));
  expect(users.map(({ file }) => file)).toEqual([
    // The defaults of what is injected, waiting for another process's lock, and measuring.
    "client/state/clock.ts",
    "providers/random.ts",
    // Beside any provider: keys and nonces of records, from the platform's generator.
    "storage/encrypted-keys.ts",
    "storage/file-lock.ts",
    "storage/file-owner.ts",
    "testing/measure-storage.ts",
  ]);
});
