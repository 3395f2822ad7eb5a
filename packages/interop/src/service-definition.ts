/** The service as gRPC wants it, loaded from its description at run time. */
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const path = fileURLToPath(new URL("../proto/mls_client.proto", import.meta.url));

/** Of both sides. */
export const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  // Trees and Welcomes of large groups are larger than gRPC's default of 4 MB.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // A server that was just started listens a little later, not a whole second.
  "grpc.initial_reconnect_backoff_ms": 100,
};

/** Methods by name. */
export function serviceDefinition(): grpc.ServiceDefinition {
  return mlsClient().service;
}

/** Makes connections to servers. */
export function clientConstructor(): grpc.ServiceClientConstructor {
  return mlsClient();
}

function mlsClient(): grpc.ServiceClientConstructor {
  const definition = loadSync(path, {
    keepCase: true,
    longs: String,
    defaults: true,
    arrays: true,
  });
  const loaded = grpc.loadPackageDefinition(definition)["mls_client"];
  const found = typeof loaded === "object" ? (loaded as grpc.GrpcObject)["MLSClient"] : undefined;
  if (typeof found !== "function")
    throw new Error("proto/mls_client.proto has no service MLSClient");
  return found as grpc.ServiceClientConstructor;
}
