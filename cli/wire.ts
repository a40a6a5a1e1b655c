/** `npm run wire`: writes the wire contract out of lib/core for the Python worker. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { wireFiles } from "@/lib/core/worker-wire";
import { inRoot } from "./setup/paths.mjs";

const folder = inRoot("worker", "facet_worker", "wire");
mkdirSync(folder, { recursive: true });
for (const [name, content] of Object.entries(wireFiles())) writeFileSync(path.join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
