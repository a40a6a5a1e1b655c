/** Image sets: a folder of pictures, or Hugging Face's Parquet files with an `image` column of `{bytes, path}`. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FacetError } from "@/lib/core/errors";
import { sniffImage, storePicture } from "../images/picture";
import { sha256OfFile } from "../manifest";
import { invalidFile } from "../source";

export interface SetImage {
  bytes: Uint8Array;
  /** File and row, for sentences. */
  where: string;
  source: string | null;
}

export interface ImageSet {
  path: string;
  length: number;
  /** The images of the rows given, which ascend. Throws `file_invalid`. */
  images(rows: ArrayLike<number>): AsyncGenerator<SetImage>;
  /** SHA-256 of the whole set. */
  content(): Promise<string>;
}

const names = new Intl.Collator("en", { numeric: true });
const extensions = /\.(jpe?g|png|webp|gif|bmp|tiff?|svg|heic|avif)$/i;

/** Files of a folder and of the folders in it, in natural order: `2.jpg` before `10.jpg`. Hidden ones are left out. */
async function filesUnder(folder: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => names.compare(a.name, b.name))) {
    if (entry.name.startsWith(".")) continue;
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await filesUnder(at)));
    else if (entry.isFile()) found.push(at);
  }
  return found;
}

async function beginning(file: string): Promise<Uint8Array> {
  const { open } = await import("node:fs/promises");
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The pictures of a folder: files that are pictures, or are named as such. Null where there are none, or other files prevail. */
async function pictureFiles(folder: string): Promise<string[] | null> {
  const files = await filesUnder(folder);
  const pictures = files.filter((file) => extensions.test(file));
  if (pictures.length) return pictures;
  const [first] = files;
  // Without extensions the bytes tell.
  return first && sniffImage(await beginning(first)) ? files : null;
}

interface ParquetPart {
  file: string;
  buffer: AsyncBuffer;
  metadata: FileMetaData;
  /** First row within the set. */
  start: number;
  rows: number;
  columns: string[];
}

function isImageStruct(metadata: FileMetaData): boolean {
  const image = parquetSchema(metadata).children.find((child) => child.element.name === "image");
  return image?.children.some((child) => child.element.name === "bytes") ?? false;
}

async function openParquet(file: string, start: number): Promise<ParquetPart | null> {
  let metadata: FileMetaData;
  let buffer: AsyncBuffer;
  try {
    buffer = await asyncBufferFromFile(file);
    metadata = await parquetMetadataAsync(buffer);
  } catch (cause) {
    throw invalidFile(`${file} is not a complete Parquet file.`, "Copy or download the file again.", cause);
  }
  if (!isImageStruct(metadata)) return null;
  const present = new Set(parquetSchema(metadata).children.map((child) => child.element.name));
  const columns = ["image", "source", "id"].filter((name) => present.has(name));
  return { file, buffer, metadata, start, rows: Number(metadata.num_rows), columns };
}

const parquetFiles = async (at: string) =>
  (await stat(at)).isDirectory() ? (await filesUnder(at)).filter((file) => file.endsWith(".parquet")) : at.endsWith(".parquet") ? [at] : [];

async function openParquetSet(at: string): Promise<ParquetPart[] | null> {
  const parts: ParquetPart[] = [];
  let start = 0;
  for (const file of await parquetFiles(at)) {
    const part = await openParquet(file, start);
    if (!part) return null;
    parts.push(part);
    start += part.rows;
  }
  return parts.length ? parts : null;
}

/** Rows that are decoded at once: a picture may be several MB. */
const rowsAtOnce = 16;

async function* parquetImages(parts: ParquetPart[], rows: ArrayLike<number>): AsyncGenerator<SetImage> {
  let block: { start: number; end: number; rows: Record<string, unknown>[] } = { start: 0, end: 0, rows: [] };
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const part = parts.find((one) => row >= one.start && row < one.start + one.rows);
    if (!part) throw invalidFile(`${parts[0]?.file} has no row ${row}.`, "Give the image set that the cache was made from.");
    if (row < block.start || row >= block.end) {
      const from = row - part.start;
      const to = Math.min(part.rows, from + rowsAtOnce);
      const read = await parquetReadObjects({
        file: part.buffer,
        metadata: part.metadata,
        columns: part.columns,
        compressors,
        utf8: false,
        rowStart: from,
        rowEnd: to,
      }).catch((cause: unknown) => {
        throw invalidFile(`${part.file} cannot be decoded at row ${from}.`, "Copy or download the file again.", cause);
      });
      block = { start: row, end: part.start + to, rows: read };
    }
    const record = block.rows[row - block.start] ?? {};
    const image = record.image as { bytes?: unknown; path?: unknown } | null | undefined;
    const where = `${part.file}, row ${row - part.start}`;
    if (!(image?.bytes instanceof Uint8Array)) {
      throw invalidFile(
        `${where}: the column image holds no bytes.`,
        "Save the set with its images embedded: cast the column to datasets.Image and push the bytes.",
      );
    }
    const named = [record.source, record.id, image.path].find(
      (value) => typeof value === "string" || typeof value === "number" || typeof value === "bigint",
    );
    yield { bytes: image.bytes, where, source: named === undefined ? null : String(named) };
  }
}

