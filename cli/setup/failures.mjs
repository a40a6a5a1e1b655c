/**
 * The tests that failed, as the runners' reports name them: said again at the end, where whoever reads only the last lines finds them.
 * @typedef {{ test: string, why: string }} Failure
 */

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

/**
 * A message's first lines, without colours.
 * @param {string | undefined} message
 */
function first(message) {
  const lines = (message ?? "").replace(ESCAPES, "").split("\n");
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(0, 6)
    .join("\n");
}

/**
 * @param {any} report vitest's `--reporter=json`
 * @returns {Failure[]}
 */
export function vitestFailures(report) {
  return report.testResults.flatMap((/** @type {any} */ file) => {
    const tests = file.assertionResults
      .filter((/** @type {any} */ test) => test.status === "failed")
      .map((/** @type {any} */ test) => ({ test: `${file.name} › ${test.fullName}`, why: first((test.failureMessages ?? [])[0]) }));
    // A file that does not load has no tests that could be named.
    return tests.length > 0 || file.status !== "failed" ? tests : [{ test: file.name, why: first(file.message) }];
  });
}

/**
 * @param {any} report Playwright's json reporter
 * @returns {Failure[]}
 */
export function playwrightFailures(report) {
  /** @type {(suite: any, path: string[]) => Failure[]} */
  const within = (suite, path) => {
    const here = [...path, suite.title].filter(Boolean);
    const own = (suite.specs ?? [])
      .filter((/** @type {any} */ spec) => !spec.ok)
      .map((/** @type {any} */ spec) => {
        const results = spec.tests.flatMap((/** @type {any} */ test) => test.results);
        const message = results.map((/** @type {any} */ result) => result.error?.message).find(Boolean);
        return { test: [...here, spec.title].join(" › "), why: first(message) };
      });
    return [...own, ...(suite.suites ?? []).flatMap((/** @type {any} */ one) => within(one, here))];
  };
  const outside = (report.errors ?? []).map((/** @type {any} */ error) => ({ test: "outside any test", why: first(error.message) }));
  return [...(report.suites ?? []).flatMap((/** @type {any} */ suite) => within(suite, [])), ...outside];
}

/** @param {string} text of an XML attribute */
const plain = (text) =>
  text
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&amp;/g, "&");

/**
 * @param {string} xml pytest's `--junitxml`
 * @returns {Failure[]}
 */
export function pytestFailures(xml) {
  return [...xml.matchAll(/<testcase\s([^>]*[^/])>\s*<(?:failure|error)\s([^>]*)>/g)].map(([, test = "", failure = ""]) => {
    const of = (/** @type {string} */ text, /** @type {string} */ name) => plain(new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1] ?? "");
    return { test: [of(test, "classname"), of(test, "name")].filter(Boolean).join(" › "), why: first(of(failure, "message")) };
  });
}
