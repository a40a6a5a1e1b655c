/**
 * `npm test`: sets up what is missing, runs every suite even where an earlier one failed, and ends with one line that sums them all.
 * `--only lint,types,unit,worker,e2e` runs some of them.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { ensureBuild, ensurePrismaClient, nextBin, nextEnv } from "./setup/build.mjs";
import { ensureChromium } from "./setup/chromium.mjs";
import { ensureExtras, withoutExtras } from "./setup/extras.mjs";
import { playwrightFailures, pytestFailures, vitestFailures } from "./setup/failures.mjs";
import { clearGuardLog, guardedEnv, guardLog } from "./setup/guard.mjs";
import { ensurePackages } from "./setup/packages.mjs";
import { inRoot } from "./setup/paths.mjs";
import { catalogueTests, ensurePostgres, startPostgres } from "./setup/postgres.mjs";
import { capture } from "./setup/processes.mjs";
import { ensurePython, venvPython } from "./setup/python.mjs";
import { assertNode, duration, runMain, SetupError, step } from "./setup/step.mjs";
import { countOf, honest, playwrightCount, pytestCount, sentence, total, vitestCount } from "./setup/summary.mjs";

/** @typedef {import("./setup/summary.mjs").Count} Count */

const reports = inRoot("artefacts", "reports");
/** @param {string} name */
const bin = (name) => inRoot("node_modules", ...name.split("/"));

/** @type {{ name: string, count: Count, took: string }[]} */
const results = [];
/** @type {{ name: string, failures: import("./setup/failures.mjs").Failure[] }[]} */
const failed = [];

/**
 * Runs one suite with its output shown. Without `count`, the command is one check that passes or fails whole.
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string | undefined>, report?: string, count?: (text: string) => Count, named?: (text: string) => import("./setup/failures.mjs").Failure[] }} [options]
 */
