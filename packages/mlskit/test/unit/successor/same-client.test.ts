/** Which leaves of two groups belong to one client. RFC 9420 §11.2, §11.3. */
import { describe, expect, test } from "vitest";
import { equalBytes, fromUtf8, utf8 } from "../../../src/codec/index.ts";
import type {
  AuthenticationService,
  Identity,
} from "../../../src/credentials/authentication-service.ts";
import { membersFromElsewhere, membersWithoutCounterpart } from "../../../src/group/same-client.ts";
import { NOW } from "../../support/environment.ts";

const GROUP = utf8("group");

/** `name` is the person, `key` the device. */
function identity(name: string, key = name): Identity {
  return { credential: { type: "basic", identity: utf8(name) }, signatureKey: utf8(key) };
}

const nameOf = ({ credential }: Identity): string =>
  credential.type === "basic" ? fromUtf8(credential.identity) : "";

/** Counts how often it is asked. */
function serviceThat(
  isSuccessor: (current: Identity, next: Identity) => boolean,
  clientId?: (identity: Identity) => Uint8Array,
) {
  const questions: string[] = [];
  const authenticationService: AuthenticationService = {
    validate: () => [],
    isSuccessor: (current, next) => {
      questions.push(`${nameOf(current)} ${nameOf(next)}`);
      return isSuccessor(current, next) ? true : { reason: "no" };
    },
    ...(clientId === undefined ? {} : { clientId }),
  };
  return { service: { authenticationService, now: NOW }, questions };
}

const sameName = (a: Identity, b: Identity): boolean => nameOf(a) === nameOf(b);

describe("successors of a whole group", () => {
  test("equal credentials cost one question each, in the order old, new", async () => {
    const { service, questions } = serviceThat(sameName);
    const old = Array.from({ length: 50 }, (_, i) => identity(`member ${i}`));
    const fresh = [...old].reverse();
    expect(await membersWithoutCounterpart(service, old, fresh, GROUP)).toEqual([]);
    expect(questions).toHaveLength(50);
  });

  test("a service may know a successor by another name", async () => {
    const { service, questions } = serviceThat((a, b) => nameOf(b) === `${nameOf(a)} the second`);
    const old = [identity("bob")];
    const fresh = [identity("alice"), identity("bob the second")];
    expect(await membersWithoutCounterpart(service, old, fresh, GROUP)).toEqual([]);
    expect(questions).toEqual(["bob alice", "bob bob the second"]);
  });

  test("each new member stands for one old member only", async () => {
    const { service } = serviceThat(sameName);
    const old = [identity("bob", "laptop"), identity("bob", "phone")];
    const missing = await membersWithoutCounterpart(service, old, [identity("bob", "new")], GROUP);
    expect(missing).toEqual([old[1]]);
  });

  test("a client id settles it without questions", async () => {
    const clientId = ({ signatureKey }: Identity) => signatureKey;
    const { service, questions } = serviceThat(() => true, clientId);
    const old = [identity("bob", "laptop"), identity("bob", "phone")];
    const fresh = [identity("robert", "laptop"), identity("bob", "other")];
    const missing = await membersWithoutCounterpart(service, old, fresh, GROUP);
    expect(missing.map(({ signatureKey }) => fromUtf8(signatureKey))).toEqual(["phone"]);
    expect(questions).toEqual([]);
  });
});

describe("members of a branch", () => {
  test("several may come from one member of the parent, strangers may not", async () => {
    const { service, questions } = serviceThat(sameName);
    const members = [identity("bob", "phone"), identity("bob", "laptop"), identity("eve")];
    const strangers = await membersFromElsewhere(service, members, [identity("bob")], GROUP);
    expect(strangers).toEqual([members[2]]);
    expect(questions.at(-1)).toBe("bob eve");
  });

  test("client ids are compared byte for byte", async () => {
    const clientId = ({ signatureKey }: Identity) => signatureKey;
    const { service } = serviceThat(() => false, clientId);
    const [phone, other] = [identity("bob", "phone"), identity("bob", "other")];
    expect(equalBytes(clientId(phone), clientId(other))).toBe(false);
    expect(await membersFromElsewhere(service, [phone, other], [phone], GROUP)).toEqual([other]);
  });
});
