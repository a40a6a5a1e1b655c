import { existsSync } from "node:fs";
import path from "node:path";
import { cruise } from "dependency-cruiser";
import { root } from "../setup/paths.mjs";

/**
 * Which folders each folder may import from, besides itself. A folder that is not named here may import nothing of ours.
 * @type {Record<string, string[]>}
 */
export const arrows = {
  app: ["components", "lib"],
  // The same pages without a server.
  site: ["app", "components", "lib/core", "lib/api"],
  // The engine in the tab is the one part of an engine that a page starts.
  components: ["lib/core", "lib/api", "lib/engine/web"],
  "lib/core": [],
  // Pictures are formats too, and sharp reads them.
  "lib/formats": ["lib/core", "lib/sharp"],
  // What a dictionary's record says of its engine is asked of the workers.
  "lib/catalog": ["lib/core", "lib/formats", "lib/generated", "lib/workers", "lib/env", "lib/sharp"],
  "lib/search": ["lib/core", "lib/catalog", "lib/env", "lib/log"],
  "lib/export": ["lib/core", "lib/catalog", "lib/formats", "lib/search"],
  // The engine reads weights as stored: safetensors is a format like the others.
  "lib/engine": ["lib/core", "lib/formats", "lib/workers", "lib/env", "lib/sharp"],
  "lib/workers": ["lib/core", "lib/env", "lib/log"],
  // In a copy without a server its answers are made in the tab, by a module that is loaded there alone.
  "lib/api": ["lib/core", "lib/static"],
  "lib/static": ["lib/core", "lib/api", "lib/search", "lib/catalog", "lib/engine"],
  // Pictures of pages, drawn from records.
  "lib/card": ["lib/core", "lib/env", "lib/sharp"],
  cli: ["lib"],
};

const tests = "\\.test\\.tsx?$";
/** @param {string[]} folders */
const under = (folders) => `^(${folders.join("|")})(/|\\.ts$)`;

/** @returns {import("dependency-cruiser").IForbiddenRuleType[]} */
export function rules() {
  const ours = under(["app", "site", "components", "lib", "cli", "e2e", "bench", "prisma", "demo", "worker"]);
  /** @type {import("dependency-cruiser").IForbiddenRuleType[]} */
  const directions = Object.entries(arrows).map(([folder, allowed]) => ({
    name: `${folder} imports only from ${allowed.length > 0 ? allowed.join(", ") : "itself"}`,
    severity: "error",
    from: { path: under([folder]), pathNot: tests },
    to: { path: ours, pathNot: under([folder, ...allowed]) },
  }));
  return [
    ...directions,
    {
      name: "lib/core runs anywhere: no module of Node",
      severity: "error",
      from: { path: "^lib/core/", pathNot: tests },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "a copy without a server is answered in a browser",
      severity: "error",
      from: { path: "^lib/static/answer\\.ts$" },
      to: {
        path: under(["lib/catalog", "lib/engine", "lib/formats", "lib/generated", "lib/workers", "lib/env", "lib/log"]),
        reachable: true,
      },
    },
    // What is imported when it is needed, and not before, closes no circle of loading.
    {
      name: "no circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only", "dynamic-import"] } },
    },
    {
      name: "every import is there",
      severity: "error",
      from: { path: ours },
      to: { couldNotResolve: true, pathNot: "^(node:|server-only)|\\.css$" },
    },
  ];
}

/**
 * @param {string} [base] the repository's root
 * @returns {Promise<{ problems: string[], modules: number }>} one line for each import that goes against the arrows
 */
export async function arrowProblems(base = root) {
  const { output } = await cruise(
    ["app", "site/app", "site/views", "components", "lib", "cli", "proxy.ts"].filter((name) => existsSync(path.join(base, name))),
    {
      validate: true,
      ruleSet: { forbidden: rules() },
      baseDir: base,
      tsPreCompilationDeps: true,
      doNotFollow: { path: "node_modules" },
      exclude: { path: "^lib/generated/" },
      combinedDependencies: false,
      enhancedResolveOptions: {
        extensions: [".ts", ".tsx", ".mjs", ".js", ".json", ".css"],
        conditionNames: ["import", "node", "default", "types"],
        exportsFields: ["exports"],
      },
    },
    { alias: { "@": base } },
  );
  if (typeof output === "string") throw new Error("dependency-cruiser answered with text.");
  const problems = output.summary.violations.map(({ rule, from, to, cycle }) =>
    cycle ? `${rule.name}: ${[from, ...cycle.map(({ name }) => name)].join(" → ")}` : `${from} → ${to}: ${rule.name}`,
  );
  return { problems: [...new Set(problems)], modules: output.summary.totalCruised };
}
