/** What went wrong elsewhere with encoding and decoding. RFC 9420 §2.1, §13. */
import { describe, expect, test } from "vitest";
import {
  concat,
  decode,
  encode,
  fromHex,
  MAX_UINT64,
  opaque,
  Reader,
  uint64,
  utf8,
  Writer,
} from "../../src/codec/index.ts";
import { DecodeError } from "../../src/errors.ts";
import {
  Extensions,
  ExternalSenders,
  RequiredCapabilities,
  withExtension,
} from "../../src/extensions/extension.ts";
import { decodeMlsMessage, encodeMlsMessage } from "../../src/framing/mls-message.ts";
import { KeyPackage } from "../../src/key-packages/key-package.ts";
import { PreSharedKeyId } from "../../src/key-schedule/pre-shared-key.ts";
import { Proposal } from "../../src/messages/proposal.ts";
import { Welcome } from "../../src/messages/welcome.ts";
import { Lifetime, RatchetTreeNodes } from "../../src/tree/nodes.ts";
import { expectRule } from "../support/assertions.ts";
import { forgeMessage } from "../support/forge.ts";
import { EXTENDED, knowing, ABLE } from "../support/forge-lists.ts";
import { newClient, newSigner } from "../support/parties.ts";
import { TestGroup } from "../support/test-group.ts";

describe("codec-1 lengths at the edges of their headers", () => {
  const edges: readonly [number, string][] = [
    [0, "00"],
    [0x3f, "3f"],
    [0x40, "4040"],
    [0x3fff, "7fff"],
    [0x4000, "80004000"],
    [0x3fff_ffff, "bfffffff"],
  ];
  test.each(edges)("%i has the header %s and no other", (length, header) => {
    const writer = new Writer();
    writer.vectorLength(length);
    expect(writer.finish()).toEqual(fromHex(header));
    const reader = new Reader(fromHex(header));
    expect(reader.vectorLength()).toBe(length);
    expect(reader.remaining).toBe(0);
  });

  test.each([0x3f, 0x40, 0x3fff, 0x4000])("%i bytes come back", (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => i);
    expect(decode(opaque, encode(opaque, bytes))).toEqual(bytes);
    const inVector = new Writer();
    inVector.vector((writer) => writer.bytes(bytes));
    expect(inVector.finish()).toEqual(encode(opaque, bytes));
  });

  test("one more than the largest is not written", () => {
    expect(() => new Writer().vectorLength(0x4000_0000)).toThrow(/2\^30/);
  });
});

describe("codec-4 a type occurs once in a list of extensions", () => {
  const pair = [
    { type: 0x0a0a, data: utf8("one") },
    { type: 0x0a0a, data: utf8("two") },
  ];

  test("whoever writes or reads it", async () => {
    await expectRule(() => encode(Extensions, pair), "mk-15");
    const list = concat(...pair.map(({ data }) => concat(fromHex("0a0a"), encode(opaque, data))));
    await expectRule(() => decode(Extensions, encode(opaque, list)), "mk-15");
  });

  test("putting one in again replaces it", () => {
    const [first, second] = pair;
    const list = withExtension(withExtension([], first!), second!);
    expect(list).toEqual([second]);
  });
});

describe("codec-5 what bytes announce costs nothing", () => {
  test("four bytes that promise a gigabyte are refused before anything is allocated", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const codecs = [opaque, Extensions, RatchetTreeNodes, ExternalSenders] as const;
    for (let i = 0; i < 1000; i++) {
      for (const codec of codecs) {
        expect(() => decode<unknown>(codec, fromHex("bfffffff"))).toThrow(DecodeError);
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
    await expectRule(() => decode(Welcome, fromHex("0001bfffffff")), "mk-03");
  });

  test("twice the input is decoded in about twice the time", () => {
    const list = (length: number): Uint8Array =>
      encode(
        Extensions,
        Array.from({ length }, (_, type) => ({ type, data: utf8("x") })),
      );
    const cost = (bytes: Uint8Array): number => {
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 5; i++) {
        const start = process.cpuUsage();
        decode(Extensions, bytes);
        const { user, system } = process.cpuUsage(start);
        least = Math.min(least, user + system);
      }
      return least;
    };
    cost(list(1000));
    // Sixteen times as much; were it quadratic, it would be 256 times as long.
    expect(cost(list(0xffff))).toBeLessThan(100 * Math.max(200, cost(list(0xfff))));
  });
});

