import { describe, expect, it } from "vitest";
import { honest, playwrightCount, pytestCount, sentence, total, vitestCount } from "./summary.mjs";

describe("counts", () => {
  it("of vitest hold files that do not load", () => {
    const report = {
      numPassedTests: 3,
      numFailedTests: 1,
      numPendingTests: 1,
      numTodoTests: 1,
      testResults: [
        { status: "passed", assertionResults: [{ status: "passed" }] },
        { status: "failed", assertionResults: [{ status: "failed" }] },
        { status: "failed", assertionResults: [] },
      ],
    };
    expect(vitestCount(report)).toEqual({ passed: 3, failed: 2, skipped: 2 });
  });

  it("of Playwright hold errors outside tests", () => {
    const stats = { expected: 5, flaky: 1, unexpected: 2, skipped: 3 };
    expect(playwrightCount({ stats, errors: [{}] })).toEqual({ passed: 6, failed: 3, skipped: 3 });
  });

  it("of pytest hold errors in set-up", () => {
    const xml = `<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1.0"></testsuite></testsuites>`;
    expect(pytestCount(xml)).toEqual({ passed: 4, failed: 3, skipped: 3 });
  });
});

describe("a suite", () => {
  it("that ran nothing, wrote no report or broke without a failed test has failed once", () => {
    expect(honest({ passed: 0, failed: 0, skipped: 2 }, 0).failed).toBe(1);
    expect(honest(null, 1).failed).toBe(1);
    expect(honest({ passed: 4, failed: 0, skipped: 0 }, 1)).toEqual({ passed: 4, failed: 1, skipped: 0 });
    expect(honest({ passed: 4, failed: 2, skipped: 0 }, 1).failed).toBe(2);
    expect(honest({ passed: 4, failed: 0, skipped: 0 }, 0).failed).toBe(0);
  });
});

it("the closing line sums every suite and tells of skipped tests where there are any", () => {
  const sum = total([
    { passed: 1, failed: 0, skipped: 0 },
    { passed: 2, failed: 1, skipped: 0 },
  ]);
  expect(sentence(sum)).toBe("3 passed, 1 failed");
  expect(sentence({ passed: 3, failed: 0, skipped: 2 })).toBe("3 passed, 0 failed, 2 skipped");
});
