/** Where things are. */
import { fileURLToPath } from "node:url";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const packageFolder: string = at("..");
export const rootFolder: string = at("../../..");
export const peersFolder: string = at("../peers");
export const resultsFolder: string = at("../results");
export const workerFile: string = at("./worker.js");
export const largeWorkerFile: string = at("./large-worker.js");
export const sectionWorkerFile: string = at("./section-worker.js");
