/** `.ci/run`, in a folder of its own, with stand-ins for the programs that it calls. */
import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { inRoot } from "./paths.mjs";

let base: string;
const at = (...parts: string[]) => path.join(base, ...parts);
const calls = () => readFileSync(at("calls"), "utf8").trim().split("\n");

function program(name: string, body: string) {
  writeFileSync(at("bin", name), `#!/bin/sh\necho "${name} $*" >> "${at("calls")}"\n${body}\n`);
  chmodSync(at("bin", name), 0o755);
}

function run(): Promise<{ code: number; output: string }> {
  const env = { PATH: `${at("bin")}:/usr/bin:/bin`, HOME: base, CI: "true", NODE_ENV: "test" as const };
  return new Promise((resolve) => {
    execFile("bash", [at(".ci", "run")], { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

describe.runIf(process.platform === "linux")(".ci/run", () => {
  beforeEach(() => {
    base = mkdtempSync(path.join(tmpdir(), "facet-ci-"));
    mkdirSync(at("bin"));
    mkdirSync(at(".ci"));
    copyFileSync(inRoot(".ci", "run"), at(".ci", "run"));
    program("npm", 'echo "12 passed, 0 failed"');
    program("apt-get", "");
    program("dpkg", "exit 0");
    program("uv", "");
    program("sudo", 'shift\nexec "$@"');
  });

  it("installs Debian's Chromium where it is not", async () => {
    program("dpkg", "exit 1");
    expect((await run()).code).toBe(0);
    const apt = calls().filter((call) => call.startsWith("apt-get"));
    expect(apt[0]).toContain("update");
    expect(apt[1]).toMatch(/install .*\bchromium\b/);
  });

  it("goes on to the suites where nothing is missing, and where nothing can be installed", async () => {
    await run();
    expect(calls().filter((call) => call.startsWith("apt-get"))).toEqual([]);
    program("dpkg", "exit 1");
    program("apt-get", "exit 100");
    expect((await run()).code).toBe(0);
    expect(calls().at(-1)).toBe("npm test --silent");
  });

  it("ends with the suites' own closing line and their exit code", async () => {
    program("npm", 'echo "11 passed, 1 failed"; exit 1');
    const { code, output } = await run();
    expect(code).toBe(1);
    expect(output.trimEnd().split("\n").at(-1)).toBe("11 passed, 1 failed");
  });

  it("takes nothing over from an earlier run", async () => {
    const left = ["artefacts/screenshots/home.png", "test-results/trace.zip", ".next/facet-build", ".facet/e2e/catalogue/x"];
    for (const file of [...left, ".facet/catalogue/x"]) {
      mkdirSync(path.dirname(at(file)), { recursive: true });
      writeFileSync(at(file), "");
    }
    await run();
    expect(left.filter((file) => existsSync(at(file)))).toEqual([]);
    expect(existsSync(at(".facet/catalogue/x")), "a person's catalogue stays").toBe(true);
  });
});
