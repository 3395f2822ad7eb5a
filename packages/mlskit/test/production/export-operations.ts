/** Operations beside the classes: secrets that are handed out, and the way to a successor. */
import { continueSuccession } from "../../src/production/index.ts";
import { fromUtf8 } from "../../src/codec/index.ts";
import { safeExportSecret } from "../../src/drafts/index.ts";
import { MlsError } from "../../src/errors.ts";
import { deleteExporterSecret, exportReceivingKey, exportSendingKey } from "../../src/index.ts";
import { inGroup, type Operation } from "./operation.ts";
import { closedGroup } from "./operations.ts";

export const EXPORT_OPERATIONS: readonly Operation[] = [
  inGroup("hand out the secret of a component", async () => (group) => safeExportSecret(group, 7)),
  inGroup("hand out the secret of a second component", async (world, id) => {
    await safeExportSecret(await world.alice.group(id), 7);
    return (group) => safeExportSecret(group, 8);
  }),
  inGroup("delete the exporter secret", async () => (group) => deleteExporterSecret(group)),
  inGroup("hand out a sending key", async () => (group) => exportSendingKey(group)),
  inGroup("hand out a receiving key", async (world, id) => {
    const { ownLeafIndex: leafIndex } = await world.client("bob").group(id);
    return (group) => exportReceivingKey(group, { leafIndex, generation: 2 });
  }),
  {
    name: "continue a succession",
    again: true,
    prepare: async (world) => {
      const { id } = await closedGroup(world, "next");
      const packages = new Map<string, Uint8Array>();
      for (const name of ["bob", "carol"] as const)
        packages.set(name, await world.keyPackage(name));
      return (now) =>
        continueSuccession(now.alice, id, {
          patience: 0,
          keyPackage: ({ identity }) => packages.get(fromUtf8(identity!)),
          deliver: async ({ welcomes }) => {
            for (const name of ["bob", "carol"] as const) {
              const joining = now.clients.get(name)?.join(welcomes[0]!.bytes);
              await joining?.catch((error: unknown) => {
                // The Welcomes may come twice.
                if (!MlsError.is(error, "GROUP_EXISTS")) throw error;
              });
            }
          },
        });
    },
  },
];
