/** What a cache over images brings: examples on the pictures that they show, from the image set beside it. */
import { createHash } from "node:crypto";
import type { imageColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { emptyTable, invalidFile, madeTable, type Part, type ReadOptions } from "../source";
import type { ActivationSegment, CacheShape } from "./activation-stream";
import { type CacheTables, exampleRow, readCache } from "./cache-tables";
import { type ImageSet, openImageSet, type ReadyImage, readyImages } from "./image-set";
import { Spool, spooledTable } from "./spool";

type TablesPart = Extract<Part, { kind: "tables" }>;

export const number = (value: number) => new Intl.NumberFormat("en").format(value);

/** The image set among the other paths of an import; null where none was given. Throws `file_invalid` for two. */
export async function imageSetAmong(paths: string[]): Promise<ImageSet | null> {
  const sets: ImageSet[] = [];
  for (const path of paths) {
    const set = await openImageSet(path);
    if (set) sets.push(set);
  }
  if (sets.length > 1) {
    throw invalidFile(
      `${sets.map((set) => set.path).join(" and ")} are both image sets; a cache counts the rows of one.`,
      "Give the one that the cache was made from; Parquet files of one set in one folder.",
    );
  }
  return sets[0] ?? null;
}

export interface Pictures {
  table: Table<typeof imageColumns>;
  /** Hash of a row's picture, of the rows asked for. */
  sha256: Map<number, string>;
  /** What was done to pictures: words → how many, and the first of them. */
  changes: Map<string, { count: number; first: string }>;
}

/** Decodes the rows asked for, so that a damaged one refuses the import before it begins, and gives them as a table, each picture once. */
export async function picturesOf(set: ImageSet, rows: ArrayLike<number>, signal?: AbortSignal): Promise<Pictures> {
  const spool = new Spool<ReadyImage>();
  const sha256 = new Map<number, string>();
  const seen = new Set<string>();
  const changes: Pictures["changes"] = new Map();
  const kept: number[] = [];
  for await (const image of readyImages(set, rows, signal)) {
    sha256.set(image.row, image.sha256);
    if (image.changes.length) {
      const words = image.changes.join(", ");
      const known = changes.get(words);
      changes.set(words, { count: (known?.count ?? 0) + 1, first: known?.first ?? image.source ?? `row ${image.row}` });
    }
    if (seen.has(image.sha256)) continue;
    seen.add(image.sha256);
    kept.push(image.row);
    spool.add(image);
  }
  async function* make(): AsyncGenerator<Row<typeof imageColumns>> {
    const own = set.images(kept);
    for (const { row, changes: _, bytes, ...image } of spool.read()) {
      const { value } = await own.next();
      if (!value) throw invalidFile(`${set.path}: row ${row} is gone.`, "Leave the image set as it is while it is imported.");
      yield { ...image, bytes: bytes ?? value.bytes, caption: null };
    }
  }
  return { table: madeTable(set.path, spool.rows, make), sha256, changes };
}

/** What was done to pictures, as sentences. */
export function changeSentences(changes: Pictures["changes"]): string {
  return [...changes]
    .map(
      ([words, { count, first }]) =>
        ` ${number(count)} ${count === 1 ? "picture" : "pictures"} ${words} (${first}${count > 1 ? ", …" : ""}).`,
    )
    .join("");
}

export interface CacheSource {
  path: string;
  format: string;
  hook: string | null;
  segments: ActivationSegment[];
  num_latents: number;
  content: string;
  /** What kind of cache this is, for the sentence. */
  what: string;
  unsaved(index: number): boolean;
}

const densitySentence = (tables: CacheTables) => (tables.silent ? ` ${number(tables.silent)} features fire on none of them.` : "");

/** The part that a cache over images makes, with the set's pictures where there is a set. */
export async function imageCachePart(
  source: CacheSource,
  shape: CacheShape,
  set: ImageSet | null,
  options: ReadOptions,
): Promise<TablesPart> {
  const { path, format, hook } = source;
  const grid = shape.grid;
  if (!grid) throw new Error("A cache over images has a grid.");
  const tables = await readCache(source.segments, shape, source.unsaved, options.signal);
  const pictures = set ? await picturesOf(set, tables.items, options.signal) : null;
  const shown = pictures
    ? ` Examples show ${number(pictures.table.rows)} pictures of ${set?.path}.${changeSentences(pictures.changes)}`
    : " Without the image set that it was made from there are numbers but no examples: give the folder or Parquet file too.";
  const beyond = tables.beyond ? ` ${number(tables.beyond)} activations beyond the ${number(shape.cells)} base tokens are left out.` : "";
  return {
    kind: "tables",
    format,
    path,
    hook,
    found: `${path}: ${source.what} of ${number(source.num_latents)} features over ${number(shape.items)} images of ${grid.rows} × ${grid.cols} tokens.${beyond}${densitySentence(tables)}${shown}`,
    content: set
      ? createHash("sha256")
          .update(source.content)
          .update(await set.content())
          .update(`${grid.rows}x${grid.cols}`)
          .digest("hex")
      : source.content,
    num_latents: source.num_latents,
    measured: { images: shape.items, image_tokens: shape.items * shape.cells, text_tokens: null },
    grid,
    tables: {
      features: spooledTable(path, tables.features, (row) => row),
      activations: pictures
        ? spooledTable(path, tables.examples, (example) => exampleRow(example, shape, pictures.sha256.get(example.item) ?? null))
        : emptyTable(path),
    },
    images: pictures?.table,
  };
}
