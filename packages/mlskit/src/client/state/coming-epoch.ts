/** The epoch that a Commit will start, looked at before it is merged. RFC 9420 §8.5–§8.7. */
import type { Epoch } from "../../group/epoch.ts";
import { exportSecret } from "../../key-schedule/exporter.ts";

/**
 * What may be derived early, so that an application is ready when the epoch begins. Secrets are
 * behind calls: none of them is a property that printing or serialising reaches.
 */
export interface ComingEpoch {
  /** MLS-Exporter. @throws UsageError `INVALID_LENGTH` */
  export(label: string, context: Uint8Array, length: number): Uint8Array;
  epochAuthenticator(): Uint8Array;
  /** Handle with care: whoever has it can take part in groups that rely on it. */
  dangerouslyExportResumptionPsk(): Uint8Array;
}

export function comingEpoch({ crypto, secrets }: Epoch): ComingEpoch {
  return {
    export: (label, context, length) => {
      return exportSecret(crypto, secrets.exporterSecret, label, context, length);
    },
    epochAuthenticator: () => secrets.epochAuthenticator.bytes.slice(),
    dangerouslyExportResumptionPsk: () => secrets.resumptionPsk.bytes.slice(),
  };
}
