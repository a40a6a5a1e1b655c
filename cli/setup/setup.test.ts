import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { chromiumCandidates, ensureChromium, findChromium } from "./chromium.mjs";
import { installReason } from "./packages.mjs";
import { isRecentPython, pythonVersion } from "./python.mjs";
import { assertPortFree, exitCodeOf, freePort, listenAddress, pageUrl } from "./server.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";
import { assertNode, duration, SetupError } from "./step.mjs";

describe("packages", () => {
  const lock = {
    packages: {
      "": {},
      "node_modules/next": { version: "16.4.6" },
      "node_modules/next/node_modules/postcss": { version: "8.0.0" },
      "node_modules/other-system": { version: "1.0.0", optional: true },
    },
  };
  const installed = {
    packages: { "node_modules/next": { version: "16.4.6" }, "node_modules/next/node_modules/postcss": { version: "8.0.0" } },
  };

  it("are up to date when every locked one is there, those for other systems apart", () => {
    expect(installReason(lock, installed)).toBeNull();
  });

  it("are installed when there are none, when one is missing and when one has another version", () => {
    expect(installReason(lock, null)).toBe("no packages are installed yet");
    expect(installReason(lock, { packages: { "node_modules/next": { version: "16.4.6" } } })).toContain("postcss");
    const older = { packages: { ...installed.packages, "node_modules/next": { version: "16.0.0" } } };
    expect(installReason(lock, older)).toContain("next is not at its locked version");
  });
});

describe("stamps", () => {
  it("change with content and name, not with time", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "facet-stamp-"));
    const file = path.join(folder, "a.ts");
    writeFileSync(file, "one");
    const first = fingerprint([folder]);
    writeFileSync(file, "one");
    expect(fingerprint([folder])).toBe(first);
    writeFileSync(file, "two");
    expect(fingerprint([folder])).not.toBe(first);
    expect(fingerprint([folder], { skip: (name) => name.endsWith("a.ts") })).toBe(fingerprint([path.join(folder, "missing")]));
    expect(fingerprint([folder], { extra: ["x"] })).not.toBe(fingerprint([folder]));
  });

  it("are read back", () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), "facet-stamp-")), "deep", "stamp");
    expect(readStamp(file)).toBeNull();
    writeStamp(file, "abc");
    expect(readStamp(file)).toBe("abc");
  });
});

