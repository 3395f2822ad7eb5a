/** Generates the formats below the tree: arithmetic, primitives, key derivation. */
import { encode, toHex, Writer } from "../../../src/codec/index.ts";
import {
  createSigner,
  deriveSecret,
  deriveTreeSecret,
  encryptWithLabel,
  expandWithLabel,
  refHash,
  Secret,
  signWithLabel,
} from "../../../src/crypto/index.ts";
import { senderDataKey } from "../../../src/framing/private-message.ts";
import { exportSecret } from "../../../src/key-schedule/exporter.ts";
import { externalKeyPair } from "../../../src/key-schedule/external-init.ts";
import { GroupContext } from "../../../src/key-schedule/group-context.ts";
import {
  epochSecrets,
  joinerSecret,
  memberSecret,
} from "../../../src/key-schedule/key-schedule.ts";
import { pskSecret } from "../../../src/key-schedule/pre-shared-key.ts";
import { SecretTree } from "../../../src/secret-tree/secret-tree.ts";
import {
  left,
  nodeCount,
  nodeIndex,
  parent,
  right,
  root,
  sibling,
} from "../../../src/tree/tree-math.ts";
import { DEFAULT_LIMITS } from "../../../src/group/environment.ts";
import type { Source } from "./random.ts";

export function treeMathCases(): unknown[] {
  return [1, 2, 4, 8, 16, 32, 64].map((leaves) => {
    const nodes = [...new Array<undefined>(nodeCount(leaves)).keys()].map(nodeIndex);
    return {
      n_leaves: leaves,
      n_nodes: nodes.length,
      root: root(leaves),
      left: nodes.map((node) => left(node) ?? null),
      right: nodes.map((node) => right(node) ?? null),
      parent: nodes.map((node) => parent(node, leaves) ?? null),
      sibling: nodes.map((node) => sibling(node, leaves) ?? null),
    };
  });
}

/** Both sides of every boundary. */
export function deserializationCases(): unknown[] {
  return [0, 1, 0x3f, 0x40, 0xff, 0x3fff, 0x4000, 0xffff, 0x10000, 0x3fff_ffff].map((length) => {
    const writer = new Writer();
    writer.vectorLength(length);
    return { vlbytes_header: toHex(writer.finish()), length };
  });
}

export async function cryptoBasicsCase({ crypto, random }: Source): Promise<unknown> {
  const hex = (length: number): [Uint8Array, string] => {
    const bytes = random(length);
    return [bytes, toHex(bytes)];
  };
  const size = crypto.suite.kdf.size;
  const [value, valueHex] = hex(70);
  const [secret, secretHex] = hex(size);
  const [context, contextHex] = hex(33);
  const [content, contentHex] = hex(100);
  const generation = 0xfedc_ba98;
  const length = size + 20;
  const keys = await crypto.generateSignatureKeyPair();
  const signature = await signWithLabel(createSigner(crypto, keys), "SignWithLabel", content);
  const kem = await crypto.generateKeyPair();
  const label = "EncryptWithLabel";
  const sealed = await encryptWithLabel(crypto, kem.publicKey, label, context, content);
  return {
    cipher_suite: crypto.suite.id,
    ref_hash: { label: "RefHash", value: valueHex, out: toHex(refHash(crypto, "RefHash", value)) },
    expand_with_label: {
      secret: secretHex,
      label: "ExpandWithLabel",
      context: contextHex,
      length,
      out: toHex(expandWithLabel(crypto, secret, "ExpandWithLabel", context, length)),
    },
    derive_secret: {
      secret: secretHex,
      label: "DeriveSecret",
      out: toHex(deriveSecret(crypto, secret, "DeriveSecret")),
    },
    derive_tree_secret: {
      secret: secretHex,
      label: "DeriveTreeSecret",
      generation,
      length: 24,
      out: toHex(deriveTreeSecret(crypto, secret, "DeriveTreeSecret", generation, 24)),
    },
    sign_with_label: {
      priv: toHex(keys.privateKey),
      pub: toHex(keys.publicKey),
      content: contentHex,
      label: "SignWithLabel",
      signature: toHex(signature),
    },
    encrypt_with_label: {
      priv: toHex(kem.privateKey),
      pub: toHex(kem.publicKey),
      label,
      context: contextHex,
      plaintext: contentHex,
      kem_output: toHex(sealed.kemOutput),
      ciphertext: toHex(sealed.ciphertext),
    },
  };
}

