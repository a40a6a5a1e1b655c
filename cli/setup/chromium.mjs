import { existsSync } from "node:fs";
import path from "node:path";
import { inRoot } from "./paths.mjs";
import { capture } from "./processes.mjs";
import { SetupError } from "./step.mjs";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "msedge"];

/**
 * Where an installed Chromium or Chrome would lie, likeliest first.
 * @param {NodeJS.Platform} platform
 * @param {Record<string, string | undefined>} env
 */
export function chromiumCandidates(platform, env) {
  const separator = platform === "win32" ? ";" : ":";
  const join = platform === "win32" ? path.win32.join : path.posix.join;
  const folders = (env.PATH ?? env.Path ?? "").split(separator).filter(Boolean);
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, platform === "win32" ? `${name}.exe` : name)));
  if (platform === "darwin") {
    const apps = ["/Applications", join(env.HOME ?? "/", "Applications")];
    const bundles = ["Google Chrome", "Chromium", "Microsoft Edge"];
    return [...onPath, ...apps.flatMap((folder) => bundles.map((app) => join(folder, `${app}.app`, "Contents", "MacOS", app)))];
  }
  if (platform === "win32") {
    const programs = [env.PROGRAMFILES, env["PROGRAMFILES(X86)"], env.LOCALAPPDATA].filter((folder) => folder !== undefined);
    const inside = [
      "Google\\Chrome\\Application\\chrome.exe",
      "Chromium\\Application\\chrome.exe",
      "Microsoft\\Edge\\Application\\msedge.exe",
    ];
    return [...onPath, ...programs.flatMap((folder) => inside.map((file) => join(folder, file)))];
  }
  return [...onPath, "/usr/bin/chromium", "/usr/lib/chromium/chromium", "/opt/google/chrome/chrome", "/snap/bin/chromium"];
}

/**
 * An installed Chromium: `CHROME_PATH` if set, then the usual places; null when there is none.
 * @param {Record<string, string | undefined>} [env]
 */
export function findChromium(env = process.env) {
  const asked = env.CHROME_PATH;
  if (asked) {
    if (existsSync(asked)) return asked;
    throw new SetupError(
      `CHROME_PATH is ${asked}, and there is no such file.`,
      "Correct it, or unset it to have Facet look in the usual places.",
    );
  }
  return chromiumCandidates(process.platform, env).find((file) => existsSync(file)) ?? null;
}

/** Playwright's own Chromium where it has been downloaded, else null. */
async function playwrightChromium() {
  const { chromium } = await import("playwright");
  const file = chromium.executablePath();
  return existsSync(file) ? file : null;
}

const download = () => capture(process.execPath, [inRoot("node_modules", "playwright", "cli.js"), "install", "chromium"]);

/**
 * An installed Chromium or Chrome; else Playwright's own, downloaded where it is not there yet.
 * @param {(what: string) => void} say
 * @param {{
 *   installed?: () => string | null,
 *   own?: () => Promise<string | null>,
 *   fetchOwn?: () => Promise<{ code: number, output: string }>,
 * }} [ways]
 * @returns {Promise<string>} the browser's path
 */
export async function ensureChromium(say, { installed = findChromium, own = playwrightChromium, fetchOwn = download } = {}) {
  const found = installed() ?? (await own());
  if (found) return found;
  say("no Chromium or Chrome is installed: downloading Playwright's");
  const { code, output } = await fetchOwn();
  const fetched = code === 0 ? await own() : null;
  if (fetched) return fetched;
  throw new SetupError(
    `The browser tests need Chromium or Chrome. None was found, and Playwright's own could not be downloaded:\n\n${output.trim().split("\n").slice(-6).join("\n")}\n`,
    "Install one (Debian and Ubuntu: apt-get install chromium), or set CHROME_PATH to its program.",
  );
}
