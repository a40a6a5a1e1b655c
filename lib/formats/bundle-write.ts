/** Writing a source as a bundle (docs/formats.md): into a folder beside, which takes its name when it is whole. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";
import { dictionaryColumns, imageColumns, textColumns } from "./bundle";
import { type Manifest, sha256OfFile } from "./manifest";
import type { Columns, Row, Table } from "./parquet";
import { writeTable } from "./parquet-write";
import type { Source } from "./source";

/** Refuses a folder with something in it. */
export async function assertEmpty(folder: string): Promise<void> {
  if (existsSync(folder) && (await readdir(folder)).length > 0) {
    throw new FacetError("invalid_request", `${folder} is there and is not empty.`, { fix: "Name another folder, or empty this one." });
  }
}

/** Makes a folder whole or not at all: `work` fills another one beside it. */
export async function writeFolder<T>(folder: string, work: (draft: string) => Promise<T>): Promise<T> {
  await assertEmpty(folder);
  const draft = `${folder}.${randomUUID().slice(0, 8)}`;
  await mkdir(draft, { recursive: true });
  try {
    const result = await work(draft);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
    return result;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

export interface WriteProgress {
  file: string;
  rows: number;
}

/** Rows that a group of a table holds: pictures weigh more than the rest. */
const groupRows = (name: string) => (name === "images" ? 64 : 4_096);

async function* counted<C extends Columns>(table: Table<C>, size: number, onRows: (rows: number) => void): AsyncGenerator<Row<C>[]> {
  let rows = 0;
  for await (const batch of table.batches(size)) {
    yield batch;
    rows += batch.length;
    onRows(rows);
  }
}

/** Writes the bundle; `folder` must not be there, or be empty. Throws `invalid_request` where it is not. */
export function writeBundle(source: Source, folder: string, onProgress?: (progress: WriteProgress) => void): Promise<Manifest> {
  return writeFolder(folder, async (draft) => {
    const files: Manifest["files"] = {};
    const put = async <C extends Columns>(name: string, columns: C, table: Table<C>) => {
      const file = path.join(draft, `${name}.parquet`);
      await mkdir(path.dirname(file), { recursive: true });
      const size = groupRows(name);
      const rows = await writeTable(
        file,
        columns,
        counted(table, size, (done) => onProgress?.({ file: `${name}.parquet`, rows: done })),
      );
      files[`${name}.parquet`] = { sha256: await sha256OfFile(file), bytes: (await stat(file)).size, rows };
    };
    await put("images", imageColumns, source.images);
    await put("texts", textColumns, source.texts);
    for (const { entry, tables: own } of source.dictionaries) {
      for (const name of Object.keys(dictionaryColumns) as (keyof typeof dictionaryColumns)[]) {
        await put(`${entry.id}/${name}`, dictionaryColumns[name] as Columns, own[name] as Table<Columns>);
      }
    }
    const manifest: Manifest = {
      format: "facet-bundle/1",
      model: source.model,
      attribution: source.attribution,
      dictionaries: source.dictionaries.map(({ entry }) => ({ ...entry, folder: entry.id })),
      files,
    };
    await writeFile(
      path.join(draft, "manifest.json"),
      `${JSON.stringify({ ...manifest, made: { command: "facet export", date: new Date().toISOString() } }, null, 2)}\n`,
    );
    return manifest;
  });
}
