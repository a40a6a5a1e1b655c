import { createWriteStream } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { FacetError } from "@/lib/core/errors";
import type { FolderFormat } from "@/lib/export/export-dictionaries";
import { progressPrinter } from "./progress";
import { splitVersion } from "./version-ref";

export interface ExportCommandOptions {
  out?: string;
  format: string;
  query?: string;
}

const formats = ["bundle", "paper", "neuronpedia", "csv"] as const;

const wrong = (message: string, fix: string) => new FacetError("invalid_request", message, { fix });

/** What it says while it writes; nothing where the standard output is the file. */
function printer() {
  const { show, end } = progressPrinter();
  const started = performance.now();
  return {
    show(file: string, done: number, total: number) {
      const seconds = (performance.now() - started) / 1_000;
      show({ stage: file, done, total, rowsPerSecond: done ? Math.round(done / Math.max(seconds, 0.001)) : 0 });
    },
    end,
  };
}

async function exportCsv(db: Database, named: string, { out, query = "" }: ExportCommandOptions, signal: AbortSignal): Promise<void> {
  const { parseListAddress } = await import("@/lib/export/list-address");
  const { featureCsv } = await import("@/lib/export/feature-csv");
  const { locateVersion } = await import("@/lib/catalog/dictionaries");
  const { featureHistograms } = await import("@/lib/catalog/histograms");
  const { measuredIn, usualSort, withUsualSort } = await import("@/lib/core/usual-sort");
  const { writeFile } = await import("@/lib/formats/output");
  const { ref, version } = splitVersion(named);
  const address = parseListAddress(ref, query);
  const asked = version === undefined ? address.version : (await locateVersion(db, ref, version)).dictionary.version;
  const usual = usualSort(measuredIn(await featureHistograms(db, ref, asked)));
  const { lines } = await featureCsv(db, withUsualSort(address.query, address.sorted, usual), asked);
  const text = () => Readable.from(lines, { objectMode: false });
  if (out !== undefined) {
    await writeFile(out, (draft) => pipeline(text(), createWriteStream(draft, { flags: "wx" }), { signal }), signal);
    console.log(`Written to ${out}`);
    return;
  }
  await pipeline(text(), process.stdout, { signal, end: false }).catch((error: NodeJS.ErrnoException) => {
    // Whoever reads has read enough, as `head` does.
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  });
}

async function exportFolder(db: Database, refs: string[], format: FolderFormat, out: string, signal: AbortSignal): Promise<void> {
  const { exportDictionaries } = await import("@/lib/export/export-dictionaries");
  const progress = printer();
  const files = await exportDictionaries(db, refs.map(splitVersion), format, out, progress.show, signal).finally(progress.end);
  for (const { name, count, unit } of files) console.log(`  ${name}: ${count.toLocaleString("en")} ${unit}`);
  console.log(`Written to ${out}`);
}

/** Writes dictionaries of one model in a format that Facet or another tool reads. Nothing half-written is left under the name given. */
export async function exportCommand(refs: string[], options: ExportCommandOptions): Promise<void> {
  const { query } = options;
  const format = formats.find((one) => one === options.format);
  if (!format) throw wrong(`There is no format "${options.format}".`, `Choose among ${formats.join(", ")}.`);
  const out = options.out === undefined ? undefined : path.resolve(options.out);
  if (query !== undefined && format !== "csv") throw wrong("--query narrows a list, which only --format csv writes.", "Leave --query out.");
  if (format === "csv" && refs.length !== 1) throw wrong("A list is of one dictionary.", "Name one.");
  if (format !== "csv" && out === undefined) throw wrong("Nothing says where to.", "Add --out FOLDER.");
  refs.forEach(splitVersion);
  // Before the catalogue is opened: a place that is taken is said at once.
  if (out !== undefined) await (await import("@/lib/formats/output")).assertFree(out, format === "csv" ? "file" : "folder");
  const stop = new AbortController();
  // The first interrupt ends the export with nothing left behind; a second one ends the process, and its draft stays.
  const interrupt = () => {
    console.error("Stopping; once more ends at once.");
    stop.abort();
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const db = await openDatabase();
  try {
    if (format === "csv") await exportCsv(db, refs[0] as string, { ...options, out }, stop.signal);
    else await exportFolder(db, refs, format, out as string, stop.signal);
  } catch (error) {
    if (stop.signal.aborted && !(error instanceof FacetError))
      throw new FacetError("cancelled", "The export was stopped.", { cause: error });
    throw error;
  } finally {
    await db.close();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
