import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arrowProblems } from "./arrows.mjs";
import { addressProblems, lengthProblem, nameProblem, pythonProblems } from "./texts.mjs";

function tree(files: Record<string, string>): string {
  const base = mkdtempSync(path.join(tmpdir(), "facet-arrows-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(base, name)), { recursive: true });
    writeFileSync(path.join(base, name), text);
  }
  return base;
}

describe("import directions", () => {
  it("let a folder import what lies below it", async () => {
    const base = tree({
      "lib/core/a.ts": "export const a = 1;",
      "lib/catalog/b.ts": 'import { a } from "@/lib/core/a";\nexport const b = a;',
      "app/page.ts": 'import { b } from "@/lib/catalog/b";\nexport const page = b;',
    });
    expect(await arrowProblems(base)).toEqual({ problems: [], modules: 3 });
  });

  it("are held, by alias and by path, for types too", async () => {
    const base = tree({
      "lib/core/a.ts": 'import { readFileSync } from "node:fs";\nexport const a = readFileSync;',
      "lib/engine/e.ts": "export type E = 1;\nexport const e = 1;",
      "lib/catalog/b.ts": 'import type { E } from "../engine/e";\nexport type B = E;',
      "components/c.ts": 'import { e } from "@/lib/engine/e";\nimport { gone } from "@/lib/core/gone";\nexport const c = [e, gone];',
    });
    const { problems } = await arrowProblems(base);
    expect(problems.sort()).toEqual([
      "components/c.ts → @/lib/core/gone: every import is there",
      "components/c.ts → lib/engine/e.ts: components imports only from lib/core, lib/api, lib/engine/web",
      "lib/catalog/b.ts → lib/engine/e.ts: lib/catalog imports only from lib/core, lib/formats, lib/generated, lib/workers, lib/env, lib/sharp",
      expect.stringMatching(/^lib\/core\/a\.ts → (node:)?fs: lib\/core runs anywhere/),
    ]);
  });

  it("allow no circles", async () => {
    const base = tree({
      "lib/core/a.ts": 'import { b } from "./b";\nexport const a = () => b;',
      "lib/core/b.ts": 'import { a } from "./a";\nexport const b = () => a;',
    });
    const { problems } = await arrowProblems(base);
    expect(problems.some((problem) => problem.startsWith("no circles: "))).toBe(true);
  });
});

describe("files", () => {
  it("over 400 lines give a reason in their first comment", () => {
    const long = "x\n".repeat(401);
    expect(lengthProblem({ name: "a.ts", text: "x\n".repeat(400) })).toBeNull();
    expect(lengthProblem({ name: "a.ts", text: long })).toContain("401 lines");
    expect(lengthProblem({ name: "a.ts", text: `/** Long because it is one table. */\n${long}` })).toBeNull();
  });

  it("are no barrels and say what they hold", () => {
    expect(nameProblem({ name: "components/ui/index.ts" })).toContain("barrel");
    expect(nameProblem({ name: "lib/core/utils.ts" })).not.toBeNull();
    expect(nameProblem({ name: "lib/utils/dates.ts" })).not.toBeNull();
    expect(nameProblem({ name: "app/d/[model]/[dictionary]/[index]/page.tsx" })).toBeNull();
  });

  it("write no address by hand", () => {
    const found = (text: string, name = "components/a.tsx") => addressProblems({ name, text }).length;
    expect(found('<a href="/steer">')).toBe(1);
    expect(found("<a href={`/d/x`}>")).toBe(1);
    expect(found('router.push("/steer")')).toBe(1);
    expect(found('await fetch("/api/features")')).toBe(1);
    expect(found("<a href={routes.steer()}>")).toBe(0);
    expect(found('<a href="#main">')).toBe(0);
    expect(found('<a href="/steer">', "components/a.test.tsx")).toBe(0);
  });

  it("of the worker do not import the demo", () => {
    expect(pythonProblems({ name: "worker/facet_worker/train.py", text: "import os\nfrom demo.world import Scene\n" })).toHaveLength(1);
    expect(pythonProblems({ name: "demo/recipe.py", text: "from demo.world import Scene\n" })).toEqual([]);
  });
});
