import { expect, it } from "vitest";
import { playwrightFailures, pytestFailures, vitestFailures } from "./failures.mjs";

it("names vitest's failed tests with the first lines of why, without colours, and files that do not load", () => {
  const report = {
    testResults: [
      {
        name: "a.test.ts",
        status: "failed",
        assertionResults: [
          { status: "passed", fullName: "holds" },
          {
            status: "failed",
            fullName: "adds two",
            failureMessages: ["\u001b[31mAssertionError\u001b[39m: expected 3 to be 4\n\n    at a.test.ts:3"],
          },
        ],
      },
      { name: "b.test.ts", status: "failed", message: "Cannot find module x", assertionResults: [] },
      { name: "c.test.ts", status: "passed", assertionResults: [{ status: "passed", fullName: "holds" }] },
    ],
  };
  expect(vitestFailures(report)).toEqual([
    { test: "a.test.ts › adds two", why: "AssertionError: expected 3 to be 4\nat a.test.ts:3" },
    { test: "b.test.ts", why: "Cannot find module x" },
  ]);
});

it("names Playwright's failed tests by file, group and title, and errors outside tests", () => {
  const failed = { title: "opens", ok: false, tests: [{ results: [{ error: { message: "Timeout" } }] }] };
  const report = {
    suites: [{ title: "a.spec.ts", specs: [{ title: "holds", ok: true, tests: [] }], suites: [{ title: "on a phone", specs: [failed] }] }],
    errors: [{ message: "The server did not start." }],
  };
  expect(playwrightFailures(report)).toEqual([
    { test: "a.spec.ts › on a phone › opens", why: "Timeout" },
    { test: "outside any test", why: "The server did not start." },
  ]);
});

it("names pytest's failed tests and errors in set-up", () => {
  const xml = `<testsuites><testsuite tests="3"><testcase classname="demo.test_model" name="test_ok" time="1" /><testcase classname="demo.test_model" name="test_sum[a]" time="0.1"><failure message="assert 1 == 2&#10;  where 1 = &lt;x&gt;">E</failure></testcase><testcase classname="demo.test_x" name="test_up" time="0"><error message="no file">E</error></testcase></testsuite></testsuites>`;
  expect(pytestFailures(xml)).toEqual([
    { test: "demo.test_model › test_sum[a]", why: "assert 1 == 2\nwhere 1 = <x>" },
    { test: "demo.test_x › test_up", why: "no file" },
  ]);
});
