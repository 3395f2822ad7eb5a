/** Catalogue M-EXP: what can be derived from an epoch. RFC 9420 §8.5, §8.6, §8.7. */
import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import { accessOf } from "../../src/client/group.ts";
import { toHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { deleteExporterSecret, exportCryptoKey, type Group } from "../../src/index.ts";
import {
  seededProvider,
  type TestGroup,
  testGroup,
  type TestGroupOptions,
} from "../../src/testing/index.ts";
import { SecretWatch } from "../production/secret-watch.ts";

async function three(
  options: TestGroupOptions = {},
): Promise<{ world: TestGroup; a: Group; b: Group; c: Group }> {
  const world = await testGroup(options);
  const [a, b, c] = world.groups as readonly [Group, Group, Group];
  return { world, a, b, c };
}

const reInit = { groupId: utf8("successor"), version: 1, cipherSuite: 1, extensions: [] } as const;

test("M-EXP-01: the exporter derives by label, context and length, in the states that allow it", async () => {
  const { world, a, b } = await three();
  const context = utf8("context");
  const exported = a.export("label", context, 64);
  expect(exported).toHaveLength(64);
  expect(b.export("label", context, 64)).toEqual(exported);
  for (const other of [
    a.export("another", context, 64),
    a.export("label", utf8("another"), 64),
    a.export("label", context, 65).subarray(0, 64),
  ]) {
    expect(other).not.toEqual(exported);
  }
  expect(a.export("label", context, 255 * 32)).toHaveLength(255 * 32);
  for (const length of [255 * 32 + 1, 65_536, -1]) {
    expect(() => a.export("label", context, length)).toThrow(
      expect.objectContaining({ code: "INVALID_LENGTH" }) as Error,
    );
  }
  const { commit } = await a.commit({ reInit });
  expect(a.status).toBe("pendingCommit");
  expect(a.export("label", context, 64)).toEqual(exported);
  await world.deliver(commit, 0);
  await a.acceptCommit();
  expect(a.status).toBe("suspended");
  expect(a.export("label", context, 64)).toEqual(b.export("label", context, 64));
});

test("M-EXP-02: all members of an epoch have the same epoch authenticator, and no other epoch has it", async () => {
  const { world, a, b, c } = await three();
  const before = a.epochAuthenticator;
  expect(before).toHaveLength(32);
  expect([b.epochAuthenticator, c.epochAuthenticator]).toEqual([before, before]);
  await world.commit(1);
  expect(a.epochAuthenticator).not.toEqual(before);
  world.assertAgreement();
});

test("M-EXP-03: a resumption secret is named by its epoch, and becomes bytes by an explicit call only", async () => {
  const { world, a, b } = await three();
  const bytes = a.dangerouslyExportResumptionPsk();
  expect(b.dangerouslyExportResumptionPsk()).toEqual(bytes);
  const epoch = a.epoch;
  await world.commit(0);
  const { summary } = await world.commit(1, { resumptionPsks: [{ epoch }] });
  expect(summary.psks).toMatchObject([{ type: "resumption", epoch }]);
  world.assertAgreement();
});

test("M-EXP-04, M-COM-24: secrets are exported for the epoch that a staged or pending Commit will start", async () => {
  const { a, b } = await three();
  const { commit, next } = await a.update();
  const staged = await b.process(commit);
  if (staged.kind !== "commit") throw new Error("a Commit was expected");
  const early = [next, a.pendingCommit?.next, staged.next].map((coming) => [
    coming?.export("label", utf8("x"), 32),
    coming?.epochAuthenticator(),
    coming?.dangerouslyExportResumptionPsk(),
  ]);
  const before = secretsOf(b);
  for (const values of early) for (const value of values) expect(before).not.toContainEqual(value);
  await a.acceptCommit();
  await staged.accept();
  expect(early).toEqual([secretsOf(b), secretsOf(b), secretsOf(b)]);
  expect(secretsOf(a)).toEqual(secretsOf(b));
});

function secretsOf(group: Group): Uint8Array[] {
  return [
    group.export("label", utf8("x"), 32),
    group.epochAuthenticator,
    group.dangerouslyExportResumptionPsk(),
  ];
}

test("M-EXP-05: the exporter secret is deleted early, from memory and store, until the next epoch", async () => {
  const { world, a, b } = await three();
  const { storage } = world.member(0);
  const record = async (): Promise<string> => {
    const rows = await storage.list("");
    return rows.map(({ value }) => toHex(value)).join(" ");
  };
  const { exporterSecret } = accessOf(a).peek().epoch.secrets;
  const bytes = toHex(exporterSecret.bytes);
  expect(await record()).toContain(bytes);
  const context = utf8("context");
  const exported = a.export("label", context, 32);

  await deleteExporterSecret(a);
  await deleteExporterSecret(a);
  const deleted = expect.objectContaining({ code: "EXPORTER_DELETED" }) as Error;
  expect(() => a.export("label", context, 32)).toThrow(deleted);
  expect(() => exporterSecret.bytes).toThrow();
  expect(await record()).not.toContain(bytes);
  const reopened = await world.reopen(0, storage);
  expect(() => reopened.group.export("label", context, 32)).toThrow(deleted);
  // Nobody else is concerned, and nothing but the exporter.
  expect(b.export("label", context, 32)).toEqual(exported);
  expect(await world.say(0, "hello")).toMatchObject([
    { kind: "application" },
    { kind: "application" },
  ]);

  await world.commit(1);
  world.assertAgreement();
  expect(reopened.group.export("label", context, 32)).toEqual(b.export("label", context, 32));
});

test("M-EXP-05: a Commit that was pending when the secret was deleted begins its epoch", async () => {
  const { world, a, b } = await three();
  const { commit } = await a.commit();
  await deleteExporterSecret(a);
  await world.deliver(commit, 0);
  await a.acceptCommit();
  expect(a.export("label", utf8("x"), 32)).toEqual(b.export("label", utf8("x"), 32));
});

test("M-EXP-07: exported values are WebCrypto keys that cannot be extracted", async () => {
  const { a, b } = await three();
  const request = {
    label: "media",
    context: utf8("call 1"),
    length: 32,
    algorithm: "AES-GCM",
    usages: ["encrypt", "decrypt"],
  } as const;
  const key = await exportCryptoKey(a, request);
  expect(key).toMatchObject({ extractable: false, type: "secret", usages: ["encrypt", "decrypt"] });
  await expect(crypto.subtle.exportKey("raw", key)).rejects.toThrow();
  const iv = new Uint8Array(12);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, Uint8Array.of(1, 2, 3));
  const other = await exportCryptoKey(b, request);
  const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, other, sealed);
  expect(new Uint8Array(opened)).toEqual(Uint8Array.of(1, 2, 3));
  // It is the key of the exporter's bytes, and of nothing else.
  const raw = Uint8Array.from(a.export("media", utf8("call 1"), 32));
  const known = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const again = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, known, sealed);
  expect(new Uint8Array(again)).toEqual(Uint8Array.of(1, 2, 3));
});

