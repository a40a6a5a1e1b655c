import { afterEach, expect, it, vi } from "vitest";
import { progressPrinter } from "./progress";

const terminal = process.stdout.isTTY;

afterEach(() => {
  process.stdout.isTTY = terminal;
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A minute's writing of 4,000 files of one stage, and then of another. */
function write() {
  vi.useFakeTimers();
  const printer = progressPrinter();
  for (let done = 0; done <= 4_000; done++) {
    printer.show({ stage: "demo/model.layers.1", done, total: 4_000 });
    vi.advanceTimersByTime(15);
  }
  printer.show({ stage: "pages", done: 0, total: 0 });
  printer.end();
}

it("says a line a stage and one every ten seconds where its lines are kept", () => {
  process.stdout.isTTY = false;
  const lines = vi.spyOn(console, "log").mockImplementation(() => {});
  write();
  const said = lines.mock.calls.map(([line]) => line as string);
  expect(said[0]).toBe("  demo/model.layers.1: 0 of 4,000");
  expect(said.at(-1)).toBe("  pages");
  expect(said).toHaveLength(7);
});

it("rewrites one line of a terminal, and leaves none behind", () => {
  process.stdout.isTTY = true;
  const lines = vi.spyOn(console, "log").mockImplementation(() => {});
  let written = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written += text;
    return true;
  });
  write();
  expect(lines).not.toHaveBeenCalled();
  expect(written).not.toContain("\n");
  expect(written.endsWith("\r\x1b[2K")).toBe(true);
  expect(written.split("\r").length).toBeGreaterThan(100);
});
