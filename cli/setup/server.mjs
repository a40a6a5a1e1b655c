import { createServer } from "node:net";
import os from "node:os";
import { nextBin, nextEnv } from "./build.mjs";
import { isStopping, start } from "./processes.mjs";
import { SetupError } from "./step.mjs";

/**
 * Where to listen: flags, then the environment (an empty variable counts as unset), then 127.0.0.1:3000.
 * @param {{ host?: string, port?: string }} flags
 * @param {Record<string, string | undefined>} env
 * @param {string} [machine] this machine's name
 */
export function listenAddress(flags, env, machine = os.hostname()) {
  // Some shells export HOST as the machine's own name: that is nobody's wish to be reachable from outside.
  const named = env.HOST && env.HOST !== machine ? env.HOST : undefined;
  const host = flags.host || named || "127.0.0.1";
  const text = flags.port || env.PORT || "3000";
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new SetupError(`"${text}" is not a port.`, "Give a number from 1 to 65535, for example --port 3001.");
  }
  return { host, port };
}

/**
 * The address to open in a browser.
 * @param {string} host
 * @param {number} port
 */
export function pageUrl(host, port) {
  const local = ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"].includes(host);
  return `http://${local ? "localhost" : host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * @param {string} host
 * @param {number} port 0 asks for any free one
 * @returns {Promise<number>} the port that could be opened
 */
function tryListen(host, port) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(address && typeof address === "object" ? address.port : port));
    });
  });
}

export const freePort = () => tryListen("127.0.0.1", 0);

/**
 * @param {string} host
 * @param {number} port
 */
export async function assertPortFree(host, port) {
  try {
    await tryListen(host, port);
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (code === "EADDRINUSE") {
      throw new SetupError(
        `Port ${port} is taken by another program (perhaps a Facet that already runs: look at ${pageUrl(host, port)}).`,
        `Stop that program, or choose another port: npm start -- --port ${port + 1}`,
      );
    }
    if (code === "EACCES")
      throw new SetupError(`This account may not open port ${port}.`, "Choose one above 1023, for example --port 3000.");
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
      throw new SetupError(`"${host}" is not an address of this machine.`, "Leave --host out to serve this machine only.");
    }
    throw error;
  }
}

/** A search of 2,000 characters is up to 24 kB of address, which pages send on in a header of theirs; Node takes 16 kB unless told. */
const longAddresses = "--max-http-header-size=131072";

/**
 * Starts Next.js; its own output follows ours.
 * @param {{ host: string, port: number, dev?: boolean, env?: Record<string, string | undefined> }} options
 */
export function startNext({ host, port, dev = false, env = {} }) {
  // Told to listen to the network, the server answers under whatever names it has there (see refusal in lib/core/security-headers).
  const allowed = process.env.FACET_ALLOWED_HOSTS || (["127.0.0.1", "::1", "localhost"].includes(host) ? "" : "*");
  const nodeOptions = `${env.NODE_OPTIONS ?? process.env.NODE_OPTIONS ?? ""} ${longAddresses}`.trim();
  return start(process.execPath, [nextBin, dev ? "dev" : "start", "-H", host, "-p", String(port)], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...nextEnv, FACET_ALLOWED_HOSTS: allowed, ...env, NODE_OPTIONS: nodeOptions },
  });
}

/**
 * What the server's end means to whoever started it: its exit code, 0 where it was asked to end. Throws where it crashed.
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
export function exitCodeOf(code, signal) {
  // Next.js ends with 130 or 143 when asked to by a signal, which is no failure.
  if (code === 130 || code === 143 || (signal && ["SIGINT", "SIGTERM", "SIGHUP"].includes(signal))) return 0;
  if (code === null) throw new SetupError(`The server crashed (${signal}).`, "The lines above are its log. Start it again.");
  return code;
}

/**
 * Resolves when `url` answers with a page, or with false when the server ended first.
 * @param {string} url
 * @param {import("node:child_process").ChildProcess} server
 * @param {number} [timeoutMs]
 */
export async function untilServed(url, server, timeoutMs = 120_000) {
  const deadline = Date.now() + timeoutMs;
  let last = "it did not answer";
  while (server.exitCode === null && server.signalCode === null && !isStopping()) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
      await answer.arrayBuffer();
      if (answer.ok) return true;
      last = `it answered ${answer.status}`;
    } catch {
      // Not listening yet.
    }
    if (Date.now() > deadline) {
      throw new SetupError(`The server started but gave no page within ${timeoutMs / 1000} s: ${last}.`, "The lines above are its log.");
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  return false;
}
