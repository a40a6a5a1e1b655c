/** An error of a set-up step: what is missing, and what to do about it. Printed without a stack. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} [fix]
   */
  constructor(message, fix) {
    super(message);
    this.name = "SetupError";
    this.fix = fix;
  }
}

/** Something could not be fetched, and nothing else is wrong: what is optional can go on without it. */
export class FetchError extends SetupError {}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * Runs one step, saying what it does and how long it took. `work` answers with the words for the closing line; before anything slow
 * it calls `say` with what is about to happen.
 * @param {string} name
 * @param {(say: (what: string) => void) => Promise<string> | string} work
 */
export async function step(name, work) {
  const started = performance.now();
  const label = name.padEnd(10);
  const outcome = await work((what) => console.log(`${label} ${what} …`));
  console.log(`${label} ${outcome} (${duration(performance.now() - started)})`);
}

/**
 * Runs a command's main function: a `SetupError` ends the process with its two sentences, any other error with its stack.
 * @param {() => Promise<number | undefined>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}`);
    if (error.fix) console.error(error.fix);
    process.exitCode = 1;
  }
}

/**
 * Next.js's own minimum; every other package runs there too (versions.test.ts holds the lock to it).
 * @param {string} [version] as `process.versions.node`
 */
export function assertNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 9)) return;
  throw new SetupError(
    `Facet needs Node 20.9 or newer; this is Node ${version}.`,
    "Install a newer Node, for example the current long-term release, and run the command again.",
  );
}
