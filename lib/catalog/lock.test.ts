import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { takeLock } from "./lock";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "facet-lock-"));
  file = path.join(folder, "deep", "catalogue.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("is held by one at a time and given back", () => {
  const lock = takeLock(file);
  expect(() => takeLock(file)).toThrowError(expect.objectContaining({ code: "catalogue_locked" }));
  lock.release();
  expect(existsSync(file)).toBe(false);
  takeLock(file).release();
});

it("is taken over from a dead process, a reused number and a torn file", async () => {
  takeLock(file).release();
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  for (const content of [
    JSON.stringify({ pid: child.pid, started: "1", token: "gone" }),
    JSON.stringify({ pid: process.pid, started: "1", token: "another process had this number before" }),
    "{",
    "",
  ]) {
    writeFileSync(file, content);
    takeLock(file).release();
  }
  expect(readdirSync(path.dirname(file))).toEqual([]);
});

it("is taken over from a process that has ended and that its parent has not buried", async () => {
  if (!existsSync("/proc/self/stat")) return;
  takeLock(file).release();
  const parent = spawn("/bin/sh", ["-c", "sleep 0.1 & echo $!; exec sleep 60"]);
  try {
    const [said] = await once(parent.stdout, "data");
    const pid = Number(String(said));
    writeFileSync(file, JSON.stringify({ pid, started: null, token: "ended" }));
    await vi.waitFor(() => takeLock(file).release(), { timeout: 10_000, interval: 100 });
    // It is still in the table of processes.
    expect(() => process.kill(pid, 0)).not.toThrow();
  } finally {
    parent.kill("SIGKILL");
  }
});

it("does not give back what another process holds by now", () => {
  const lock = takeLock(file);
  writeFileSync(file, JSON.stringify({ pid: 1, started: null, token: "somebody else" }));
  lock.release();
  expect(existsSync(file)).toBe(true);
});
