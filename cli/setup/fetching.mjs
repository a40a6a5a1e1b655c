import { installerFix, isMissing, isUnreachable } from "./causes.mjs";
import { run } from "./processes.mjs";
import { FetchError, SetupError } from "./step.mjs";

/**
 * Runs an installer of something that can be gone without. Throws `FetchError` where it could not reach what it installs from, and
 * `SetupError` for anything else, a wrong hash among it.
 * @param {string} what the step, as the subject of a sentence
 * @param {string} from where it installs from, within a sentence
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, otherwise?: string, missing?: boolean }} [options] `otherwise`: what one can do instead, a sentence; `missing`: a
 *   package that is not there for this platform is a `FetchError` too
 */
export async function fetching(what, from, command, args, { cwd, otherwise, missing = false } = {}) {
  let without = false;
  const fix = (/** @type {string} */ output) => {
    without = isUnreachable(output) || (missing && isMissing(output));
    return [installerFix(output, from), ...(otherwise ? [otherwise] : [])].join("\n");
  };
  try {
    await run(what, command, args, { cwd, fix });
  } catch (error) {
    if (without && error instanceof SetupError) throw new FetchError(error.message, error.fix);
    throw error;
  }
}
