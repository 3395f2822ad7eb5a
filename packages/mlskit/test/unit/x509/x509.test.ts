/** X.509 credentials: chains, names, revocation, requests. RFC 9420 §5.3, RFC 5280 §6.1. */
import { CertificationRequest } from "@peculiar/asn1-csr";
import { AsnConvert } from "@peculiar/asn1-schema";
import { Extensions, KeyUsage, KeyUsageFlags } from "@peculiar/asn1-x509";
import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../../src/codec/index.ts";
import type { Identity, Verdict } from "../../../src/credentials/authentication-service.ts";
import { subjectPublicKey } from "../../../src/credentials/x509.ts";
import { CIPHER_SUITES, type Signer, type SuiteCrypto } from "../../../src/crypto/index.ts";
import { Client, memoryStorage, type NewIdentityOptions } from "../../../src/index.ts";
import {
  createSigningRequest,
  NameAttributeType,
  readCertificate,
  x509AuthenticationService,
  x509Credential,
  verifyGroupInfo,
  verifyMembers,
  type X509Options,
} from "../../../src/x509/index.ts";
import { acceptAnyCredential, NOW, testEnvironment } from "../../support/environment.ts";
import { newClient, newSigner, provider } from "../../support/parties.ts";
import { TestGroup } from "../../support/test-group.ts";
import {
  type Authority,
  type CertificateOptions,
  extension,
  issue,
  newIntermediate,
  newRoot,
  newWebRoot,
} from "./certificates.ts";

const context = { event: "add", groupId: undefined, now: NOW } as const;

interface Chain {
  readonly root: Authority;
  readonly intermediate: Authority;
  readonly signer: Signer;
  readonly certificates: readonly Uint8Array[];
}

async function chainOf(
  suite: number,
  endEntity: Partial<CertificateOptions> = {},
  authority: Partial<CertificateOptions> = {},
): Promise<Chain> {
  const root = await newRoot(suite);
  const intermediate = await newIntermediate(root, suite, authority);
  const signer = await newSigner(suite);
  const leaf = await issue(intermediate, { subject: "alice", key: signer, ...endEntity });
  return { root, intermediate, signer, certificates: [leaf, intermediate.certificate] };
}

function identityOf(chain: Pick<Chain, "certificates" | "signer">): Identity {
  const credential = x509Credential(chain.certificates);
  return { credential, signatureKey: chain.signer.publicKey };
}

async function judge(
  chain: Chain,
  options: Partial<X509Options> = {},
  now = NOW,
): Promise<Verdict | undefined> {
  const service = x509AuthenticationService({
    provider,
    roots: [chain.root.certificate],
    ...options,
  });
  return (await service.validate([identityOf(chain)], { ...context, now }))[0];
}

const refusal = (reason: string) => ({ reason: expect.stringContaining(reason) as string });

describe.each(CIPHER_SUITES.map(({ id, signature }) => [id, signature.name] as const))(
  "suite %i with %s",
  (suite) => {
    test("M-X509-01 M-X509-02 a chain to a root is accepted, with and without the root", async () => {
      const chain = await chainOf(suite);
      expect(await judge(chain)).toBe(true);
      const certificates = [...chain.certificates, chain.root.certificate];
      expect(await judge({ ...chain, certificates })).toBe(true);
      expect(subjectPublicKey(certificates[0]!)).toEqual(chain.signer.publicKey);
    });

    test("M-X509-02 a wrong signature in the chain is refused", async () => {
      const chain = await chainOf(suite);
      const other = await newIntermediate(await newRoot(suite), suite);
      const certificates = [chain.certificates[0]!, other.certificate];
      const options = { roots: [chain.root.certificate] };
      expect(await judge({ ...chain, certificates }, options)).toEqual(
        refusal("signature of a certificate is wrong"),
      );
    });

    test("M-X509-06 a request for the own key is signed with it", async () => {
      const signer = await newSigner(suite);
      const subject = [
        { type: NameAttributeType.organization, value: "Example" },
        { type: NameAttributeType.commonName, value: "alice" },
      ] as const;
      const alternativeNames = { uri: ["mls:alice"], dns: ["alice.example"] };
      const encoded = await createSigningRequest({ signer, subject, alternativeNames });
      const request = AsnConvert.parse(encoded, CertificationRequest);
      const { certificationRequestInfo: info } = request;
      expect(new Uint8Array(info.subjectPKInfo.subjectPublicKey)).toEqual(signer.publicKey);
      const names = [...info.subject].map(([attribute]) => attribute!.value.toString());
      expect(names).toEqual(["Example", "alice"]);
      const requested = AsnConvert.parse(info.attributes[0]!.values[0]!, Extensions);
      expect(requested.map(({ extnID }) => extnID)).toEqual(["2.5.29.17"]);
      const signed = new Uint8Array(AsnConvert.serialize(info));
      const signature = new Uint8Array(request.signature);
      expect(await provider.suite(suite).verify(signer.publicKey, signed, signature)).toBe(true);
    });
  },
);