/** Opens the image set at a path; null where there is none. */
export async function openImageSet(at: string): Promise<ImageSet | null> {
  const parts = await openParquetSet(at);
  if (parts) {
    return {
      path: at,
      length: parts.reduce((sum, part) => sum + part.rows, 0),
      images: (rows) => parquetImages(parts, rows),
      content: async () => {
        const hash = createHash("sha256");
        for (const part of parts) hash.update(await sha256OfFile(part.file));
        return hash.digest("hex");
      },
    };
  }
  if (!(await stat(at)).isDirectory()) return null;
  const files = await pictureFiles(at);
  if (!files) return null;
  return {
    path: at,
    length: files.length,
    async *images(rows) {
      for (let i = 0; i < rows.length; i++) {
        const file = files[rows[i] as number];
        if (!file)
          throw invalidFile(
            `${at} has ${files.length} pictures; there is no picture ${rows[i]}.`,
            "Give the image set that the cache was made from.",
          );
        yield { bytes: await readFile(file), where: file, source: path.relative(at, file) };
      }
    },
    content: async () => {
      const hash = createHash("sha256");
      for (const file of files) hash.update(path.relative(at, file)).update(await sha256OfFile(file));
      return hash.digest("hex");
    },
  };
}

export interface ReadyImage {
  row: number;
  sha256: string;
  mime: string;
  width: number;
  height: number;
  source: string | null;
  changes: string[];
  /** Null where the bytes are the set's own. */
  bytes: Uint8Array | null;
}

/** Decodes the rows asked for, one by one, to what the catalogue keeps. Throws `file_invalid` naming the picture. */
export async function* readyImages(set: ImageSet, rows: ArrayLike<number>, signal?: AbortSignal): AsyncGenerator<ReadyImage> {
  let at = 0;
  for await (const image of set.images(rows)) {
    signal?.throwIfAborted();
    const stored = await storePicture(image.bytes).catch((cause: unknown) => {
      if (!(cause instanceof FacetError)) throw cause;
      throw invalidFile(
        `${image.where}: ${cause.message}`,
        `Replace this picture. ${cause.code === "too_large" ? "Shrink it below 50 million pixels, or save it as a PNG without interlacing or a JPEG that is not progressive." : cause.fix}`,
        cause,
      );
    });
    yield {
      row: rows[at++] as number,
      sha256: createHash("sha256").update(stored.bytes).digest("hex"),
      mime: stored.mime,
      width: stored.width,
      height: stored.height,
      source: image.source,
      changes: stored.changes,
      bytes: stored.changes.length ? stored.bytes : null,
    };
  }
}