/** Sizes that are no power of two, which the official files do not have. */
export function secretTreeCases({ crypto, random }: Source): unknown[] {
  const size = crypto.suite.kdf.size;
  return [1, 3, 5, 6].map((leaves) => {
    const [senderDataSecret, encryptionSecret] = [random(size), random(size)];
    const ciphertext = random(size + 13);
    const senderData = senderDataKey(crypto, new Secret(senderDataSecret), ciphertext);
    const root = Secret.copyOf(encryptionSecret);
    const tree = SecretTree.fromEncryptionSecret(crypto, leaves, root);
    const keysOf = (leaf: number, generation: number): unknown => {
      const keyOf = (kind: "handshake" | "application"): [string, string] => {
        const prepared = tree.prepareReceive(leaf, kind, generation, DEFAULT_LIMITS);
        const { key, nonce } = prepared.messageKey;
        return [toHex(key.bytes), toHex(nonce.bytes)];
      };
      const [handshakeKey, handshakeNonce] = keyOf("handshake");
      const [applicationKey, applicationNonce] = keyOf("application");
      return {
        generation,
        handshake_key: handshakeKey,
        handshake_nonce: handshakeNonce,
        application_key: applicationKey,
        application_nonce: applicationNonce,
      };
    };
    return {
      cipher_suite: crypto.suite.id,
      sender_data: {
        sender_data_secret: toHex(senderDataSecret),
        ciphertext: toHex(ciphertext),
        key: toHex(senderData.key),
        nonce: toHex(senderData.nonce),
      },
      encryption_secret: toHex(encryptionSecret),
      leaves: [...new Array<undefined>(leaves).keys()].map((leaf) => {
        return [0, 1, 7].map((generation) => keysOf(leaf, generation));
      }),
    };
  });
}

/** Three epochs, the last of them without PSKs. */
export async function keyScheduleCase({ crypto, random }: Source): Promise<unknown> {
  const size = crypto.suite.kdf.size;
  const groupId = random(17);
  const initial = random(size);
  let init = new Secret(initial);
  const epochs: unknown[] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    const [treeHash, confirmedTranscriptHash] = [random(size), random(size)];
    const commitSecret = random(size);
    const psk = epoch === 2 ? new Uint8Array(size) : random(size);
    const context = encode(GroupContext, {
      version: 1,
      cipherSuite: crypto.suite.id,
      groupId,
      epoch: BigInt(epoch),
      treeHash,
      confirmedTranscriptHash,
      extensions: [],
    });
    const joiner = joinerSecret(crypto, init, new Secret(commitSecret), context);
    const member = memberSecret(crypto, joiner, new Secret(psk));
    const all = epochSecrets(crypto, member, context);
    const exporterContext = random(9);
    const exported = exportSecret(crypto, all.exporterSecret, "own label", exporterContext, 40);
    epochs.push({
      tree_hash: toHex(treeHash),
      commit_secret: toHex(commitSecret),
      psk_secret: toHex(psk),
      confirmed_transcript_hash: toHex(confirmedTranscriptHash),
      group_context: toHex(context),
      joiner_secret: toHex(joiner.bytes),
      welcome_secret: toHex(deriveSecret(crypto, member.bytes, "welcome")),
      init_secret: toHex(all.initSecret.bytes),
      sender_data_secret: toHex(all.senderDataSecret.bytes),
      encryption_secret: toHex(all.encryptionSecret.bytes),
      exporter_secret: toHex(all.exporterSecret.bytes),
      epoch_authenticator: toHex(all.epochAuthenticator.bytes),
      external_secret: toHex(all.externalSecret.bytes),
      confirmation_key: toHex(all.confirmationKey.bytes),
      membership_key: toHex(all.membershipKey.bytes),
      resumption_psk: toHex(all.resumptionPsk.bytes),
      external_pub: toHex((await externalKeyPair(crypto, all.externalSecret)).publicKey),
      exporter: {
        label: "own label",
        context: toHex(exporterContext),
        length: 40,
        secret: toHex(exported),
      },
    });
    init = all.initSecret;
  }
  return {
    cipher_suite: crypto.suite.id,
    group_id: toHex(groupId),
    initial_init_secret: toHex(initial),
    epochs,
  };
}

export function pskSecretCases({ crypto, random }: Source): unknown[] {
  return [0, 1, 3].map((count) => {
    const psks = [...new Array<undefined>(count).keys()].map((i) => ({
      pskId: random(5 + i),
      psk: random(crypto.suite.kdf.size - i),
      nonce: random(crypto.suite.kdf.size),
    }));
    const keys = psks.map(({ pskId, psk, nonce }) => {
      const id = { type: "external", pskId, nonce } as const;
      return { id, secret: new Secret(psk) };
    });
    return {
      cipher_suite: crypto.suite.id,
      psks: psks.map(({ pskId, psk, nonce }) => {
        return { psk_id: toHex(pskId), psk: toHex(psk), psk_nonce: toHex(nonce) };
      }),
      psk_secret: toHex(pskSecret(crypto, keys).bytes),
    };
  });
}
