import { expect, test } from "vitest";
import {
  Client,
  createSigner,
  defaultProvider,
  KeyDirectory,
  memoryStorage,
  type Signer,
} from "../../../src/index.ts";

test("a signer that errs is noticed before anybody else does, and can be asked again", async () => {
  const crypto = defaultProvider().suite(1);
  const good = createSigner(crypto, await crypto.generateSignatureKeyPair());
  let errs = false;
  const signer: Signer = {
    publicKey: good.publicKey,
    scheme: good.scheme,
    sign: async (message) => {
      const signature = await good.sign(message);
      return errs ? signature.map((byte) => byte ^ 1) : signature;
    },
  };
  const storage = memoryStorage();
  const options = { storage, signer, authenticationService: new KeyDirectory(), identity: "alice" };
  const client = await Client.create(options);
  options.authenticationService.add(client.identity);
  const group = await client.createGroup();
  for (const operation of [
    () => client.createKeyPackage(),
    () => group.send("hello"),
    () => group.update(),
    () => group.proposeUpdate(),
  ]) {
    const before = await storage.list("");
    errs = true;
    await expect(operation()).rejects.toMatchObject({ code: "PROVIDER_FAILED" });
    expect(await storage.list("")).toEqual(before);
    errs = false;
    await operation();
    if (group.pendingCommit !== undefined) await group.discardCommit();
  }
});
