/** Key packages of ours at a directory: how many, how old, and when they go. Rules P-KP-01 to P-KP-06. */
import { bytesKey, encode } from "../codec/index.ts";
import { Credential } from "../credentials/credential.ts";
import { GREASE_VALUES } from "../extensions/grease.ts";
import { Capabilities } from "../tree/nodes.ts";
import { type Client, coreOfClient } from "../client/client.ts";
import type { ClientCore } from "../client/session/client-core.ts";
import type { Identity } from "../client/identity/identity.ts";
import { referenceOf } from "../client/joining/join.ts";
import type { KeyPackageDirectory } from "./key-package-directory.ts";
import {
  defaultCapabilities,
  eraseKeys,
  type KeyPackageOptions,
  listKeyPackages,
  makeKeyPackage,
  type PublishedKeyPackage,
  removeKeyPackage,
  type StoredKeyPackage,
  storeKeyPackage,
} from "../client/identity/key-packages.ts";
import type { Transaction } from "../client/records/transaction.ts";
import { Mutex } from "../client/session/mutex.ts";
import { countOf, secondsOf } from "../client/state/settings.ts";
import { type StockRecord, type StockState, stockRecord } from "./production-records.ts";
import { decodeRecord, encodeRecord, keyPackageRecord } from "../client/records/record-codecs.ts";
import {
  keyPackageKey,
  STOCK_PREFIX,
  stockKey,
  USED_PREFIX,
  usedKey,
} from "../client/records/record-keys.ts";
import { collectRetiredIdentities, retiredIdentities } from "./retired-identities.ts";

export interface StockOptions {
  /** Default: all that no other one is replacing. Packages of others, but of those, are left alone. */
  readonly identities?: readonly Identity[] | undefined;
  /** Packages per identity, which has one suite and one credential. Default: 50. */
  readonly target?: number | undefined;
  /** Fewer are filled up. Default: the client's `keyPackageThreshold`, 10. */
  readonly threshold?: number | undefined;
  /** Seconds after which a last resort is renewed. Default: 30 days. */
  readonly lastResortLifetime?: number | undefined;
  /** Seconds that private keys outlive their package. Default: 14 days. */
  readonly grace?: number | undefined;
  /** How packages are made. */
  readonly keyPackage?: Omit<KeyPackageOptions, "lastResort"> | undefined;
}

export interface StockReport {
  /** Sent to the directory. */
  readonly published: number;
  /** Taken back from it. */
  readonly withdrawn: number;
  /** Private keys that went. */
  readonly deleted: number;
}

const DAY = 86_400;

/** The options, checked and complete. */
interface Rules {
  readonly target: number;
  readonly threshold: number;
  readonly lastResortLifetime: bigint;
  readonly grace: bigint;
  readonly keyPackage: Omit<KeyPackageOptions, "lastResort">;
}

interface StockItem extends StoredKeyPackage, StockRecord {
  /** A last resort that entered a group. */
  readonly isUsed: boolean;
}

/** Whether a package may be handed out; undefined: its identity is looked after by another call. */
type Judge = (item: StockItem) => boolean | undefined;

/** One at a time for a client, so that no two fill the same gap. */
const locks = new WeakMap<ClientCore, Mutex>();

/**
 * Brings the directory up to date: new packages are durable before they are published, old ones leave
 * the directory before their keys go. Whatever fails is made up for by the next call. Packages that
 * the application made by itself are left alone.
 */
export function maintainKeyPackages(
  client: Client,
  directory: KeyPackageDirectory,
  options: StockOptions = {},
): Promise<StockReport> {
  const core = coreOfClient(client);
  const lock = locks.get(core) ?? new Mutex();
  locks.set(core, lock);
  return lock.run(() => maintain(client, core, directory, options));
}

/** Says that a Welcome was not accepted: its key package is offered to nobody any more. Rule P-KP-05. */
export async function declineWelcome(client: Client, welcome: Uint8Array): Promise<void> {
  const reference = await referenceOf(coreOfClient(client), welcome);
  if (reference !== undefined) await suspectKeyPackage(client, reference);
}

/**
 * Rule P-KP-05: a package whose Welcome was declined, failed or unreadable stays for one that may yet
 * come, but is offered to nobody any more.
 */
export function suspectKeyPackage(client: Client, reference: Uint8Array): Promise<void> {
  const core = coreOfClient(client);
  return core.write(async (transaction) => {
    const key = keyPackageKey(reference);
    const stored = await core.storage.get(key);
    if (stored === undefined) return;
    const record = decodeRecord(keyPackageRecord, stored.value, core.stored);
    transaction.expect(key, stored.version);
    transaction.put(key, encodeRecord(keyPackageRecord, { ...record, isSuspect: true }));
    eraseKeys(record);
  });
}

