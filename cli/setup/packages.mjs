import { existsSync, readFileSync } from "node:fs";
import { assertDisk, installerFix } from "./causes.mjs";
import { inRoot, root } from "./paths.mjs";
import { run } from "./processes.mjs";

/**
 * @typedef {{ version?: string, optional?: boolean, devOptional?: boolean, peer?: boolean, link?: boolean }} LockEntry
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 */

/**
 * Why the installed packages are not the locked ones, or null when they are.
 * @param {Lock} lock package-lock.json
 * @param {Lock | null} installed node_modules/.package-lock.json, npm's own record of what it put there; null when there is none
 */
export function installReason(lock, installed) {
  if (!installed) return "no packages are installed yet";
  const present = installed.packages ?? {};
  for (const [place, entry] of Object.entries(lock.packages ?? {})) {
    if (place === "") continue;
    const found = present[place];
    // Packages for other systems are locked, optional and rightly absent.
    if (!found && (entry.optional || entry.devOptional)) continue;
    if (found?.version !== entry.version) return `${place.replace(/^.*node_modules\//, "")} is not at its locked version`;
  }
  return null;
}

/** @param {string} file */
const readJson = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null);

/**
 * Installs the locked packages where they are not installed already. Install scripts stay off: none of ours needs one, and some of them
 * would download.
 * @param {(what: string) => void} say
 */
export async function ensurePackages(say) {
  const reason = installReason(readJson(inRoot("package-lock.json")), readJson(inRoot("node_modules", ".package-lock.json")));
  if (!reason) return "up to date";
  say(`npm ci, because ${reason} (about a minute)`);
  const args = ["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"];
  const npm = process.env.npm_execpath;
  assertDisk(root, 2e9, "The packages");
  const fix = (/** @type {string} */ output) => installerFix(output, "the npm registry");
  if (npm?.endsWith(".js")) await run("npm ci", process.execPath, [npm, ...args], { fix });
  else await run("npm ci", "npm", args, { fix, shell: process.platform === "win32" });
  return "installed";
}
