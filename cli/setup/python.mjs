import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { assertDisk, installerFix } from "./causes.mjs";
import { inRoot } from "./paths.mjs";
import { capture, run } from "./processes.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";
import { SetupError } from "./step.mjs";

const windows = process.platform === "win32";
export const ownVenv = inRoot(".venv");
/** @param {string} venv */
export const pythonOf = (venv) => path.join(venv, ...(windows ? ["Scripts", "python.exe"] : ["bin", "python"]));
export const venvPython = pythonOf(ownVenv);

/**
 * @param {string} text what `python --version` prints
 * @returns {[number, number] | null}
 */
export function pythonVersion(text) {
  const found = /Python (\d+)\.(\d+)/.exec(text);
  return found ? [Number(found[1]), Number(found[2])] : null;
}

/** @param {[number, number] | null} version */
export const isRecentPython = (version) => version !== null && (version[0] > 3 || (version[0] === 3 && version[1] >= 11));

/**
 * @param {string} command
 * @param {string[]} args
 */
async function probe(command, args) {
  try {
    const { code, output } = await capture(command, args);
    return code === 0 ? output : null;
  } catch {
    return null;
  }
}

export const hasUv = async () => (await probe("uv", ["--version"])) !== null;

/** @returns {Promise<string[]>} the command, with its arguments, of a Python ≥ 3.11 */
export async function findPython() {
  /** @type {string[]} */
  const seen = [];
  const commands = [
    ["python3"],
    ["python"],
    ["python3.14"],
    ["python3.13"],
    ["python3.12"],
    ["python3.11"],
    ...(windows ? [["py", "-3"]] : []),
  ];
  for (const [command = "", ...args] of commands) {
    const answer = await probe(command, [...args, "--version"]);
    if (answer === null) continue;
    if (isRecentPython(pythonVersion(answer))) return [command, ...args];
    seen.push(answer.trim());
  }
  throw new SetupError(
    `The Python suites need Python 3.11 or newer; ${seen.length > 0 ? `only ${seen.join(", ")} was found` : "none was found"}.`,
    "Install it (Debian and Ubuntu: apt-get install python3 python3-venv) and run the command again.",
  );
}

const packages = ["--editable", "worker[dev]", "--constraint", "worker/requirements.lock"];

/**
 * Makes `.venv` with the worker and what its tests need, at the locked versions, where it is not there already.
 * @param {(what: string) => void} say
 * @param {string} [venv] its folder
 */
export async function ensurePython(say, venv = ownVenv) {
  const stamp = path.join(venv, "facet-stamp");
  const inside = pythonOf(venv);
  const wanted = fingerprint(["worker/pyproject.toml", "worker/requirements.lock"]);
  if (existsSync(inside) && readStamp(stamp) === wanted) return "up to date";
  const [python = "", ...args] = await findPython();
  const uv = await hasUv();
  assertDisk(venv, 6e9, "The Python packages");
  say(`installing the locked Python packages with ${uv ? "uv" : "pip"} into .venv (PyTorch is large: minutes, up to 6 GB)`);
  const fix = (/** @type {string} */ output) => installerFix(output, "PyPI");
  // A folder whose Python is gone (an upgrade removed it) is of no use, and uv refuses to make it anew.
  if (!existsSync(inside)) rmSync(venv, { recursive: true, force: true });
  if (uv) {
    if (!existsSync(inside)) await run("uv venv", "uv", ["venv", "--python", python, venv], { fix });
    await run("uv pip install", "uv", ["pip", "install", "--python", inside, ...packages], { fix });
  } else {
    if (!existsSync(inside) || (await probe(inside, ["-m", "pip", "--version"])) === null) {
      await run("python -m venv", python, [...args, "-m", "venv", "--clear", venv], {
        fix: (output) =>
          /ensurepip|No module named venv/.test(output)
            ? "Python's venv module is missing. Debian and Ubuntu: apt-get install python3-venv; or install uv."
            : fix(output),
      });
    }
    await run("pip install", inside, ["-m", "pip", "install", "--disable-pip-version-check", ...packages], { fix });
  }
  writeStamp(stamp, wanted);
  return "installed";
}