describe("paths", () => {
  test("M-X509-01 the end entity's key must be the leaf's", async () => {
    const chain = await chainOf(1);
    expect(await judge({ ...chain, signer: await newSigner(1) })).toEqual(refusal("another key"));
  });

  test("M-X509-02 an unknown root is refused", async () => {
    const chain = await chainOf(1);
    const roots = [(await newRoot(1, "another")).certificate];
    expect(await judge(chain, { roots })).toEqual(refusal("trusted root"));
  });

  test("M-X509-02 of several roots with one name, the one that signed is found", async () => {
    const chain = await chainOf(1);
    const namesakes = [(await newRoot(1)).certificate, (await newRoot(7)).certificate];
    const { certificate } = chain.root;
    for (const roots of [
      [...namesakes, certificate],
      [certificate, ...namesakes],
    ]) {
      expect(await judge(chain, { roots })).toBe(true);
    }
    expect(await judge(chain, { roots: namesakes })).toEqual(
      refusal("signature of a certificate is wrong"),
    );
    const expired = await issue(chain.root, {
      subject: "root",
      key: chain.root.signer,
      isAuthority: true,
      notAfter: NOW - 1n,
    });
    expect(await judge(chain, { roots: [expired] })).toEqual(refusal("expired"));
    expect(await judge(chain, { roots: [expired, certificate] })).toBe(true);
  });

  test("M-X509-02 validity is judged at the given time, bounds included", async () => {
    const chain = await chainOf(1, { notBefore: NOW - 10n, notAfter: NOW + 10n });
    expect(await judge(chain, {}, NOW - 11n)).toEqual(refusal("not valid yet"));
    expect(await judge(chain, {}, NOW - 10n)).toBe(true);
    expect(await judge(chain, {}, NOW + 10n)).toBe(true);
    expect(await judge(chain, {}, NOW + 11n)).toEqual(refusal("expired"));
  });

  test("M-X509-02 an expired intermediate is refused", async () => {
    const chain = await chainOf(1, {}, { notAfter: NOW - 1n });
    expect(await judge(chain)).toEqual(refusal("expired"));
  });

  test("M-X509-02 an issuer must be an authority", async () => {
    const chain = await chainOf(1, {}, { isAuthority: false });
    expect(await judge(chain)).toEqual(refusal("certification authority"));
  });

  test("M-X509-02 an authority's key must be for certificates, if its use is restricted", async () => {
    const wrong = await chainOf(1, {}, { usage: KeyUsageFlags.digitalSignature });
    expect(await judge(wrong)).toEqual(refusal("not for certificates"));
    const right = await chainOf(1, {}, { usage: KeyUsageFlags.keyCertSign });
    expect(await judge(right)).toBe(true);
  });

  test("M-X509-02 the end entity's key must be for signing, if its use is restricted", async () => {
    const wrong = await chainOf(1, { usage: KeyUsageFlags.keyAgreement });
    expect(await judge(wrong)).toEqual(refusal("not for signing"));
    const right = await chainOf(1, { usage: KeyUsageFlags.digitalSignature });
    expect(await judge(right)).toBe(true);
  });

  test("M-X509-02 an authority limits how many others stand below it", async () => {
    const root = await newRoot(1);
    const outer = await newIntermediate(root, 1, { subject: "outer", pathLength: 0 });
    const inner = await newIntermediate(outer, 1, { subject: "inner" });
    const signer = await newSigner(1);
    const deep = await issue(inner, { subject: "alice", key: signer });
    const long = { root, intermediate: outer, signer };
    const certificates = [deep, inner.certificate, outer.certificate];
    expect(await judge({ ...long, certificates })).toEqual(refusal("more authorities"));
    const shallow = await issue(outer, { subject: "alice", key: signer });
    expect(await judge({ ...long, certificates: [shallow, outer.certificate] })).toBe(true);
  });

  test("M-X509-02 each certificate names the next one as its issuer", async () => {
    const chain = await chainOf(1);
    const root = await newRoot(1);
    const skipped = { ...chain, certificates: [chain.certificates[0]!, root.certificate] };
    expect(await judge(skipped, { roots: [root.certificate] })).toEqual(refusal("another issuer"));
  });

  test("M-X509-02 unknown critical extensions are refused, others ignored", async () => {
    const policies = extension("2.5.29.54", new KeyUsage(1), true);
    const root = await newRoot(1);
    const signer = await newSigner(1);
    const critical = { subject: "alice", key: signer, extensions: [policies] };
    const encoded = await issue(root, critical);
    expect(() => readCertificate(encoded)).toThrow("critical extension");
    policies.critical = false;
    expect(readCertificate(await issue(root, critical)).attributes).toMatchObject([
      { value: "alice" },
    ]);
  });

  test("M-X509-02 restricted purposes must include the one that is asked for", async () => {
    const chain = await chainOf(1, { purposes: ["1.3.6.1.5.5.7.3.2"] });
    expect(await judge(chain)).toBe(true);
    expect(await judge(chain, { purpose: "1.3.6.1.5.5.7.3.2" })).toBe(true);
    expect(await judge(chain, { purpose: "1.3.6.1.5.5.7.3.4" })).toEqual(refusal("other purposes"));
  });

  test("M-SEC-04 chains have a largest length, which comes before any signature", async () => {
    const chain = await chainOf(1);
    const verify = vi.spyOn(Object.getPrototypeOf(provider.suite(1)) as SuiteCrypto, "verify");
    try {
      const many = { ...chain, certificates: Array<Uint8Array>(500).fill(chain.certificates[0]!) };
      expect(await judge(many)).toEqual(refusal("too long"));
      expect(await judge(chain, { maximumLength: 1 })).toEqual(refusal("too long"));
      expect(verify).not.toHaveBeenCalled();
      expect(await judge(chain, { maximumLength: 2 })).toBe(true);
    } finally {
      verify.mockRestore();
    }
  });

  test("bytes that are no certificate are refused", async () => {
    const chain = await chainOf(1);
    const service = x509AuthenticationService({ provider, roots: [chain.root.certificate] });
    const credential = { type: "x509", certificates: [Uint8Array.of(0x30, 1)] } as const;
    const identity = { credential, signatureKey: chain.signer.publicKey };
    expect(await service.validate([identity], context)).toEqual([refusal("malformed")]);
    expect(() => x509Credential([Uint8Array.of(0x30, 1)])).toThrow("malformed");
    expect(() => x509Credential([])).toThrow("at least one");
    const roots = [Uint8Array.of(0x30, 1)];
    expect(() => x509AuthenticationService({ provider, roots })).toThrow("a root");
  });

  test("an authority of another scheme can certify", async () => {
    const root = await newRoot(7);
    const signer = await newSigner(1);
    const certificates = [await issue(root, { subject: "alice", key: signer })];
    expect(await judge({ root, intermediate: root, signer, certificates })).toBe(true);
  });

  test("M-X509-02 authorities may use RSA, or another hash than MLS does", async () => {
    const rsa = {
      name: "RSASSA-PKCS1-v1_5",
      hash: "SHA-256",
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    };
    const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-384" };
    const roots = [
      await newWebRoot(rsa, "1.2.840.113549.1.1.11"),
      await newWebRoot(ecdsa, "1.2.840.10045.4.3.3"),
    ];
    const signer = await newSigner(1);
    for (const root of roots) {
      const certificates = [await issue(root, { subject: "alice", key: signer })];
      const chain = { root, intermediate: root, signer, certificates };
      expect(await judge(chain)).toBe(true);
      const forged = certificates[0]!.slice();
      forged[forged.length - 1]! ^= 1;
      expect(await judge({ ...chain, certificates: [forged] })).toEqual(refusal("is wrong"));
    }
  });

  test("x509Credential reads PEM", async () => {
    const { certificates } = await chainOf(1);
    const pem = certificates
      .map((der) =>
        Buffer.from(der)
          .toString("base64")
          .replaceAll(/(.{64})/g, "$1\n"),
      )
      .map((text) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`)
      .join("");
    expect(x509Credential(pem)).toEqual({ type: "x509", certificates });
  });
});

describe("names and revocation", () => {
  test("M-X509-02 the name decides who may follow whom, by a rule that can be chosen", async () => {
    const chain = await chainOf(1, { uri: "mls:alice" });
    const same = await chainOf(1, { uri: "mls:other" });
    const other = await chainOf(1, { subject: "bob", uri: "mls:alice" });
    const roots = [chain.root.certificate];
    const bySubject = x509AuthenticationService({ provider, roots });
    const [a, b, c] = [chain, same, other].map(identityOf) as [Identity, Identity, Identity];
    expect(bySubject.isSuccessor(a, b, context)).toBe(true);
    expect(bySubject.isSuccessor(a, c, context)).toEqual(refusal("other names"));
    const byUri = x509AuthenticationService({
      provider,
      roots,
      name: ({ alternativeNames }) => {
        const [uri] = alternativeNames.uri;
        return uri === undefined ? undefined : utf8(uri);
      },
    });
    expect(byUri.isSuccessor(a, c, context)).toBe(true);
    expect(byUri.isSuccessor(a, b, context)).toEqual(refusal("other names"));
  });

  test("M-X509-02 a certificate without a name is refused", async () => {
    const chain = await chainOf(1, { subject: "" });
    expect(await judge(chain)).toEqual(refusal("no suitable name"));
  });

  test("M-X509-03 the revocation hook sees the path and may refuse it", async () => {
    const chain = await chainOf(1);
    const seen: string[][] = [];
    const verdict = await judge(chain, {
      checkRevocation: (path, { now }) => {
        seen.push(path.map(({ attributes }) => `${attributes[0]?.value} ${now}`));
        return Promise.resolve({ reason: "stolen" });
      },
    });
    expect(verdict).toEqual({ reason: "stolen" });
    expect(seen).toEqual([[`alice ${NOW}`, `intermediate ${NOW}`, `root ${NOW}`]]);
  });

  test("clients are told apart by signature key unless a rule says otherwise", async () => {
    const chain = await chainOf(1);
    const options = { provider, roots: [chain.root.certificate] };
    expect(x509AuthenticationService(options).clientId).toBeUndefined();
    const service = x509AuthenticationService({ ...options, clientId: ({ subject }) => subject });
    const { subject } = readCertificate(chain.certificates[0]!);
    expect(service.clientId?.(identityOf(chain))).toEqual(subject);
  });
});

describe("in groups", () => {
  test("M-X509-05 Basic and X.509 members share a group", async () => {
    const chain = await chainOf(1);
    const authenticationService = x509AuthenticationService({
      provider,
      roots: [chain.root.certificate],
      otherwise: acceptAnyCredential,
    });
    const environment = testEnvironment({ authenticationService });
    const capabilities = { credentials: [1, 2] };
    const group = await TestGroup.of(["alice", "bob"], { environment, client: { capabilities } });
    const carol = await newClient("carol", {
      capabilities,
      signer: chain.signer,
      credential: x509Credential(chain.certificates),
    });
    await group.add("alice", new Map([["carol", carol]]));
    await group.commit("carol");
    expect(group.party("bob").epoch.context.epoch).toBe(3n);
  });

  test("M-X509-02 a chain to another root does not get into the group", async () => {
    const chain = await chainOf(1);
    const authenticationService = x509AuthenticationService({
      provider,
      roots: [(await newRoot(1, "other")).certificate],
      otherwise: acceptAnyCredential,
    });
    const environment = testEnvironment({ authenticationService });
    const capabilities = { credentials: [1, 2] };
    const group = await TestGroup.of(["alice"], { environment, client: { capabilities } });
    const { keyPackage } = await newClient("carol", {
      capabilities,
      signer: chain.signer,
      credential: x509Credential(chain.certificates),
    });
    const proposals = [{ type: "add", keyPackage }] as const;
    await expect(group.createCommit("alice", { proposals })).rejects.toMatchObject({
      code: "CREDENTIAL_REJECTED",
      rule: "valn0101",
    });
  });
});

describe("M-X509-04: who of a group is verified", () => {
  const named = async (
    authority: Authority,
    name: string,
    options: Partial<CertificateOptions> = {},
  ) => {
    const signer = await newSigner(1);
    const leaf = await issue(authority, { subject: name, key: signer, ...options });
    return { signer, identity: x509Credential([leaf, authority.certificate]) };
  };

  test("M-X509-04: a group tells whether all, some or none of its members are verified, before joining too", async () => {
    const root = await newRoot(1);
    const authority = await newIntermediate(root, 1);
    const stranger = await newIntermediate(await newRoot(1), 1);
    const service = x509AuthenticationService({ provider, roots: [root.certificate] });
    const context = { service, now: NOW, provider };
    const clock = (): bigint => NOW;
    const open = async (options: NewIdentityOptions): Promise<Client> => {
      const storage = memoryStorage();
      const authenticationService = acceptAnyCredential;
      return Client.create({ storage, authenticationService, provider, clock, ...options });
    };
    const alice = await open(await named(authority, "alice"));
    const group = await alice.createGroup();
    const state = async (now = NOW) => {
      const inside = await verifyMembers(group.members(), { service, now });
      const before = await verifyGroupInfo(await group.groupInfo(), { ...context, now });
      expect(before.state).toBe(inside.state);
      expect(before.unverified).toHaveLength(inside.unverified.length);
      return [inside.state, inside.unverified.map(({ leafIndex }) => leafIndex)];
    };
    const add = async (options: NewIdentityOptions): Promise<void> => {
      const client = await open(options);
      const capabilities = {
        versions: [1],
        cipherSuites: [1],
        extensions: [],
        proposals: [],
        credentials: [1, 2],
      };
      const { bytes } = await client.createKeyPackage({ capabilities });
      await group.commitImmediately({ add: [bytes] });
    };
    expect(await state()).toEqual(["verified", []]);
    await add(await named(authority, "bob", { notAfter: NOW + 100n }));
    expect(await state()).toEqual(["verified", []]);
    expect(await state(NOW + 101n)).toEqual(["notVerified", [1]]);
    await add({ identity: "carol" });
    expect(await state()).toEqual(["notVerified", [2]]);
    await add(await named(stranger, "mallory"));
    expect(await state()).toEqual(["notVerified", [2, 3]]);
    const basic = await (await open({ identity: "dave" })).createGroup();
    expect(await verifyMembers(basic.members(), context)).toMatchObject({ state: "notEnabled" });
    const info = await basic.groupInfo({ ratchetTree: false });
    await expect(verifyGroupInfo(info, context)).rejects.toMatchObject({ code: "TREE_REQUIRED" });
    const given = await verifyGroupInfo(info, context, basic.ratchetTree());
    expect(given.state).toBe("notEnabled");
  });

  test("a chain ends with the first of its certificates", async () => {
    const root = await newRoot(1);
    const authority = await newIntermediate(root, 1, { notAfter: NOW + 50n });
    const service = x509AuthenticationService({ provider, roots: [root.certificate] });
    const { signer, identity } = await named(authority, "alice", { notAfter: NOW + 100n });
    const signatureKey = signer.publicKey;
    expect(service.expiresAt?.({ credential: identity, signatureKey })).toBe(NOW + 50n);
    const credential = { type: "basic", identity: utf8("x") } as const;
    expect(service.expiresAt?.({ credential, signatureKey })).toBeUndefined();
  });
});
