/** Dictionaries of the catalogue as the files of a format, in a folder that is made whole or not at all. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Database } from "@/lib/catalog/db";
import { withExport } from "@/lib/catalog/export-source";
import { textExamples } from "@/lib/catalog/text-examples";
import { writeBundle } from "@/lib/formats/bundle-write";
import { writeFolder } from "@/lib/formats/output";
import type { SourceDictionary } from "@/lib/formats/source";
import { writeNeuronpediaFiles } from "./neuronpedia";
import { writePaperFiles } from "./paper";
import type { OnProgress } from "./progress";

export type FolderFormat = "bundle" | "paper" | "neuronpedia";

export interface WrittenFile {
  name: string;
  count: number;
  /** What is counted. */
  unit: "rows" | "features" | "lines";
}

const written = (counts: object, unit: WrittenFile["unit"], inside = ""): WrittenFile[] =>
  Object.entries(counts).map(([name, count]) => ({ name: path.join(inside, name), count: count as number, unit }));

/**
 * Writes the dictionaries of one model, each `<model>/<dictionary>` with perhaps the first digits of its hash, into `folder`; several of them
 * into a folder each, in the formats that are of one. Throws what `withExport` and `writeFolder` throw, with nothing written.
 */
export async function exportDictionaries(
  db: Database,
  named: { ref: string; version?: string }[],
  format: FolderFormat,
  folder: string,
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<WrittenFile[]> {
  return withExport(db, named, async (source, client) => {
    if (format === "bundle") {
      const progress =
        onProgress && (({ file, rows, total }: { file: string; rows: number; total: number }) => onProgress(file, rows, total));
      const { files } = await writeBundle(source, folder, progress, signal);
      return Object.entries(files).map(([name, { rows = 0 }]) => ({ name, count: rows, unit: "rows" as const }));
    }
    const write = async (dictionary: SourceDictionary, id: number, inside: string, draft: string): Promise<WrittenFile[]> => {
      const at = path.join(draft, inside);
      await mkdir(at, { recursive: true });
      if (format === "paper") return written(await writePaperFiles(dictionary, at, onProgress, signal), "features", inside);
      const examples = textExamples(client, id, dictionary.entry.num_latents);
      return written(await writeNeuronpediaFiles(source, dictionary, examples, at, onProgress, signal), "lines", inside);
    };
    return writeFolder(
      folder,
      async (draft) => {
        const files: WrittenFile[] = [];
        for (const [i, dictionary] of source.dictionaries.entries()) {
          // Several dictionaries' files have equal names.
          const inside = source.dictionaries.length > 1 ? dictionary.entry.id : "";
          files.push(...(await write(dictionary, source.ids[i] ?? 0, inside, draft)));
        }
        return files;
      },
      signal,
    );
  });
}
