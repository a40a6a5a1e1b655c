/** Why an installer could not go on, told from what it printed; and whether the disk has room, told before it starts. */
// By its default export: an old Node lacks statfsSync, and is to be refused with a sentence.
import fs from "node:fs";
import path from "node:path";
import { SetupError } from "./step.mjs";

/** @type {{ shows: RegExp, fix: (from: string) => string, unreachable?: true, missing?: true }[]} likeliest first where one line shows two */
const causes = [
  { shows: /ENOSPC|No space left on device|os error 28\b/i, fix: () => "The disk is full: make room and run the command again." },
  {
    unreachable: true,
    shows: /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|certificate verify failed|invalid peer certificate/i,
    fix: (from) =>
      `The certificate of ${from} is not trusted here, as behind some companies' proxies: have the installer trust that proxy's certificate.`,
  },
  {
    unreachable: true,
    shows:
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|Temporary failure in name resolution|Name or service not known|Failed to establish a new connection|dns error|error sending request|Network is unreachable/i,
    fix: (from) =>
      `There is no way to ${from} from here: check the network connection (and the proxy, if there is one) and run the command again.`,
  },
  {
    shows: /EINTEGRITY|DO NOT MATCH THE HASHES|Hash mismatch for/i,
    fix: (from) =>
      `What ${from} sent is not what the lock names: run the command again, and if that repeats, ask whoever runs that registry.`,
  },
  {
    shows: /EACCES|EPERM|Permission denied/i,
    fix: () =>
      "This account may not write there: mend the folder's owner (an earlier run as root leaves such folders) and run the command again.",
  },
  {
    missing: true,
    shows: /\bE404\b|404 Not Found|No matching distribution found|No solution found when resolving/i,
    fix: (from) => `${from} does not have a package that the lock names: the lines above say which.`,
  },
];

/**
 * What to do about an installer's failure.
 * @param {string} output what it printed
 * @param {string} from where it installs from, within a sentence: "the npm registry"
 */
export function installerFix(output, from) {
  const known = causes.find(({ shows }) => shows.test(output));
  return known ? known.fix(from) : "The lines above say why. Mend that and run the command again.";
}

/**
 * Whether an installer failed because it could not reach what it installs from, by what it printed.
 * @param {string} output
 */
export function isUnreachable(output) {
  return causes.find(({ shows }) => shows.test(output))?.unreachable ?? false;
}

/**
 * Whether an installer failed because a package is not there, or not for this platform, by what it printed.
 * @param {string} output
 */
export function isMissing(output) {
  return causes.find(({ shows }) => shows.test(output))?.missing ?? false;
}

/** @param {number} bytes */
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;

/**
 * Throws where the disk that holds `folder` has less than `bytes` free.
 * @param {string} folder need not exist yet
 * @param {number} bytes
 * @param {string} what needs them, as the subject of a sentence in the plural
 */
export function assertDisk(folder, bytes, what, freeBytes = free(folder)) {
  if (freeBytes === null || freeBytes >= bytes) return;
  throw new SetupError(
    `${what} need ${gigabytes(bytes)}, and the disk of ${folder} has ${gigabytes(freeBytes)} free.`,
    "Make room there and run the command again.",
  );
}

/**
 * @param {string} folder
 * @returns {number | null} bytes; null where the system does not say
 */
function free(folder) {
  let there = folder;
  while (!fs.existsSync(there) && path.dirname(there) !== there) there = path.dirname(there);
  try {
    const { bavail, bsize, blocks } = fs.statfsSync(there);
    // Some network and container file systems answer zero blocks in all.
    return blocks > 0 ? bavail * bsize : null;
  } catch {
    return null;
  }
}