test("M-EXP-07: without WebCrypto the call says so", async () => {
  const { a } = await three();
  vi.stubGlobal("crypto", undefined);
  try {
    const request = { label: "x", context: utf8(""), length: 32, algorithm: "AES-GCM" } as const;
    await expect(exportCryptoKey(a, { ...request, usages: ["encrypt"] })).rejects.toThrow(
      expect.objectContaining({ code: "NO_WEBCRYPTO" }) as Error,
    );
  } finally {
    vi.unstubAllGlobals();
  }
});

test("M-EXP-08: tree, tree hash, confirmation tag and transcript hashes can be compared with peers", async () => {
  const { world, a, b } = await three();
  const view = (group: Group): Uint8Array[] => [
    group.ratchetTree(),
    group.treeHash,
    group.confirmationTag,
    group.confirmedTranscriptHash,
    group.contextBytes,
  ];
  const before = view(a);
  expect(view(b)).toEqual(before);
  await world.commit(2);
  expect(view(b)).toEqual(view(a));
  for (const [i, value] of view(a).entries()) expect(value).not.toEqual(before[i]);
});

/** What DeriveSecret makes for sharing. RFC 9420 §8.7. */
const OPEN: readonly string[] = ["authentication"];

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return error;
  }
}

/** Everything that is reachable from outside, through getters, too. */
function reachable(root: unknown): string {
  const seen = new Set<unknown>();
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) return void found.push(toHex(value));
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof Map || value instanceof Set) for (const each of value) visit(each);
    for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at) as object) {
      if (at === Object.prototype || at === Array.prototype) break;
      for (const name of Reflect.ownKeys(at)) {
        if (name === "constructor") continue;
        const { get, value: held } = Object.getOwnPropertyDescriptor(at, name) ?? {};
        visit(get === undefined ? held : attempt(() => get.call(value) as unknown));
      }
    }
  };
  visit(root);
  return found.join("\n");
}