describe("the address to listen on", () => {
  it("is this machine alone unless told otherwise; flags go before the environment", () => {
    expect(listenAddress({}, {})).toEqual({ host: "127.0.0.1", port: 3000 });
    expect(listenAddress({}, { HOST: "0.0.0.0", PORT: "8080" })).toEqual({ host: "0.0.0.0", port: 8080 });
    expect(listenAddress({ host: "::1", port: "4000" }, { HOST: "0.0.0.0", PORT: "8080" })).toEqual({ host: "::1", port: 4000 });
    expect(listenAddress({}, { HOST: "", PORT: "" })).toEqual({ host: "127.0.0.1", port: 3000 });
  });

  it("does not take a shell's own HOST for a wish", () => {
    expect(listenAddress({}, { HOST: "laptop" }, "laptop").host).toBe("127.0.0.1");
  });

  it("refuses what is no port", () => {
    for (const port of ["0", "70000", "abc", "3000.5"]) expect(() => listenAddress({ port }, {})).toThrow(/is not a port/);
  });

  it("is shown as one can open it", () => {
    expect(pageUrl("127.0.0.1", 3000)).toBe("http://localhost:3000");
    expect(pageUrl("192.168.1.5", 3000)).toBe("http://192.168.1.5:3000");
    expect(pageUrl("fe80::1", 3000)).toBe("http://[fe80::1]:3000");
  });

  it("says so when the port is taken", async () => {
    const port = await freePort();
    await assertPortFree("127.0.0.1", port);
    const other = createServer().listen(port, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    await expect(assertPortFree("127.0.0.1", port)).rejects.toThrow(`Port ${port} is taken`);
    await new Promise((resolve) => other.close(resolve));
  });
});

describe("the server's end", () => {
  it("is a success where it was asked for, and never where the server crashed", () => {
    expect([exitCodeOf(0, null), exitCodeOf(130, null), exitCodeOf(143, null), exitCodeOf(null, "SIGTERM")]).toEqual([0, 0, 0, 0]);
    expect(exitCodeOf(1, null)).toBe(1);
    expect(() => exitCodeOf(null, "SIGABRT")).toThrow("The server crashed (SIGABRT).");
  });
});

describe("Chromium", () => {
  it("is looked for on the path and in each system's usual places", () => {
    expect(chromiumCandidates("linux", { PATH: "/a:/b" })).toEqual(
      expect.arrayContaining(["/a/chromium", "/b/google-chrome", "/usr/bin/chromium"]),
    );
    expect(chromiumCandidates("darwin", { PATH: "", HOME: "/h" })).toContain(
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    );
    expect(chromiumCandidates("win32", { Path: "C:\\x", PROGRAMFILES: "C:\\Program Files" })).toEqual(
      expect.arrayContaining(["C:\\x\\chrome.exe", "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"]),
    );
  });

  it("is the one that CHROME_PATH names, or a sentence when that is wrong", () => {
    expect(findChromium({ CHROME_PATH: process.execPath })).toBe(process.execPath);
    expect(() => findChromium({ CHROME_PATH: "/nowhere/chrome" })).toThrow(SetupError);
    expect(findChromium({ CHROME_PATH: "", PATH: "" }) ?? "").not.toBe("/nowhere/chrome");
  });

  it("is the installed one, else Playwright's, downloaded once", async () => {
    const said: string[] = [];
    const say = (what: string) => void said.push(what);
    let there: string | null = null;
    let downloads = 0;
    const fetchOwn = async () => {
      downloads += 1;
      there = "/cache/chrome";
      return { code: 0, output: "" };
    };
    const own = async () => there;
    expect(await ensureChromium(say, { installed: () => "/usr/bin/chromium", own, fetchOwn })).toBe("/usr/bin/chromium");
    expect(await ensureChromium(say, { installed: () => null, own, fetchOwn })).toBe("/cache/chrome");
    expect(await ensureChromium(say, { installed: () => null, own, fetchOwn })).toBe("/cache/chrome");
    expect([downloads, said.length]).toEqual([1, 1]);
  });

  it("that is nowhere and cannot be downloaded is asked for, with what the download said", async () => {
    const failed = ensureChromium(() => undefined, {
      installed: () => null,
      own: async () => null,
      fetchOwn: async () => ({ code: 1, output: "Error: getaddrinfo EAI_AGAIN" }),
    });
    await expect(failed).rejects.toThrow(/None was found[\s\S]*EAI_AGAIN/);
    await expect(failed).rejects.toMatchObject({ fix: expect.stringContaining("apt-get install chromium") });
  });
});

describe("versions", () => {
  it("of Python are read and compared", () => {
    expect(pythonVersion("Python 3.11.7\n")).toEqual([3, 11]);
    expect(pythonVersion("nothing")).toBeNull();
    expect(isRecentPython([3, 10])).toBe(false);
    expect(isRecentPython([3, 11])).toBe(true);
    expect(isRecentPython([4, 0])).toBe(true);
    expect(isRecentPython(null)).toBe(false);
  });

  it("of Node are refused below the oldest that everything runs on", () => {
    for (const version of ["18.20.0", "20.8.1"]) expect(() => assertNode(version)).toThrow(version);
    for (const version of ["20.9.0", "20.10.0", "21.0.0", "22.0.0", "24.1.0"]) expect(() => assertNode(version)).not.toThrow();
  });
});

it("durations are told in seconds, then in minutes", () => {
  expect(duration(1234)).toBe("1.2 s");
  expect(duration(125_000)).toBe("2 min 5 s");
});