async function suite(name, command, args, { env, report, count, named } = {}) {
  console.log(`\n── ${name} ${"─".repeat(Math.max(0, 76 - name.length))}`);
  const started = performance.now();
  if (report) rmSync(report, { force: true });
  const { code } = await capture(command, args, { env, show: true });
  /** @type {Count | null} */
  let counted = null;
  if (!count) counted = { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  else if (report && existsSync(report)) {
    const text = readFileSync(report, "utf8");
    counted = count(text);
    failed.push({ name, failures: named?.(text) ?? [] });
  }
  results.push({ name, count: honest(counted, code), took: duration(performance.now() - started) });
}

/** What did not run for want of a network, a sentence each: said again at the end. */
/** @type {string[]} */
const left = [];

/**
 * A step that a suite needs: where it cannot go on, that suite fails with its sentences, and the others still run. `optional`: where
 * something cannot be fetched, and nothing else is wrong, the suite counts as skipped, and the sentence says what did not run.
 * @param {string} name
 * @param {(say: (what: string) => void) => Promise<string> | string} work
 * @param {string} [optional]
 */
async function prepared(name, work, optional) {
  const started = performance.now();
  try {
    await step(name, work);
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}\n${error.fix ?? ""}`);
    const count = countOf(error, optional !== undefined);
    if (count.skipped && optional) left.push(optional);
    results.push({ name, count, took: duration(performance.now() - started) });
    return false;
  }
}

// Where Python may not keep what it compiled, every process that a test starts compiles PyTorch anew: 15 seconds each.
delete process.env.PYTHONDONTWRITEBYTECODE;

const node = process.execPath;

/** Test files that run beside each other, in Vitest and in pytest. One leaves half of a small machine idle; each holds a model or a database. */
const beside = Math.min(4, Math.max(2, availableParallelism()));

/**
 * @param {string} name
 * @param {string} file of the report
 * @param {string[]} tests files; none: all
 * @param {string | undefined} server a PostgreSQL server for the tests' catalogues; undefined: the embedded database
 * @param {Record<string, string>} [env]
 */
async function vitest(name, file, tests, server, env = {}) {
  const report = inRoot("artefacts", "reports", file);
  const args = [
    bin("vitest/vitest.mjs"),
    "run",
    ...tests,
    `--maxWorkers=${beside}`,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ];
  await suite(name, node, args, {
    env: { FACET_TEST_DATABASE_URL: server ?? "", ...env },
    report,
    count: (text) => vitestCount(JSON.parse(text)),
    named: (text) => vitestFailures(JSON.parse(text)),
  });
}

/**
 * The catalogue's tests again, on a real server: the one that FACET_TEST_DATABASE_URL names, else one of our own. Only where that cannot be
 * fetched for want of a network do they count as skipped; a wrong hash or a server that does not start fails.
 */
async function onServer() {
  const given = process.env.FACET_TEST_DATABASE_URL;
  if (given) return vitest("vitest: PostgreSQL", "vitest-postgres.json", catalogueTests(), given);
  const without =
    "NOT RUN: the catalogue's tests on PostgreSQL, whose server could not be fetched; they ran on the embedded database only. Run this again with a network, or name a server in FACET_TEST_DATABASE_URL.";
  if (!(await prepared("PostgreSQL", ensurePostgres, without))) return;
  /** @type {Awaited<ReturnType<typeof startPostgres>> | undefined} */
  let server;
  const started = await prepared("PostgreSQL", async () => {
    server = await startPostgres();
    return "a server of the tests' own runs";
  });
  if (!started || !server) return;
  try {
    await vitest("vitest: PostgreSQL", "vitest-postgres.json", catalogueTests(), server.url);
  } finally {
    await server.stop();
  }
}

const groups = {
  async lint() {
    await suite("biome: format and lint", node, [bin("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."]);
    await suite("folders: import directions, sizes, addresses", node, [inRoot("cli", "check-imports.mjs")]);
  },
  async types() {
    await suite("next: route types", node, [nextBin, "typegen"], { env: nextEnv });
    await suite("tsc: types", node, [bin("typescript/bin/tsc"), "--noEmit"]);
  },
  async unit() {
    await vitest("vitest", "vitest.json", [], undefined);
    await onServer();
  },
  async worker() {
    if (!(await prepared("Python", ensurePython))) return;
    await prepared("Extras", ensureExtras, withoutExtras);
    await suite("ruff: Python lint", venvPython, ["-m", "ruff", "check", "worker", "demo"]);
    await suite("ruff: Python format", venvPython, ["-m", "ruff", "format", "--check", "worker", "demo"]);
    await suite("mypy: Python types", venvPython, ["-m", "mypy"]);
    const report = inRoot("artefacts", "reports", "pytest.xml");
    // Whole files, in the order of pytest.ini: the demo's recipe, which takes the longest, comes first. Each process computes on one core.
    await suite(
      "pytest",
      venvPython,
      ["-m", "pytest", "-n", String(beside), "--dist", "loadfile", "--no-loadscope-reorder", `--junitxml=${report}`],
      { env: { OMP_NUM_THREADS: "1" }, report, count: pytestCount, named: pytestFailures },
    );
    await vitest("vitest: engine over a real worker", "vitest-worker.json", ["worker-test"], undefined, { FACET_TEST_WORKER: "1" });
  },
  async e2e() {
    let browser = "";
    clearGuardLog();
    const ready =
      (await prepared("Build", (say) => ensureBuild(say, guardedEnv))) &&
      (await prepared("Browser", async (say) => {
        browser = await ensureChromium(say);
        return browser;
      }));
    if (!ready) return;
    const report = inRoot("artefacts", "reports", "playwright.json");
    await suite("playwright", node, [bin("@playwright/test/cli.js"), "test"], {
      env: { CHROME_PATH: browser, FACET_GUARD_LOG: guardLog },
      report,
      count: (text) => playwrightCount(JSON.parse(text)),
      named: (text) => playwrightFailures(JSON.parse(text)),
    });
  },
};

/** @typedef {keyof typeof groups} Group */

function chosen() {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const all = /** @type {Group[]} */ (Object.keys(groups));
  if (!values.only) return all;
  const names = values.only.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !all.some((group) => group === name));
  if (unknown !== undefined) throw new SetupError(`There is no suite "${unknown}".`, `Choose among ${all.join(", ")}.`);
  return all.filter((group) => names.includes(group));
}

await runMain(async () => {
  assertNode();
  const wanted = chosen();
  const started = performance.now();
  mkdirSync(reports, { recursive: true });
  if ((await prepared("Packages", ensurePackages)) && (await prepared("Database", ensurePrismaClient))) {
    for (const group of wanted) await groups[group]();
  }

  const width = Math.max(...results.map(({ name }) => name.length));
  console.log(`\n── all suites, ${duration(performance.now() - started)} ${"─".repeat(50)}`);
  for (const { name, count, took } of results)
    console.log(`${count.failed > 0 ? "✗" : count.passed > 0 ? "✓" : "–"} ${name.padEnd(width)}  ${sentence(count)} (${took})`);
  for (const { name, failures } of failed)
    for (const { test, why } of failures)
      console.log(`\n✗ ${name}: ${test.replace(`${inRoot()}/`, "")}\n  ${why.replaceAll("\n", "\n  ")}`);
  const sum = total(results.map(({ count }) => count));
  console.log(`\n${sentence(sum)}`);
  for (const one of left) console.log(one);
  return sum.failed > 0 ? 1 : 0;
});
