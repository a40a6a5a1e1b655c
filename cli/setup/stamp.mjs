import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";

/** @param {string} file */
function* filesUnder(file) {
  if (!existsSync(file)) return;
  /** @type {string[]} */
  const open = [file];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const entry = next;
    let children;
    try {
      children = readdirSync(entry);
    } catch {
      yield entry;
      continue;
    }
    for (const child of children) open.push(path.join(entry, child));
  }
}

/**
 * SHA-256 over the paths and bytes of files; folders count with everything in them, missing ones count as nothing. Content and not
 * time of change, so that a fresh clone and a branch switched back are recognised.
 * @param {string[]} files relative to the root
 * @param {{ extra?: string[], skip?: (file: string) => boolean }} [options] `extra`: further strings that the result depends on
 */
export function fingerprint(files, options = {}) {
  const hash = createHash("sha256");
  for (const text of options.extra ?? []) hash.update(`${text}\0`);
  const all = files.flatMap((file) => [...filesUnder(path.resolve(root, file))].map((found) => path.relative(root, found))).sort();
  for (const file of all) {
    const name = file.split(path.sep).join("/");
    if (options.skip?.(name)) continue;
    hash.update(`${name}\0`).update(
      createHash("sha256")
        .update(readFileSync(path.resolve(root, file)))
        .digest(),
    );
  }
  return hash.digest("hex");
}

/**
 * A stamp lies inside the folder whose making it records, so that deleting the folder forgets it.
 * @param {string} file
 */
export function readStamp(file) {
  return existsSync(file) ? readFileSync(file, "utf8").trim() : null;
}

/**
 * @param {string} file
 * @param {string} value
 */
export function writeStamp(file, value) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${value}\n`);
}
