import { existsSync } from "node:fs";
import { inRoot } from "./paths.mjs";
import { capture, run } from "./processes.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";
import { SetupError } from "./step.mjs";

const venv = inRoot(".venv");
const windows = process.platform === "win32";
export const venvPython = windows ? inRoot(".venv", "Scripts", "python.exe") : inRoot(".venv", "bin", "python");

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

/** @returns {Promise<string[]>} the command, with its arguments, of a Python ≥ 3.11 */
async function findPython() {
  /** @type {string[]} */
  const seen = [];
  const commands = [["python3"], ["python"], ["python3.13"], ["python3.12"], ["python3.11"], ...(windows ? [["py", "-3"]] : [])];
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
 */
export async function ensurePython(say) {
  const stamp = inRoot(".venv", "facet-stamp");
  const wanted = fingerprint(["worker/pyproject.toml", "worker/requirements.lock"]);
  if (existsSync(venvPython) && readStamp(stamp) === wanted) return "up to date";
  const hasUv = (await probe("uv", ["--version"])) !== null;
  say(`installing the locked Python packages with ${hasUv ? "uv" : "pip"} into .venv (PyTorch is large: minutes, up to 6 GB)`);
  const [python = "", ...args] = await findPython();
  const fix = "Check that PyPI can be reached and that the disk has 6 GB to spare, then run the command again.";
  if (hasUv) {
    if (!existsSync(venvPython)) await run("uv venv", "uv", ["venv", "--python", python, venv], { fix });
    await run("uv pip install", "uv", ["pip", "install", "--python", venvPython, ...packages], { fix });
  } else {
    if (!existsSync(venvPython) || (await probe(venvPython, ["-m", "pip", "--version"])) === null) {
      await run("python -m venv", python, [...args, "-m", "venv", "--clear", venv], {
        fix: "Python's venv module is missing. Debian and Ubuntu: apt-get install python3-venv; or install uv.",
      });
    }
    await run("pip install", venvPython, ["-m", "pip", "install", "--disable-pip-version-check", ...packages], { fix });
  }
  writeStamp(stamp, wanted);
  return "installed";
}
