/** What the set-up promises of Node, of the lock and of its own scripts, held against the files themselves. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { inRoot, root } from "./paths.mjs";
import { assertNode } from "./step.mjs";

const semver: { satisfies(version: string, range: string): boolean } = createRequire(import.meta.url)("semver");
const readJson = (name: string) => JSON.parse(readFileSync(inRoot(name), "utf8"));

interface Locked {
  version: string;
  engines?: { node?: string };
  optional?: boolean;
  resolved?: string;
}
const lock: Record<string, Locked> = readJson("package-lock.json").packages;
const oldest = "20.9.0";

/** Packages that ask for a later Node than ours, of which we use only what runs on ours: the suites run it there. */
const partly = {
  "dependency-cruiser": "its cruise(); the reports and the command are what asks",
  watskeburt: "of dependency-cruiser's command",
  "node-pg-migrate": "its runner(); making new files from templates is what asks",
  yargs: "of node-pg-migrate's command",
  "yargs-parser": "of node-pg-migrate's command",
};

describe("the oldest Node", () => {
  it("is the same in package.json, in the set-up's check and in the README", () => {
    expect(readJson("package.json").engines.node).toBe(`>=${oldest}`);
    expect(() => assertNode(oldest)).not.toThrow();
    expect(readFileSync(inRoot("README.md"), "utf8")).toContain("Node ≥ 20.9");
  });

  it("runs every locked package", () => {
    const refused = Object.entries(lock)
      .filter(([place, { engines, optional }]) => place && !optional && engines?.node && !semver.satisfies(oldest, engines.node))
      .map(([place]) => place.replace(/^.*node_modules\//, ""));
    expect(refused.sort()).toEqual(Object.keys(partly).sort());
  });
});

describe("the lock", () => {
  it("names no host: whoever installs uses the registry that they have set", () => {
    expect(Object.entries(lock).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    expect(readFileSync(inRoot(".npmrc"), "utf8")).toContain("omit-lockfile-registry-resolved=true");
  });

  it("installs without running anything of a package, also where npm is called by hand", () => {
    expect(readFileSync(inRoot(".npmrc"), "utf8")).toMatch(/^ignore-scripts=true$/m);
  });
});

/** Every file that `entry` reaches by static imports, and the packages named on the way. */
function imports(entry: string, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(entry)) return seen;
  const text = readFileSync(inRoot(entry), "utf8");
  const named = [...text.matchAll(/^import\b[^"']*?["']([^"']+)["']/gm)].map(([, name]) => name ?? "");
  seen.set(
    entry,
    named.filter((name) => !name.startsWith(".") && !name.startsWith("node:")),
  );
  for (const name of named) {
    if (name.startsWith(".")) imports(path.relative(root, path.resolve(path.dirname(inRoot(entry)), name)), seen);
  }
  return seen;
}

describe("TypeScript", () => {
  it("is strict, over every file of ours", () => {
    const { compilerOptions, include } = readJson("tsconfig.json");
    expect(compilerOptions).toMatchObject({ strict: true, noUncheckedIndexedAccess: true, checkJs: true });
    expect(include).toEqual(expect.arrayContaining(["**/*.ts", "**/*.tsx", "cli/**/*.mjs", "e2e/**/*.mjs"]));
  });
});

describe("the set-up's scripts", () => {
  it.each(["cli/start.mjs", "cli/setup.mjs", "cli/test.mjs", "e2e/serve.mjs"])("%s starts without any package", (entry) => {
    const reached = imports(entry);
    expect(reached.size).toBeGreaterThan(4);
    expect([...reached].filter(([, packages]) => packages.length > 0)).toEqual([]);
  });

  it("are all that package.json promises", () => {
    const { scripts } = readJson("package.json");
    expect(Object.keys(scripts)).toEqual(
      expect.arrayContaining(["start", "test", "dev", "lint", "typecheck", "test:unit", "test:e2e", "test:worker"]),
    );
    const files = new Set(readdirSync(inRoot("cli")));
    for (const [, file] of JSON.stringify(scripts).matchAll(/cli\/([\w-]+\.\w+)/g)) expect(files).toContain(file);
  });
});
