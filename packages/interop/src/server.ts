/** `npm run interop:server -- --port N`: one mlskit client for an interoperability runner. */
import type { Padding } from "mlskit";
import { distortionOf, FAULTS, isFault } from "./server/broken.ts";
import { serve } from "./server/serve.ts";

const USAGE = `usage: npm run interop:server -- --port N [--host ADDRESS] [--no-grease] [--no-padding]
                                   [--broken ${FAULTS.join("|")}]   for testing drivers`;

class BadUsage extends Error {}

function optionsFrom(args: readonly string[]) {
  let port: number | undefined;
  let host: string | undefined;
  let grease = true;
  let padding: Padding | undefined;
  let distortion: ReturnType<typeof distortionOf> | undefined;
  const rest = [...args];
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "--no-grease") grease = false;
    else if (name === "--no-padding") padding = { type: "none" };
    else if (name === "--port") port = Number(rest.shift());
    else if (name === "--host") host = rest.shift();
    else if (name === "--broken") {
      const fault = rest.shift() ?? "";
      if (!isFault(fault)) throw new BadUsage(`there is no fault "${fault}"`);
      distortion = distortionOf(fault);
    } else throw new BadUsage(`unknown option ${name}`);
  }
  if (port === undefined || !Number.isInteger(port)) throw new BadUsage("--port is missing");
  return { port, host, grease, padding, distortion };
}

try {
  const { address } = await serve(optionsFrom(process.argv.slice(2)));
  console.log(`listening on ${address}`);
} catch (error) {
  if (!(error instanceof BadUsage)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
