/** Looking into Welcomes from outside, with the private keys that servers show. RFC 9420 §12.4.3.1. */
import { defaultProvider } from "mlskit";
import { EMPTY, hex, sameBytes } from "../bytes.ts";
import {
  codec,
  groupInfos,
  keySchedule,
  labels,
  preSharedKeys,
  references,
  secrets,
  welcomes,
} from "../internals.ts";
import { decodeQuietly } from "./decode-quietly.ts";
import type { World } from "./world.ts";

export interface WelcomeContents {
  readonly hasPathSecret: boolean;
  /** Undefined if a PSK is missing here. */
  readonly hasTree: boolean | undefined;
}

const provider = defaultProvider();
export const RATCHET_TREE = 2;

/** Undefined if the keys are not known or the Welcome is not for them. */
export async function openedWelcome(
  world: World,
  joiner: string,
  bytes: Uint8Array,
): Promise<WelcomeContents | undefined> {
  const keys = world.keys.get(joiner);
  if (keys === undefined) return undefined;
  const [message, keyPackage] = [decodeQuietly(bytes), decodeQuietly(keys.keyPackage)];
  if (message?.wireFormat !== "welcome" || keyPackage?.wireFormat !== "keyPackage") {
    return undefined;
  }
  const { cipherSuite, secrets: entries, encryptedGroupInfo } = message.message;
  const crypto = provider.suite(cipherSuite);
  const reference = references.keyPackageRef(crypto, keyPackage.message);
  const entry = entries.find(({ newMember }) => sameBytes(newMember, reference));
  if (entry === undefined) return undefined;
  let plain: Uint8Array;
  try {
    const { encryptedGroupSecrets } = entry;
    const { initKey } = keys;
    plain = await labels.decryptWithLabel(
      crypto,
      initKey,
      "Welcome",
      encryptedGroupInfo,
      encryptedGroupSecrets,
    );
  } catch {
    // Whether the joiner can open it is for the joiner to say: the driver only wanted to look.
    world.report(joiner, false, "showed an init key that does not open the Welcome");
    return undefined;
  }
  const opened = codec.decode(welcomes.GroupSecrets, plain, "GroupSecrets");
  const hasPathSecret = opened.pathSecret !== undefined;
  const psks: Parameters<typeof preSharedKeys.pskSecret>[1][number][] = [];
  for (const id of opened.psks) {
    const psk = id.type === "external" ? world.psks.get(hex(id.pskId)) : undefined;
    if (psk === undefined) return { hasPathSecret, hasTree: undefined };
    psks.push({ id, secret: secrets.Secret.copyOf(psk) });
  }
  const joinerSecret = secrets.Secret.copyOf(opened.joinerSecret);
  const psk = preSharedKeys.pskSecret(crypto, psks);
  const member = keySchedule.memberSecret(crypto, joinerSecret, psk);
  const { key, nonce } = keySchedule.welcomeKey(crypto, member);
  const plaintext = crypto.aeadOpen(key, nonce, EMPTY, encryptedGroupInfo);
  const groupInfo = codec.decode(groupInfos.GroupInfo, plaintext, "GroupInfo");
  const hasTree = groupInfo.extensions.some(({ type }) => type === RATCHET_TREE);
  return { hasPathSecret, hasTree };
}
