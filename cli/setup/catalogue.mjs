import { existsSync } from "node:fs";
import { inRoot } from "./paths.mjs";
import { run } from "./processes.mjs";

/**
 * Brings the catalogue up to date with a bundle through `facet import`: pending migrations first, then whatever of the bundle is not there
 * yet. A bundle that is there whole changes nothing; one whose import was interrupted is imported again.
 * @param {(what: string) => void} say
 * @param {{ bundle?: string, env?: Record<string, string | undefined> }} [options]
 */
export async function ensureCatalogue(say, { bundle = "demo/bundle", env } = {}) {
  if (!existsSync(inRoot(bundle, "manifest.json"))) {
    return `nothing imported: there is no ${bundle}/manifest.json, so the explorer starts empty (npm run facet import <bundle> fills it)`;
  }
  say(`facet import ${bundle}`);
  await run(`facet import ${bundle}`, process.execPath, ["--import", "tsx", inRoot("cli", "facet.ts"), "import", inRoot(bundle)], {
    env,
    show: true,
    fix: "Nothing of the bundle was imported. The lines above say why.",
  });
  return "ready";
}
