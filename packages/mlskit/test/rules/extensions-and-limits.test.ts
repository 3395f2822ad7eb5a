/** Rules of section 1 that are applied where something is used: bodies, ceilings, certificates. */
import { describe, test } from "vitest";
import { fromHex, utf8 } from "../../src/codec/index.ts";
import { Secret } from "../../src/crypto/index.ts";
import { type Extension, ExternalSenders, makeExtension } from "../../src/extensions/extension.ts";
import { DEFAULT_LIMITS } from "../../src/group/environment.ts";
import { pskSecret } from "../../src/key-schedule/pre-shared-key.ts";
import type { Proposal } from "../../src/messages/proposal.ts";
import { agree, expectRule, refusedByAll, refuses } from "../support/assertions.ts";
import { testEnvironment } from "../support/environment.ts";
import { forgeCommit, forgeWelcome } from "../support/forge.ts";
import {
  capabilitiesFor,
  type ClientOptions,
  join,
  newClient,
  newSigner,
  provider,
} from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";
import {
  believed,
  notAdded,
  outsider,
  refusedAsAdd,
  refusedAsPath,
  refusedAsTree,
  refusedAsUpdate,
} from "./carriers.ts";
import { certificateFor } from "./certificates.ts";

const NAMES = ["alice", "bob", "carol"];
const limited = (changes: Partial<typeof DEFAULT_LIMITS>) =>
  testEnvironment({ limits: { ...DEFAULT_LIMITS, ...changes } });

/** So many ids of external PSKs. */
function pskIds(count: number): readonly Extract<Proposal, { type: "psk" }>["psk"][] {
  return Array.from({ length: count }, (_, i) => {
    const pskId = utf8(`psk ${i}`);
    return { type: "external", pskId, nonce: new Uint8Array(32).fill(1) };
  });
}

describe("ceilings", () => {
  test("mk-14 [D] a Commit with more proposals than are accepted", async () => {
    const group = await TestGroup.of(NAMES);
    const psks = pskIds(3).map((psk): Proposal => ({ type: "psk", psk }));
    const { bytes } = await forgeCommit(group.party("alice"), { proposals: psks });
    const bob = group.party("bob");
    bob.environment = limited({ maximumProposalsPerCommit: 2 });
    await refuses(bob, () => bob.receive(bytes), "mk-14");
  });

  test("mk-14 [D] a Commit or a Welcome with more PSKs than PSKLabel can count", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const ids = pskIds(0x10000);
    const proposals = ids.map((psk): Proposal => ({ type: "psk", psk }));
    const { bytes } = await forgeCommit(group.party("alice"), { proposals });
    const bob = group.party("bob");
    await refuses(bob, () => bob.receive(bytes), "mk-14");
    const dave = await newClient("dave");
    const welcome = await forgeWelcome(group.party("alice").epoch, {
      joiners: [dave],
      alterSecrets: (secrets) => ({ ...secrets, psks: ids }),
    });
    await refuses(dave, () => join(welcome.bytes, [dave], testEnvironment()), "mk-14");
  });

  test("mk-14 [D] a Welcome for more joiners than are accepted", async () => {
    const group = await TestGroup.of(["alice"]);
    const joiners = [await newClient("dave"), await newClient("erin")];
    const { bytes } = await forgeWelcome(group.party("alice").epoch, { joiners });
    const environment = limited({ maximumWelcomeSecrets: 1 });
    await refuses(joiners, () => join(bytes, joiners, environment), "mk-14");
  });

  test("mk-14 [C] no key schedule is computed with more PSKs than can be counted", async () => {
    const secret = new Secret(new Uint8Array(32));
    const psks = pskIds(0x10000).map((id) => ({ id, secret }));
    await expectRule(() => pskSecret(provider.suite(1), psks), "mk-14", { as: "USE" });
  });

  test("mk-14 [CD] ok: as many as are accepted", async () => {
    const secret = new Secret(utf8("secret"));
    const environment = {
      ...limited({ maximumProposalsPerCommit: 2, maximumWelcomeSecrets: 2 }),
      psks: () => secret,
    };
    const group = await TestGroup.of(NAMES, { environment });
    const proposals = pskIds(2).map((psk): Proposal => ({ type: "psk", psk }));
    await group.commit("alice", { proposals });
    await agree(group);
  });
});

