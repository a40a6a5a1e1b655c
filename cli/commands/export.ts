import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { FacetError } from "@/lib/core/errors";
import { splitVersion } from "./version-ref";

export const exportFormats = ["bundle", "paper", "neuronpedia", "csv"] as const;
type Format = (typeof exportFormats)[number];

export interface ExportCommandOptions {
  out?: string;
  format: string;
  query?: string;
}

const number = (value: number) => value.toLocaleString("en");

/** The list that `--query` describes, as a page's address has it after the question mark, into a file or onto the standard output. */
async function exportCsv(db: Database, ref: string, { out, query = "" }: ExportCommandOptions): Promise<void> {
  const { parseFeatureQuery } = await import("@/lib/core/feature-query");
  const { featureCsv } = await import("@/lib/export/feature-csv");
  const params = new URLSearchParams(query.replace(/^.*\?/, ""));
  params.set("dictionary", ref);
  for (const key of ["limit", "cursor", "view", "v"]) params.delete(key);
  const { lines } = await featureCsv(db, parseFeatureQuery(params));
  if (out === undefined) {
    for await (const text of lines) process.stdout.write(text);
    return;
  }
  if (existsSync(out)) throw new FacetError("invalid_request", `${out} is there already.`, { fix: "Name another file." });
  const draft = `${out}.part`;
  try {
    await pipeline(Readable.from(lines, { objectMode: false }), createWriteStream(draft));
    await rename(draft, out);
  } finally {
    await rm(draft, { force: true });
  }
}

async function exportFolder(db: Database, refs: string[], format: Exclude<Format, "csv">, out: string): Promise<void> {
  const { withExport } = await import("@/lib/catalog/export-source");
  const { writeBundle, writeFolder } = await import("@/lib/formats/bundle-write");
  await withExport(db, refs.map(splitVersion), async (source, client) => {
    if (format === "bundle") {
      const manifest = await writeBundle(source, out);
      for (const [name, { rows = 0, bytes }] of Object.entries(manifest.files)) {
        console.log(`  ${name}: ${number(rows)} rows, ${number(bytes)} bytes`);
      }
      return;
    }
    await writeFolder(out, async (draft) => {
      for (const [i, dictionary] of source.dictionaries.entries()) {
        // Several dictionaries' files have equal names.
        const folder = source.dictionaries.length > 1 ? path.join(draft, dictionary.entry.id) : draft;
        const { mkdir } = await import("node:fs/promises");
        await mkdir(folder, { recursive: true });
        if (format === "paper") {
          const { writePaperFiles } = await import("@/lib/export/paper");
          for (const [name, features] of Object.entries(await writePaperFiles(dictionary, folder))) {
            console.log(`  ${name}: ${number(features)} features`);
          }
          continue;
        }
        const { writeNeuronpediaFiles } = await import("@/lib/export/neuronpedia");
        const { textExamples } = await import("@/lib/catalog/text-examples");
        const examples = textExamples(client, source.ids[i] ?? 0, dictionary.entry.num_latents);
        for (const [name, lines] of Object.entries(await writeNeuronpediaFiles(source, dictionary, examples, folder))) {
          console.log(`  ${name}: ${number(lines)} lines`);
        }
      }
    });
  });
}

/** Writes dictionaries of one model in a format that Facet or another tool reads. Nothing half-written is left under the name given. */
export async function exportCommand(refs: string[], options: ExportCommandOptions): Promise<void> {
  const format = exportFormats.find((one) => one === options.format);
  if (!format)
    throw new FacetError("invalid_request", `There is no format "${options.format}".`, {
      fix: `Choose among ${exportFormats.join(", ")}.`,
    });
  const out = options.out === undefined ? undefined : path.resolve(options.out);
  if (options.query !== undefined && format !== "csv") {
    throw new FacetError("invalid_request", "--query narrows a list, which only --format csv writes.", { fix: "Leave --query out." });
  }
  const db = await openDatabase();
  try {
    if (format === "csv") {
      const [ref, ...more] = refs;
      if (ref === undefined || more.length) throw new FacetError("invalid_request", "A list is of one dictionary.", { fix: "Name one." });
      await exportCsv(db, splitVersion(ref).ref, { ...options, out });
      return;
    }
    if (out === undefined) throw new FacetError("invalid_request", "Nothing says where to.", { fix: "Add --out FOLDER." });
    await exportFolder(db, refs, format, out);
    console.log(`Written to ${out}`);
  } finally {
    await db.close();
  }
}
