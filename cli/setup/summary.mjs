/** @typedef {import("./step.mjs").SetupError} SetupError */
import { FetchError } from "./step.mjs";

/**
 * What a suite counted.
 * @typedef {{ passed: number, failed: number, skipped: number }} Count
 */

/**
 * @param {any} report vitest's `--reporter=json`
 * @returns {Count}
 */
export function vitestCount(report) {
  // A file that does not load has no tests to count as failed.
  const broken = report.testResults.filter(
    (/** @type {any} */ file) =>
      file.status === "failed" && !file.assertionResults.some((/** @type {any} */ test) => test.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/**
 * @param {any} report Playwright's json reporter. A test that passed on its second try counts as passed; the list reporter names it.
 * @returns {Count}
 */
export function playwrightCount(report) {
  const { expected, flaky, unexpected, skipped } = report.stats;
  return { passed: expected + flaky, failed: unexpected + (report.errors ?? []).length, skipped };
}

/**
 * @param {string} xml pytest's `--junitxml`
 * @returns {Count}
 */
export function pytestCount(xml) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const [tag] of xml.matchAll(/<testsuite\s[^>]*>/g)) {
    const number = (/** @type {string} */ name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(tag)?.[1] ?? 0);
    const failed = number("failures") + number("errors");
    count.failed += failed;
    count.skipped += number("skipped");
    count.passed += Math.max(0, number("tests") - failed - number("skipped"));
  }
  return count;
}

/**
 * A suite whose runner failed without a failed test, or that ran nothing, has failed once.
 * @param {Count | null} count null: no report was written
 * @param {number} exitCode
 * @returns {Count}
 */
export function honest(count, exitCode) {
  const sure = count ?? { passed: 0, failed: 0, skipped: 0 };
  const silent = exitCode !== 0 && sure.failed === 0;
  const empty = exitCode === 0 && sure.passed + sure.failed === 0;
  return silent || empty ? { ...sure, failed: sure.failed + 1 } : sure;
}

/**
 * A step before a suite that could not go on.
 * @param {SetupError} error
 * @param {boolean} optional whether the suite may be skipped where something cannot be fetched
 * @returns {Count}
 */
export function countOf(error, optional) {
  const skipped = optional && error instanceof FetchError;
  return { passed: 0, failed: skipped ? 0 : 1, skipped: skipped ? 1 : 0 };
}

/** @param {Count[]} counts */
export function total(counts) {
  return counts.reduce(
    (sum, count) => ({
      passed: sum.passed + count.passed,
      failed: sum.failed + count.failed,
      skipped: sum.skipped + count.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** @param {Count} count */
export function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