describe("codec-6 there is one grammar", () => {
  test("bare structures are no messages, and messages no bare structures", async () => {
    const { keyPackage } = await newClient("alice");
    const message = encodeMlsMessage({ wireFormat: "keyPackage", message: keyPackage });
    expect(() => decodeMlsMessage(keyPackage.encoded)).toThrow();
    expect(() => decode(KeyPackage, message)).toThrow();
  });

  test("fixed-size length headers of other versions of the protocol are not understood", () => {
    // TLS presentation language: uint16 length, then the bytes.
    expect(() => decode(opaque, concat(fromHex("0003"), utf8("abc")))).toThrow(DecodeError);
    expect(() => decode(opaque, concat(fromHex("00000003"), utf8("abc")))).toThrow(DecodeError);
  });
});

describe("codec-7 shapes that are easily mistaken", () => {
  test("required_capabilities is three vectors", async () => {
    const body = encode(RequiredCapabilities, {
      extensionTypes: [0x1111],
      proposalTypes: [],
      credentialTypes: [1, 2],
    });
    expect(body).toEqual(fromHex("02111100" + "0400010002"));
    // Capabilities have versions and suites in front.
    const five = concat(fromHex("020001020001"), body);
    await expectRule(() => decode(RequiredCapabilities, five), "mk-04");
  });

  test.each([1, 2, 5])("external_senders holds keys of suite %i", async (suite) => {
    const { publicKey } = await newSigner(suite);
    const senders = [
      { signatureKey: publicKey, credential: { type: "basic", identity: utf8("service") } },
    ] as const;
    const body = encode(ExternalSenders, senders);
    expect(decode(ExternalSenders, body)).toEqual(senders);
    const inner = concat(
      encode(opaque, publicKey),
      fromHex("0001"),
      encode(opaque, utf8("service")),
    );
    expect(body).toEqual(encode(opaque, inner));
  });

  test("extension lists in proposals have a length of their own", () => {
    const proposal = { type: "groupContextExtensions", extensions: EXTENDED } as const;
    const item = concat(fromHex("1111"), encode(opaque, utf8("on")));
    expect(encode(Proposal, proposal)).toEqual(concat(fromHex("0007"), encode(opaque, item)));
    const reInit = {
      type: "reInit",
      groupId: utf8("g"),
      version: 1,
      cipherSuite: 1,
      extensions: EXTENDED,
    } as const;
    expect(encode(Proposal, reInit)).toEqual(
      concat(fromHex("0005016700010001"), encode(opaque, item)),
    );
  });
});

describe("codec-9 what was decoded stands alone", () => {
  test("a caller that uses its buffer again changes nothing", async () => {
    const group = await TestGroup.of(["alice", "bob"], { client: ABLE, environment: knowing() });
    const bytes = await group.send("alice", "hello");
    const buffer = bytes.slice();
    const decoded = decodeMlsMessage(buffer);
    buffer.fill(0);
    expect(encodeMlsMessage(decoded)).toEqual(bytes);
    const { keyPackage } = await newClient("carol");
    const copy = keyPackage.encoded.slice();
    const again = decode(KeyPackage, copy);
    copy.fill(0);
    expect(again).toEqual(keyPackage);
  });

  test("a view into a larger, pooled buffer is read from its own beginning", async () => {
    const group = await TestGroup.of(["alice", "bob"]);
    const content = { contentType: "application", applicationData: utf8("hello") } as const;
    const bytes = await forgeMessage(group.party("alice"), content, {
      wireFormat: "privateMessage",
    });
    const pooled = Buffer.alloc(bytes.length + 32, 0xff);
    pooled.set(bytes, 17);
    const view = pooled.subarray(17, 17 + bytes.length);
    expect(view.byteOffset).not.toBe(0);
    const received = await group.party("bob").receive(view);
    expect(received).toMatchObject({ kind: "application" });
    const { message } = decodeMlsMessage(view);
    if (!("ciphertext" in message)) throw new Error("a PrivateMessage was expected");
    expect(message.ciphertext.buffer).not.toBe(pooled.buffer);
    expect(message.ciphertext.buffer.byteLength).toBeLessThanOrEqual(bytes.length);
  });
});

describe("codec-10 64-bit fields", () => {
  const values = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, MAX_UINT64];
  test.each(values)("keep %i", (value) => {
    const bytes = encode(uint64, value);
    expect(bytes).toEqual(fromHex(value.toString(16).padStart(16, "0")));
    expect(decode(uint64, bytes)).toBe(value);
    const lifetime = { notBefore: value, notAfter: value };
    expect(decode(Lifetime, encode(Lifetime, lifetime))).toEqual(lifetime);
    const id: PreSharedKeyId = {
      type: "resumption",
      usage: "application",
      groupId: utf8("g"),
      epoch: value,
      nonce: utf8("n"),
    };
    expect(decode(PreSharedKeyId, encode(PreSharedKeyId, id))).toEqual(id);
  });
});
