import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder. `import.meta.dirname` would need Node 20.11. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** @param {string[]} parts */
export const inRoot = (...parts) => path.join(root, ...parts);

/** Where the catalogue, its images and small stamps live; `FACET_DATA_DIR` moves it. */
export const dataDir = path.resolve(root, process.env.FACET_DATA_DIR || ".facet");

/** Where `next build` writes; the same variable is read by next.config.ts. */
export const distDir = process.env.FACET_DIST_DIR || ".next";