async function maintain(
  client: Client,
  core: ClientCore,
  directory: KeyPackageDirectory,
  options: StockOptions,
): Promise<StockReport> {
  const rules = rulesOf(core, options);
  const retired = await retiredIdentities(core);
  const identities =
    options.identities ??
    (await client.identities()).filter(({ signatureKey }) => !retired.has(bytesKey(signatureKey)));
  const judge = judgeOf(core, identities, retired, rules);
  await noteClaims(core, directory, judge);
  for (const identity of identities) await fill(core, directory, identity, rules);
  const published = await publish(core, directory, judge);
  const withdrawn = await withdraw(core, directory, judge);
  const deleted = await deleteKeys(core, retired, judge, rules);
  await collectRetiredIdentities(client);
  return { published, withdrawn, deleted };
}

/** @throws UsageError `INVALID_SETTING` */
function rulesOf(
  core: ClientCore,
  {
    target = 50,
    threshold = core.options.keyPackageThreshold,
    lastResortLifetime = 30 * DAY,
    grace = 14 * DAY,
    keyPackage = {},
  }: StockOptions,
): Rules {
  return {
    target: countOf("target", target),
    threshold: countOf("threshold", threshold),
    lastResortLifetime: secondsOf("lastResortLifetime", lastResortLifetime),
    grace: secondsOf("grace", grace),
    keyPackage,
  };
}

/** Packages that were made here, oldest first. */
async function stock(core: ClientCore): Promise<StockItem[]> {
  const records = new Map<string, StockRecord>();
  for (const { key, value } of await core.storage.list(STOCK_PREFIX)) {
    records.set(key, decodeRecord(stockRecord, value));
  }
  const used = new Set((await core.storage.list(USED_PREFIX)).map(({ key }) => key));
  const items: StockItem[] = [];
  for (const stored of await listKeyPackages(core)) {
    const record = records.get(stockKey(stored.reference));
    if (record === undefined) continue;
    items.push({ ...stored, ...record, isUsed: used.has(usedKey(stored.reference)) });
  }
  return items.sort((a, b) => Number(a.createdAt - b.createdAt));
}

function setState(
  core: ClientCore,
  items: readonly Pick<StockItem, "reference">[],
  state: StockState,
): Promise<void> {
  if (items.length === 0) return Promise.resolve();
  return core.write(async (transaction) => {
    for (const { reference } of items) {
      // One that entered a group meanwhile is gone, and its record with it.
      if ((await transaction.get(stockKey(reference))) === undefined) continue;
      putState(core, transaction, reference, state);
    }
  });
}

function putState(
  core: ClientCore,
  transaction: Transaction,
  reference: Uint8Array,
  state: StockState,
): void {
  const record: StockRecord = { state, since: core.options.clock() };
  transaction.put(stockKey(reference), encodeRecord(stockRecord, record));
}

async function noteClaims(
  core: ClientCore,
  directory: KeyPackageDirectory,
  judge: Judge,
): Promise<void> {
  if (directory.claimed === undefined) return;
  const offered = (await stock(core)).filter((item) => {
    return item.state === "published" && !item.isLastResort && judge(item) !== undefined;
  });
  if (offered.length === 0) return;
  const claimed = await directory.claimed(offered.map(({ reference }) => reference));
  const keys = new Set(claimed.map(bytesKey));
  const found = offered.filter(({ reference }) => keys.has(bytesKey(reference)));
  await setState(core, found, "claimed");
}

/** Makes what is missing: rules P-KP-01 and P-KP-02. */
async function fill(
  core: ClientCore,
  directory: KeyPackageDirectory,
  identity: Identity,
  rules: Rules,
): Promise<void> {
  if ((await missing(core, directory, identity, rules)).length === 0) return;
  await core.write(async (transaction) => {
    const signer = await core.signerFor(transaction, identity.signatureKey);
    // Counted anew: whoever fills the same gap from here on makes this write start over.
    for (const lastResort of await missing(core, directory, identity, rules)) {
      const request = { ...rules.keyPackage, lastResort };
      const made = await makeKeyPackage(core, identity, signer, request);
      const { reference } = storeKeyPackage(transaction, made, core.options.clock());
      putState(core, transaction, reference, "made");
    }
  });
}

/** For each package that is to be made, whether it is a last resort. Replaced packages count as missing. */
async function missing(
  core: ClientCore,
  { supportsLastResort = false }: KeyPackageDirectory,
  identity: Identity,
  rules: Rules,
): Promise<readonly boolean[]> {
  const { target, threshold } = rules;
  const isGood = judgeFor(core, identity, rules);
  const own = (await stock(core)).filter(({ signatureKey, state }) => {
    if (bytesKey(signatureKey) !== bytesKey(identity.signatureKey)) return false;
    return state === "made" || state === "published";
  });
  const good = own.filter(isGood);
  const available = good.filter(({ isLastResort }) => !isLastResort).length;
  const replaced = own.filter((item) => !item.isLastResort && !isGood(item)).length;
  const wanted = available < threshold ? target : Math.min(target, available + replaced);
  const ordinary = Array<boolean>(Math.max(0, wanted - available)).fill(false);
  const needsLast = supportsLastResort && !good.some(({ isLastResort }) => isLastResort);
  return needsLast ? [...ordinary, true] : ordinary;
}

