/** What a start promises, tried as a person would: quick the second time, for this machine alone, and a sentence where it cannot go on. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { guardedEnv, guardLog } from "../cli/setup/guard.mjs";
import { inRoot } from "../cli/setup/paths.mjs";
import { freePort } from "../cli/setup/server.mjs";
import { expect, test } from "./site";

/** `npm start` with a catalogue of its own; what it printed grows in `said`. */
function npmStart(port: number) {
  const said: string[] = [];
  const child = spawn(process.execPath, [inRoot("cli", "start.mjs"), "--port", String(port)], {
    cwd: inRoot(),
    env: { ...process.env, ...guardedEnv, FACET_DATA_DIR: ".facet/e2e-start", DATABASE_URL: "", HOST: "", PORT: "" },
  });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => said.push(String(chunk)));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return { child, ended, output: () => said.join("") };
}

async function untilSaid({ child, output }: { child: ChildProcess; output: () => string }, pattern: RegExp) {
  await expect
    .poll(() => pattern.test(output()) || child.exitCode !== null, { timeout: 110_000, intervals: [50], message: `${pattern} is said` })
    .toBe(true);
  expect(output()).toMatch(pattern);
}

const ready = /Facet is at http:\/\/localhost:\d+ after /;

/** Whether anything answers at an address of this machine. */
function answers(host: string, port: number) {
  return new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: 3000 });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

test("npm start serves within ten seconds the second time, to this machine alone, and ends when asked to", async () => {
  test.slow();
  const port = await freePort();
  const first = npmStart(port);
  await untilSaid(first, ready);
  first.child.kill("SIGINT");
  expect(await first.ended).toBe(0);

  const started = performance.now();
  const second = npmStart(port);
  try {
    await untilSaid(second, ready);
    expect((await fetch(`http://localhost:${port}/`)).status).toBe(200);
    expect((performance.now() - started) / 1000, "seconds to a served page").toBeLessThanOrEqual(10);
    // Each step in a line, with its time.
    for (const step of ["Packages", "Database", "Build", "Catalogue"])
      expect(second.output()).toMatch(new RegExp(`^${step} .*\\(\\d.*s\\)$`, "m"));

    expect(await answers("127.0.0.1", port)).toBe(true);
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === "IPv4");
    for (const { address } of outside) expect(await answers(address, port), `${address} is not listened to`).toBe(false);

    const third = npmStart(port);
    expect(await third.ended).toBe(1);
    expect(third.output()).toContain(`Port ${port} is taken by another program`);
    expect(third.output()).toContain(`--port ${port + 1}`);
    expect(third.output(), "no stack").not.toMatch(/^\s+at /m);
  } finally {
    second.child.kill("SIGINT");
  }
  expect(await second.ended).toBe(0);
});

test("the server and its threads are watched", async () => {
  test.skip(Boolean(process.env.FACET_E2E_URL), "a server that already ran was not started under the guard");
  expect(existsSync(guardLog)).toBe(true);
  const watched = readFileSync(guardLog, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter((line) => line.watched);
  const server = watched.filter(({ command }) => / start -H 127\.0\.0\.1 -p \d+/.test(command) || command.includes("next start"));
  // The server itself and the database's thread.
  expect(server.length).toBeGreaterThanOrEqual(2);
});