describe("bodies of known extensions", () => {
  /** required_capabilities with five lists, one byte too many, one too few. */
  const BAD_REQUIRED = ["0000000000", "00000001", "0000"].map((hex) => ({
    type: 3,
    data: fromHex(hex),
  }));
  const BAD_ID: Extension = { type: 1, data: fromHex("0261") };
  const BAD_SENDERS: Extension = { type: 5, data: fromHex("0100") };

  test("mk-16 [C] none is put into a group, a leaf or a proposal of ours", async () => {
    const group = await TestGroup.of(NAMES);
    for (const extension of [...BAD_REQUIRED, BAD_SENDERS]) {
      const proposals = [{ type: "groupContextExtensions", extensions: [extension] } as const];
      await refuses(
        group.party("alice"),
        () => group.createCommit("alice", { proposals }),
        "mk-16",
      );
    }
    await expectRule(() => newClient("alice", { leafExtensions: [BAD_ID] }), "mk-16");
  });

  test("mk-16 [D] none is accepted in a Commit or in a leaf", async () => {
    const group = await TestGroup.of(NAMES);
    for (const extension of [...BAD_REQUIRED, BAD_SENDERS]) {
      const proposals = [{ type: "groupContextExtensions", extensions: [extension] } as const];
      const { bytes } = await forgeCommit(group.party("alice"), { proposals });
      await refusedByAll(group, "alice", bytes, "mk-16");
    }
    const leaf = { extensions: [BAD_ID] };
    await refusedAsAdd(group, await outsider({ leaf }), "mk-16");
    await refusedAsTree({ bob: { leaf } }, "mk-16");
  });

  test("mk-16 [D] nor in the GroupContext or the GroupInfo of a group that is joined", async () => {
    for (const extension of [...BAD_REQUIRED, BAD_SENDERS]) {
      await refusedAsTree({ context: { extensions: [extension] } }, "mk-16");
    }
    const group = await TestGroup.of(["alice"]);
    const info = await group.groupInfo("alice", { externalPub: false });
    const extensions = [...info.extensions, { type: 4, data: fromHex("020102ff") }];
    const groupInfo = { ...info, extensions };
    const client = await newClient("dave");
    await expectRule(() => group.createExternalJoin(client, { groupInfo }), "mk-16");
  });

  test("mk-16 [CD] ok: whole bodies, also of types that are not known here", async () => {
    const senders = [{ signatureKey: (await newSigner()).publicKey, credential: basic("ds") }];
    const extensions = [
      makeExtension(5, ExternalSenders, senders),
      { type: 3, data: fromHex("000000") },
    ];
    const client: ClientOptions = { leafExtensions: [{ type: 1, data: fromHex("0161") }] };
    const group = await TestGroup.of(NAMES, { client });
    await group.commit("alice", { proposals: [{ type: "groupContextExtensions", extensions }] });
    await agree(group);
  });
});

describe("certificates", () => {
  const listing = { capabilities: { credentials: [1, 2] } };
  const x509 = (...certificates: Uint8Array[]) => ({ type: "x509", certificates }) as const;

  /** No chain, no certificate, a truncated one, and one for another key. */
  async function badChains(key: Uint8Array): Promise<ReturnType<typeof x509>[]> {
    const other = (await newSigner()).publicKey;
    const good = certificateFor(key);
    return [
      x509(),
      x509(utf8("this is no certificate")),
      x509(good.subarray(0, -1)),
      x509(certificateFor(other), good),
    ];
  }
  const capabilities = { ...capabilitiesFor(1), credentials: [1, 2] };

  test("mk-17 [CRO] a chain for another key, in Add, Update and path", async () => {
    const group = await TestGroup.of(NAMES, { client: listing });
    for (const credential of await badChains((await newSigner()).publicKey)) {
      const leaf = { credential, capabilities };
      const client = await outsider({ leaf });
      await notAdded(group, client, "mk-17");
      await refusedAsAdd(group, client, "mk-17");
      await refusedAsUpdate(group, { changes: leaf }, "mk-17");
      await refusedAsPath(group, leaf, "mk-17");
    }
  });

  test("mk-17 [C] we neither sign such a leaf nor start a group with such a sender", async () => {
    const signer = await newSigner();
    for (const credential of await badChains(signer.publicKey)) {
      const make = () => newClient("alice", { ...listing, credential, signer });
      await expectRule(make, "mk-17", { as: "USE" });
      const senders = [{ signatureKey: signer.publicKey, credential }];
      const extensions = [makeExtension(5, ExternalSenders, senders)];
      await expectRule(() => TestGroup.of(["alice"], { extensions }), "mk-17");
    }
  });

  test("mk-17 [JXO] a chain for another key in a tree, or beside an external sender", async () => {
    const signer = await newSigner();
    for (const credential of await badChains(signer.publicKey)) {
      const bob = { leaf: { credential, capabilities } };
      await refusedAsTree({ bob, client: listing }, "mk-17");
      const senders = [{ signatureKey: signer.publicKey, credential }];
      const extensions = [makeExtension(5, ExternalSenders, senders)];
      await refusedAsTree({ context: { extensions } }, "mk-17");
    }
  });

  test.each([1, 2])(
    "mk-17 [CRJXO] ok: the chain is for the leaf's key, suite %i",
    async (suite) => {
      const client = async (name: string) => {
        const signer = await newSigner(suite);
        const credential = x509(certificateFor(signer.publicKey), utf8("whatever issued it"));
        return newClient(name, { ...listing, suite, signer, credential });
      };
      const group = await TestGroup.of(NAMES, { suite, client: listing });
      await group.add("alice", new Map([["dave", await client("dave")]]));
      await group.commit("dave");
      await group.externalJoin("erin", await client("erin"));
      await agree(group);
      await believed({ client: listing });
    },
  );
});

function basic(name: string): { readonly type: "basic"; readonly identity: Uint8Array } {
  return { type: "basic", identity: utf8(name) };
}
