/** Serves a compiled program to a browser as it is: modules, and a map for those of dependencies. */
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

export interface PageServer {
  readonly url: string;
  close(): void;
}

/** `program` is below `folder`, whose node_modules the program uses. */
export async function servePage(folder: string, program: string): Promise<PageServer> {
  const imports = { "@noble/": "/node_modules/@noble/" };
  const page =
    `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>` +
    `<script type="module" src="/${path.relative(folder, program)}"></script>`;
  const server = http.createServer((request, response) => {
    const name = path.normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    if (name === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end(page);
      return;
    }
    const file = path.join(folder, name);
    if (!name.endsWith(".js") || !fs.existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/javascript" }).end(fs.readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