test("M-EXP-09: internal secrets are no public property and print as redacted", async () => {
  const watch = new SecretWatch(seededProvider("M-EXP-09"));
  const { world, a, b, c } = await three({ provider: watch.provider });
  const events: unknown[] = [];
  for (const { client } of world.members) client.on((event) => void events.push(event));
  const { client: dave } = await world.newClient("dave");
  const keyPackage = await dave.createKeyPackage();
  const sent = await b.proposeUpdate();
  await a.process(sent.bytes, { accept: true });
  const { client } = world.members[0]!;
  const shown: unknown[] = [a, b, client, events, sent, await b.proposals(), b.pendingProposals];
  const pending = await a.add([keyPackage.bytes], { groupInfo: true });
  shown.push(pending, a.pendingCommit, pending.next, pending.summary);
  const outcome = await b.process(pending.commit);
  shown.push(outcome, await c.process(sent.bytes), await c.process(pending.commit));
  await c.dropAllProposals();
  await c.proposeUpdate();
  shown.push(c.pendingProposals, await c.commit(), c);
  const accepted = await a.acceptCommit();
  const { welcomes } = accepted;
  shown.push(accepted, await dave.peekWelcome(welcomes[0]!.bytes));
  const message = await a.send("hello");
  shown.push(message, await a.groupInfo(), dave, await dave.keyPackages(), keyPackage);
  const staged = await dave.stageWelcome(welcomes[0]!.bytes);
  const errors = await Promise.all([
    dave.join(message.bytes).catch((error: unknown) => error),
    a.process(message.bytes.slice(0, -1)),
    a.commit({ remove: [99] }).catch((error: unknown) => error),
  ]);
  shown.push(...errors);
  // Everything that was ever derived, in every form that a log would give it.
  const secrets = [...watch.seen.values()].filter(({ label }) => !OPEN.includes(label));
  const labels = new Set(secrets.map(({ label }) => label));
  for (const label of ["init", "joiner", "path", "node", "epoch", "secret", "key", "nonce"]) {
    expect(labels).toContain(label);
  }
  for (const value of [...shown, staged]) {
    const texts = [
      inspect(value, { depth: 20, showHidden: true, maxArrayLength: Infinity }),
      JSON.stringify([value], (_, each: unknown) => (typeof each === "bigint" ? `${each}` : each)),
      value instanceof Error ? `${value.message} ${value.stack}` : "",
    ].map((text) => text.replaceAll(/"\d+":/g, "").replaceAll(/[^\w,]/g, ""));
    for (const { value: secret, label } of secrets) {
      const base64 = Buffer.from(secret).toString("base64").replaceAll(/\W/g, "");
      const forms = [toHex(secret), [...secret].join(), base64];
      for (const form of forms) {
        expect(
          texts.some((text) => text.includes(form)),
          label,
        ).toBe(false);
      }
    }
  }
  // The low-level state of a staged join is made of Secrets; what an application gets is not.
  for (const value of shown) {
    const open = reachable(value);
    for (const { value: secret, label } of secrets) {
      expect(open.includes(toHex(secret)), label).toBe(false);
    }
  }
  expect(Object.keys(a)).toEqual([]);
  const secret = new Secret(utf8("very secret"));
  const hex = toHex(secret.bytes);
  for (const text of [inspect(secret), JSON.stringify({ secret }), `${String(secret)}`]) {
    expect(text).not.toContain("very secret");
    expect(text).not.toContain(hex);
    expect(text).not.toContain([...secret.bytes].join());
  }
});
