import { expect, test } from "vitest";
import {
  Client,
  createSigner,
  defaultProvider,
  KeyDirectory,
  memoryStorage,
  type Signer,
} from "../../../src/index.ts";

test("a signature of our own counts as verified only when it was: a signer may err", async () => {
  const crypto = defaultProvider().suite(1);
  const keys = await crypto.generateSignatureKeyPair();
  const good = createSigner(crypto, keys);
  let errs = false;
  const signer: Signer = {
    publicKey: good.publicKey,
    scheme: good.scheme,
    sign: async (message) => {
      const signature = await good.sign(message);
      const isLeaf = Buffer.from(message).includes("LeafNodeTBS");
      return errs && isLeaf ? signature.map((byte) => byte ^ 1) : signature;
    },
  };
  const storage = memoryStorage();
  const options = { storage, signer, authenticationService: new KeyDirectory(), identity: "alice" };
  const client = await Client.create(options);
  options.authenticationService.add(client.identity);
  const group = await client.createGroup();
  errs = true;
  await expect(group.proposeUpdate()).rejects.toMatchObject({
    code: "SIGNATURE_INVALID",
    rule: "valn0102",
  });
  expect(group.pendingProposals).toHaveLength(0);
  errs = false;
  await group.proposeUpdate();
  expect(group.pendingProposals).toHaveLength(1);
});
