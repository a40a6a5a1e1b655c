/** The guard under which the browser tests run: without it, "no request leaves the machine" would be a sentence only. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { guardedEnv } from "./guard.mjs";

// 192.0.2.0/24 and .invalid lead nowhere by their standards: nothing is sent even where the guard fails.
const script = `
  import { createServer } from "node:http";
  import net from "node:net";
  import dgram from "node:dgram";
  import { lookup } from "node:dns/promises";
  import { Worker } from "node:worker_threads";
  const told = {};
  const tell = (name, work) => work().then((value) => { told[name] = value; }, (error) => { told[name] = (error.cause ?? error).code; });
  const server = createServer((_, answer) => answer.end("here")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  const get = (url) => fetch(url, { signal: AbortSignal.timeout(5000) }).then((answer) => answer.text());
  await tell("own", () => get("http://127.0.0.1:" + port));
  await tell("own by name", () => get("http://localhost:" + port).catch(() => get("http://127.0.0.1:" + port)));
  await tell("fetch", () => get("http://192.0.2.1/"));
  await tell("fetch by name", () => get("https://telemetry.invalid/"));
  await tell("socket", () => new Promise((resolve, reject) => net.connect(80, "192.0.2.2").on("error", reject).on("connect", resolve)));
  await tell("name", () => lookup("names.invalid"));
  await tell("datagram", async () => dgram.createSocket("udp4").send("x", 53, "192.0.2.3"));
  await new Promise((resolve) => new Worker('require("node:dns").lookup("worker.invalid", () => {})', { eval: true }).once("exit", resolve));
  console.log(JSON.stringify(told));
  process.exit(0);
`;

it("lets nothing out, lets this machine in, and notes who tried", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "facet-guard-"));
  const log = path.join(folder, "log");
  writeFileSync(path.join(folder, "tries.mjs"), script);
  const { stdout } = await promisify(execFile)(process.execPath, [path.join(folder, "tries.mjs")], {
    env: { ...process.env, ...guardedEnv, FACET_GUARD_LOG: log },
  });
  const out = "ENETUNREACH";
  expect(JSON.parse(stdout)).toEqual({
    own: "here",
    "own by name": "here",
    fetch: out,
    "fetch by name": out,
    socket: out,
    name: out,
    datagram: out,
  });
  const lines = readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ refused }) => refused).filter(Boolean)).toEqual([
    "192.0.2.1",
    "telemetry.invalid",
    "192.0.2.2",
    "names.invalid",
    "192.0.2.3",
    "worker.invalid",
  ]);
  expect(lines.filter(({ watched }) => watched)).toHaveLength(2);
});
