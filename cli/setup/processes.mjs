import { spawn } from "node:child_process";
import { root } from "./paths.mjs";
import { SetupError } from "./step.mjs";

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
let stopping = false;

/** Whether a signal has asked this process to end. */
export const isStopping = () => stopping;

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => {
    // A second signal ends at once; the first lets the children close their files.
    if (stopping) process.exit(130);
    stopping = true;
    // A terminal's Ctrl-C has reached the children already; another SIGINT would count as their second.
    for (const child of running) child.kill("SIGTERM");
    if (running.size === 0) process.exit(130);
  });
}

/**
 * Starts a child that ends with this process.
 * @param {string} command
 * @param {string[]} args
 * @param {import("node:child_process").SpawnOptions} [options]
 */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, ...options });
  running.add(child);
  const forget = () => running.delete(child);
  child.once("exit", forget);
  child.once("error", forget);
  return child;
}

/** @typedef {{ env?: Record<string, string | undefined>, cwd?: string, show?: boolean, terminal?: boolean, shell?: boolean }} RunOptions */

/**
 * Runs a command to its end and answers with its exit code and its output (stdout and stderr together). `show` also prints it live;
 * `terminal` gives the command this process's own standard output, so that it can rewrite a line of a terminal, and leaves it out of the answer.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = start(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", options.terminal ? "inherit" : "pipe", "pipe"],
      shell: options.shell ?? false,
    });
    /** @type {Buffer[]} */
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (/** @type {Buffer} */ chunk) => {
        chunks.push(chunk);
        if (options.show) process.stdout.write(chunk);
      });
    }
    child.once("error", (error) => reject(new SetupError(`${command} could not be started: ${error.message}.`)));
    child.once("close", (code) => {
      if (stopping) process.exit(130);
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() });
    });
  });
}

/**
 * Runs a command that has to succeed; its last lines are part of the error when it does not.
 * @param {string} what the step, as the subject of a sentence
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions & { fix?: string | ((output: string) => string) }} [options] `fix`: what to do about a failure, or how to tell it from the output
 */
export async function run(what, command, args, options = {}) {
  const { code, output } = await capture(command, args, options);
  if (code === 0) return output;
  const tail = options.show ? "" : `\n\n${output.trimEnd().split("\n").slice(-40).join("\n")}\n`;
  throw new SetupError(`${what} failed (exit code ${code}).${tail}`, typeof options.fix === "function" ? options.fix(output) : options.fix);
}