/** What may be handed out. The rest is withdrawn: a directory that refuses it must not refuse all. */
async function publish(
  core: ClientCore,
  directory: KeyPackageDirectory,
  judge: Judge,
): Promise<number> {
  const made = (await stock(core)).filter((item) => item.state === "made" && judge(item) === true);
  if (made.length === 0) return 0;
  const packages: PublishedKeyPackage[] = made.map(({ bytes, reference, expiresAt }) => {
    return { bytes, reference, expiresAt };
  });
  await directory.publish(packages);
  await setState(core, made, "published");
  return made.length;
}

/** What is not to be handed out any more: rules P-KP-02 to P-KP-05. */
async function withdraw(
  core: ClientCore,
  directory: KeyPackageDirectory,
  judge: Judge,
): Promise<number> {
  const bad = (await stock(core)).filter((item) => {
    if (item.state === "withdrawn" || (item.state === "claimed" && !item.isExpired)) return false;
    return judge(item) === false;
  });
  if (bad.length === 0) return 0;
  await directory.withdraw(bad.map(({ reference }) => reference));
  await setState(core, bad, "withdrawn");
  return bad.length;
}

/**
 * A Welcome for a package that was handed out may come until it expires, and be late by the grace
 * time. With a key that is being replaced, only the grace time counts.
 */
async function deleteKeys(
  core: ClientCore,
  retired: ReadonlySet<string>,
  judge: Judge,
  { grace }: Rules,
): Promise<number> {
  const now = core.options.clock();
  const over = (await stock(core)).filter((item) => {
    const { state, since, expiresAt, signatureKey } = item;
    if (state !== "withdrawn" || judge(item) === undefined) return false;
    const isRetired = retired.has(bytesKey(signatureKey));
    const end = isRetired || since > expiresAt ? since : expiresAt;
    return end + grace <= now;
  });
  if (over.length === 0) return 0;
  await core.write(async (transaction) => {
    for (const { reference } of over) removeKeyPackage(transaction, reference, now);
  });
  return over.length;
}

/** Of packages of these identities; of those that are being replaced none is to be handed out. */
function judgeOf(
  core: ClientCore,
  identities: readonly Identity[],
  retired: ReadonlySet<string>,
  rules: Rules,
): Judge {
  const judges = new Map(
    identities.map((identity) => {
      return [bytesKey(identity.signatureKey), judgeFor(core, identity, rules)];
    }),
  );
  return (item) => {
    const key = bytesKey(item.signatureKey);
    return judges.get(key)?.(item) ?? (retired.has(key) ? false : undefined);
  };
}

/** Whether a package may be handed out, as far as this identity and the wishes go. */
function judgeFor(
  core: ClientCore,
  identity: Identity,
  { keyPackage, lastResortLifetime }: Rules,
): (item: StockItem) => boolean {
  const now = core.options.clock();
  const { provider, types } = core.options;
  const { credential } = identity;
  const wanted = fingerprint(
    keyPackage.capabilities ?? defaultCapabilities(provider.suites, types, credential),
    credential,
  );
  return (item) => {
    const { leafNode } = item.keyPackage;
    if (item.isSuspect || item.isUsed) return false;
    if (fingerprint(leafNode.capabilities, leafNode.credential) !== wanted) return false;
    if (leafNode.origin.source !== "keyPackage") return false;
    const { notBefore, notAfter } = leafNode.origin.lifetime;
    // Rule P-KP-03: a quarter of the lifetime is the least that a taker may expect.
    if ((notAfter - now) * 4n < notAfter - notBefore) return false;
    return !item.isLastResort || now - item.createdAt < lastResortLifetime;
  };
}

/** Rule P-KP-04: what packages are replaced for. GREASE differs from package to package. */
function fingerprint(capabilities: Capabilities, credential: Credential): string {
  const real = (values: readonly number[]): number[] =>
    values.filter((value) => !GREASE_VALUES.includes(value)).sort((a, b) => a - b);
  const plain = {
    versions: capabilities.versions,
    cipherSuites: real(capabilities.cipherSuites),
    extensions: real(capabilities.extensions),
    proposals: real(capabilities.proposals),
    credentials: real(capabilities.credentials),
  };
  return bytesKey(encode(Capabilities, plain)) + bytesKey(encode(Credential, credential));
}
