/** PSKs of application components, apart from those of others. draft-ietf-mls-extensions. */
import {
  type Codec,
  decode,
  encode,
  opaque,
  type SkipBody,
  struct,
  uint16,
} from "../codec/index.ts";
import type { CustomPskId, PreSharedKeyId } from "../key-schedule/pre-shared-key.ts";

/** The draft's PSKType. */
export const APPLICATION_PSK = 3;

/** Under what a component knows a PSK. */
export interface ApplicationPskId {
  readonly componentId: number;
  readonly pskId: Uint8Array;
}

export const ApplicationPskId: Codec<ApplicationPskId> = struct({
  componentId: uint16,
  pskId: opaque,
});

/** For `types.psks` under {@link APPLICATION_PSK}. */
export const applicationPskType: SkipBody = (reader) => void ApplicationPskId.read(reader);

/** The name of a component's PSK: for storing it, and for Commits that use it. */
export function applicationPsk(
  componentId: number,
  pskId: Uint8Array,
): Pick<CustomPskId, "pskType" | "body"> {
  return { pskType: APPLICATION_PSK, body: encode(ApplicationPskId, { componentId, pskId }) };
}

/** What a PSK callback is asked for, if it is a component's. */
export function readApplicationPsk(id: PreSharedKeyId): ApplicationPskId | undefined {
  if (id.type !== "custom" || id.pskType !== APPLICATION_PSK) return undefined;
  return decode(ApplicationPskId, id.body, "application PSK id");
}
