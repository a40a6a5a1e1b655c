/** Writing a source as a bundle (docs/formats.md). */
import { mkdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { dictionaryColumns, imageColumns, textColumns } from "./bundle";
import { filesHash, type Manifest, type ManifestDictionary, manifestSchema, sha256OfFile } from "./manifest";
import { writeFolder } from "./output";
import type { Columns, Row, Table } from "./parquet";
import { writeTable } from "./parquet-write";
import type { Source } from "./source";

export interface WriteProgress {
  file: string;
  /** Rows of it that are written, of `total`. */
  rows: number;
  total: number;
}

/** Rows that a group of a table holds: pictures weigh more than the rest. */
const groupRows = (name: string) => (name === "images" ? 64 : 4_096);

async function* counted<C extends Columns>(
  table: Table<C>,
  name: string,
  onProgress?: (progress: WriteProgress) => void,
  signal?: AbortSignal,
): AsyncGenerator<Row<C>[]> {
  const file = `${name}.parquet`;
  let rows = 0;
  onProgress?.({ file, rows, total: table.rows });
  for await (const batch of table.batches(groupRows(name))) {
    signal?.throwIfAborted();
    yield batch;
    rows += batch.length;
    onProgress?.({ file, rows, total: table.rows });
  }
}

/** A dictionary's folder in the bundle. */
const folderOf = (id: string) => (/^\.+$/.test(id) ? `dictionary${id}` : id);

/**
 * Writes the bundle; `folder` must not be there, or be empty. Throws as `writeWhole`, and what reading the source throws; nothing is left
 * then.
 */
export function writeBundle(
  source: Source,
  folder: string,
  onProgress?: (progress: WriteProgress) => void,
  signal?: AbortSignal,
): Promise<Manifest> {
  return writeFolder(
    folder,
    async (draft) => {
      const files: Manifest["files"] = {};
      const put = async <C extends Columns>(name: string, columns: C, table: Table<C>) => {
        const file = path.join(draft, `${name}.parquet`);
        await mkdir(path.dirname(file), { recursive: true });
        const rows = await writeTable(file, columns, counted(table, name, onProgress, signal));
        files[`${name}.parquet`] = { sha256: await sha256OfFile(file), bytes: (await stat(file)).size, rows };
      };
      await put("images", imageColumns, source.images);
      await put("texts", textColumns, source.texts);
      for (const { entry, tables: own } of source.dictionaries) {
        for (const name of Object.keys(dictionaryColumns) as (keyof typeof dictionaryColumns)[]) {
          await put(`${folderOf(entry.id)}/${name}`, dictionaryColumns[name] as Columns, own[name] as Table<Columns>);
        }
      }
      // As a reader has it, so that both count the same content.
      const manifest = manifestSchema.parse({
        format: "facet-bundle/1",
        model: source.model,
        attribution: source.attribution,
        dictionaries: source.dictionaries.map(({ entry: { origin: _, ...entry } }) => ({ ...entry, folder: folderOf(entry.id) })),
        files,
      });
      for (const [i, { content }] of source.dictionaries.entries()) {
        const dictionary = manifest.dictionaries[i] as ManifestDictionary;
        dictionary.origin = { content, files: filesHash(manifest, dictionary) };
      }
      await writeFile(
        path.join(draft, "manifest.json"),
        `${JSON.stringify({ ...manifest, made: { command: "facet export", date: new Date().toISOString() } }, null, 2)}\n`,
      );
      return manifest;
    },
    signal,
  );
}
