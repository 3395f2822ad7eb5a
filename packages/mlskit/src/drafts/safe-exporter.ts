/**
 * SafeExportSecret: a secret per component and epoch that can be had once. The exporter of the RFC can
 * be asked again, and whoever breaks in before the epoch ends learns what it gave; this one forgets.
 * draft-ietf-mls-extensions, "Exported Secrets".
 */
import { utf8 } from "../codec/index.ts";
import { accessOf, type Group } from "../client/group.ts";
import { checkSecrets } from "../client/session/session.ts";
import { Secret, type SuiteCrypto } from "../crypto/index.ts";
import { expandWithLabel } from "../crypto/labels.ts";
import { StateError, UsageError } from "../errors.ts";
import type { Epoch } from "../group/epoch.ts";
import {
  directPath,
  type NodeIndex,
  leafIndex,
  left,
  nodeOfLeaf,
  right,
  root,
} from "../tree/tree-math.ts";

/**
 * The component's secret of this epoch, KDF.Nh bytes. Durable when it returns: neither this call nor a
 * restart gives it again, before the next epoch gives another.
 *
 * @throws StateError `EXPORT_CONSUMED` if it was had before
 * @throws UsageError `INVALID_COMPONENT` for what is no uint16, `READ_ONLY` in a snapshot
 */
export async function safeExportSecret(group: Group, componentId: number): Promise<Uint8Array> {
  if (!Number.isInteger(componentId) || componentId < 0 || componentId >= LEAF_COUNT) {
    throw new UsageError("INVALID_COMPONENT", "component ids are of 16 bits");
  }
  return accessOf(group).operate(async (session) => {
    // A snapshot cannot keep the client that it was taken from from handing out the same again.
    session.requireWritable();
    checkSecrets(session.state);
    const { epoch } = session.state;
    const { secret, next, consumed } = takeComponent(epoch, componentId);
    session.state = { ...session.state, epoch: { ...epoch, ...next } };
    session.eraseLater(() => {
      for (const node of consumed) node.erase();
    });
    const bytes = secret.bytes.slice();
    secret.erase();
    return bytes;
  });
}

interface Taken {
  readonly secret: Secret;
  readonly next: Pick<Epoch, "secrets" | "exporterTree">;
  /** What may not be kept, RFC 9420 §9.2. */
  readonly consumed: readonly Secret[];
}

/** Walks down from the lowest node that is left above the leaf, keeping what lies beside the way. */
export function takeComponent(
  { crypto, secrets, exporterTree }: Pick<Epoch, "crypto" | "secrets" | "exporterTree">,
  componentId: number,
): Taken {
  const leaf = nodeOfLeaf(leafIndex(componentId));
  const { applicationExportSecret } = secrets;
  const nodes = new Map(exporterTree ?? [[root(LEAF_COUNT), applicationExportSecret]]);
  const way = [leaf, ...directPath(leaf, LEAF_COUNT)];
  const from = way.findIndex((node) => nodes.has(node));
  const top = way[from];
  const first = top === undefined ? undefined : nodes.get(top);
  if (top === undefined || first === undefined || first.length === 0) {
    throw new StateError("EXPORT_CONSUMED", "this component had its secret of the epoch", {
      details: { componentId },
    });
  }
  nodes.delete(top);
  let secret = Secret.copyOf(first.bytes);
  for (let i = from; i > 0; i--) {
    const node = way[i] as NodeIndex;
    for (const [child, label] of [
      [left(node), "left"],
      [right(node), "right"],
    ] as const) {
      if (child === undefined || child === way[i - 1]) continue;
      nodes.set(child, childSecret(crypto, secret, label));
    }
    const next = childSecret(crypto, secret, (way[i - 1] as number) < node ? "left" : "right");
    secret.erase();
    secret = next;
  }
  const spent =
    exporterTree === undefined ? new Secret(new Uint8Array(0)) : applicationExportSecret;
  return {
    secret,
    next: { secrets: { ...secrets, applicationExportSecret: spent }, exporterTree: nodes },
    consumed: [first],
  };
}

/** tree_node_[child]_secret = ExpandWithLabel(parent, "tree", "left" or "right", KDF.Nh), RFC 9420 §9. */
function childSecret(crypto: SuiteCrypto, parent: Secret, side: "left" | "right"): Secret {
  const { size } = crypto.suite.kdf;
  return new Secret(expandWithLabel(crypto, parent.bytes, "tree", utf8(side), size));
}

/** One for each component id. */
const LEAF_COUNT = 2 ** 16;
