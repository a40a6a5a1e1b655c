import type { ImportProgress } from "@/lib/catalog/import-progress";

const number = new Intl.NumberFormat("en");

/** What is told of a long command: rows or files done of how many, 0 of 0 where nothing counts them. */
export type Progress = Pick<ImportProgress, "stage" | "done" | "total"> & Partial<ImportProgress>;

/** One line that rewrites itself on a terminal; elsewhere a line a stage, and one every ten seconds of a long one. */
export function progressPrinter(): { show(progress: Progress): void; end(): void } {
  const live = process.stdout.isTTY;
  let stage = "";
  let shown = 0;
  return {
    show(progress) {
      const now = Date.now();
      if (progress.stage === stage && now - shown < (live ? 100 : 10_000)) return;
      const rate = progress.rowsPerSecond ? `, ${number.format(progress.rowsPerSecond)} rows/s` : "";
      const counted = progress.total ? `${number.format(progress.done)} of ${number.format(progress.total)}${rate}` : progress.detail;
      const line = `  ${progress.stage}${counted ? `: ${counted}` : ""}`;
      if (live) process.stdout.write(`\r\x1b[2K${line}`);
      else console.log(line);
      stage = progress.stage;
      shown = now;
    },
    end() {
      if (live && stage) process.stdout.write("\r\x1b[2K");
    },
  };
}
