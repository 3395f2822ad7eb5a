/** The group functions alone: no client, no storage. RFC 9420 §11, §12. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, utf8, toHex } from "../../src/codec/index.ts";
import { createSigner } from "../../src/crypto/signer.ts";
import { decodeMlsMessage } from "../../src/framing/mls-message.ts";
import { noPadding } from "../../src/framing/padding.ts";
import { protectApplicationData } from "../../src/group/application-message.ts";
import { OpenedContent, VerifiedContent } from "../../src/group/content.ts";
import { createCommit, type CommitOptions } from "../../src/group/create-commit.ts";
import { createGroup } from "../../src/group/create-group.ts";
import type { Epoch } from "../../src/group/epoch.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import { joinByExternalCommit } from "../../src/group/join-by-external-commit.ts";
import { createGroupInfo } from "../../src/group/group-info-creation.ts";
import { type KeyPackageBundle, openWelcome, stageJoin } from "../../src/group/join-by-welcome.ts";
import { currentKeys } from "../../src/group/past-epoch.ts";
import { processCommit } from "../../src/group/process-commit.ts";
import { createKeyPackage } from "../../src/key-packages/create-key-package.ts";
import { nodeProvider } from "../../src/providers/node.ts";
import { NOW, testEnvironment } from "../support/environment.ts";

const provider = nodeProvider();
const environment = testEnvironment();
const types = { proposals: new Map(), credentials: new Map() };

async function bundle(suite: number, name: string): Promise<KeyPackageBundle> {
  const crypto = provider.suite(suite);
  const signer = createSigner(crypto, await crypto.generateSignatureKeyPair());
  const { keyPackage, privateKeys } = await createKeyPackage({
    crypto,
    signer,
    credential: { type: "basic", identity: utf8(name) },
    capabilities: {
      versions: [1],
      cipherSuites: [suite],
      extensions: [],
      proposals: [],
      credentials: [1],
    },
    lifetime: { notBefore: NOW - 3600n, notAfter: NOW + 86400n },
  });
  return { keyPackage, ...privateKeys, signer };
}

const defaults: CommitOptions = {
  proposals: [],
  pending: [],
  forcePath: true,
  authenticatedData: EMPTY_BYTES,
  wireFormat: "privateMessage",
  padding: noPadding,
  ratchetTree: true,
};

async function follow(epoch: Epoch, bytes: Uint8Array): Promise<Epoch | undefined> {
  const message = decodeMlsMessage(bytes);
  const keys = currentKeys(epoch);
  let opened: OpenedContent | "own";
  if (message.wireFormat === "privateMessage") {
    opened = OpenedContent.fromPrivate(keys, message.message, DEFAULT_LIMITS, types);
  } else if (message.wireFormat === "publicMessage") {
    opened = OpenedContent.fromPublic(
      epoch.crypto,
      message.message,
      epoch.contextBytes,
      epoch.secrets.membershipKey,
    );
  } else throw new Error("unexpected");
  if (opened === "own") throw new Error("own");
  const verified = await VerifiedContent.verify(epoch.crypto, opened, keys);
  const staged = await processCommit(epoch, verified, new Map(), environment);
  return staged.next;
}

const authenticator = (epoch: Epoch | undefined): string =>
  epoch === undefined ? "none" : toHex(epoch.secrets.epochAuthenticator.bytes);

describe.each(provider.suites.map((id) => [id]))("suite %i", (suite) => {
  test("three members: add, remove, external join, messages", async () => {
    const [alice, bob, carol] = await Promise.all([
      bundle(suite, "alice"),
      bundle(suite, "bob"),
      bundle(suite, "carol"),
    ]);
    const crypto = provider.suite(suite);
    let a = await createGroup(
      { crypto, groupId: utf8("group"), extensions: [], creator: alice },
      environment,
    );
    const added = await createCommit(
      a,
      {
        ...defaults,
        proposals: [bob, carol].map(({ keyPackage }) => ({ type: "add", keyPackage })),
      },
      environment,
    );
    const welcome = decodeMlsMessage(added.welcomes[0]!.bytes);
    if (welcome.wireFormat !== "welcome") throw new Error("no welcome");
    a = added.next;
    const join = async (b: KeyPackageBundle): Promise<Epoch> => {
      const refs = added.welcomes[0]!.keyPackageRefs;
      const opened = await openWelcome(
        provider,
        welcome.message,
        (ref) => (toHex(ref) === toHex(refs[b === bob ? 0 : 1]!) ? b : undefined),
        environment,
      );
      return (await stageJoin(opened, undefined, environment)).epoch;
    };
    let b = await join(bob);
    let c = await join(carol);
    expect(authenticator(b)).toBe(authenticator(a));
    expect(authenticator(c)).toBe(authenticator(a));

    const updated = await createCommit(
      b,
      { ...defaults, wireFormat: "publicMessage" },
      environment,
    );
    a = (await follow(a, updated.commit))!;
    c = (await follow(c, updated.commit))!;
    b = updated.next;
    expect(authenticator(a)).toBe(authenticator(b));
    expect(authenticator(c)).toBe(authenticator(b));

    const sent = await protectApplicationData(c, {
      data: utf8("hello"),
      authenticatedData: utf8("aad"),
      padding: noPadding,
    });
    c.secretTree.apply(sent.change);
    const message = decodeMlsMessage(sent.bytes);
    if (message.wireFormat !== "privateMessage") throw new Error("not private");
    const opened = OpenedContent.fromPrivate(
      currentKeys(a),
      message.message,
      DEFAULT_LIMITS,
      types,
    );
    if (opened === "own") throw new Error("own");
    const verified = await VerifiedContent.verify(crypto, opened, currentKeys(a));
    expect(verified.content).toMatchObject({
      contentType: "application",
      applicationData: utf8("hello"),
    });

    const removed = await createCommit(
      a,
      { ...defaults, proposals: [{ type: "remove", removed: 1 }] },
      environment,
    );
    expect(await follow(b, removed.commit)).toBeUndefined();
    c = (await follow(c, removed.commit))!;
    a = removed.next;
    expect(authenticator(c)).toBe(authenticator(a));

    const groupInfo = await createGroupInfo(a, a.ownLeaf, a.signer, {
      ratchetTree: true,
      externalPub: true,
    });
    const dave = await bundle(suite, "dave");
    const { credential, capabilities, extensions } = dave.keyPackage.leafNode;
    const joined = await joinByExternalCommit(
      {
        crypto,
        groupInfo,
        leaf: { credential, capabilities, extensions, signer: dave.signer },
        psks: [],
        pending: [],
        authenticatedData: EMPTY_BYTES,
      },
      environment,
    );
    a = (await follow(a, joined.commit))!;
    c = (await follow(c, joined.commit))!;
    expect(authenticator(a)).toBe(authenticator(joined.next));
    expect(authenticator(c)).toBe(authenticator(joined.next));
  });
});
