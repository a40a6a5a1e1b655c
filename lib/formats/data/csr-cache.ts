/**
 * saev's `token_acts.npz`: what scipy.sparse.save_npz makes of a CSR matrix, tokens × features, the tokens of one image after the other.
 * Its arrays are read as streams, packed or not.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import path from "node:path";
import { type Entry, openPromise as openZip, type ZipFile } from "yauzl";
import { FacetError } from "@/lib/core/errors";
import { toFloat32 } from "../floats";
import { sha256OfFile } from "../manifest";
import { parseNpyHeader } from "../npz";
import { invalidFile, type Part, type Reader, type ReadOptions } from "../source";
import type { ActivationChunk, ActivationSegment } from "./activation-stream";
import { parseGrid, squareGrid } from "./grid";
import { imageCachePart, imageSetAmong, number } from "./image-part";
import { integers, toIntegers } from "./tensor-rows";

const csrFormat = "saev token_acts";
const arrays = ["indptr", "indices", "data", "shape", "format"] as const;
type ArrayName = (typeof arrays)[number];
const again = "Copy the file again, or write it again with scipy.sparse.save_npz.";
const floats: Record<string, number> = { F16: 2, F32: 4, F64: 8 };
const rowsAtOnce = 8_192;

async function entriesOf(zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const entry of zip.eachEntry()) if (entry.fileName.endsWith(".npy")) entries.set(entry.fileName.slice(0, -4), entry);
  return entries;
}

/** The elements of one array, as many as asked for at a time. */
class Elements {
  #held: Buffer = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;
  dtype = "";
  shape: number[] = [];

  constructor(
    private readonly file: string,
    private readonly name: string,
    stream: AsyncIterable<Buffer>,
  ) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async #fill(bytes: number): Promise<void> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < bytes) {
      const { value, done } = await this.#chunks.next();
      if (done) throw invalidFile(`${this.file}: ${this.name} is cut short.`, again);
      parts.push(value);
      length += value.length;
    }
    this.#held = parts.length > 1 ? Buffer.concat(parts) : this.#held;
  }

  async #bytes(length: number): Promise<Uint8Array> {
    await this.#fill(length);
    // A copy of its own, so that typed arrays over it are aligned.
    const bytes = new Uint8Array(length);
    bytes.set(this.#held.subarray(0, length));
    this.#held = this.#held.subarray(length);
    return bytes;
  }

  async begin(): Promise<this> {
    await this.#fill(12);
    const wide = (this.#held[6] as number) > 1;
    const length = wide ? this.#held.readUInt32LE(8) : this.#held.readUInt16LE(8);
    const head = await this.#bytes((wide ? 12 : 10) + Math.min(length, 1 << 20));
    const { dtype, shape } = parseNpyHeader(this.file, this.name, head);
    this.dtype = dtype;
    this.shape = shape;
    return this;
  }

  async integers(count: number): Promise<ArrayLike<number>> {
    const width = integers[this.dtype];
    if (!width) throw invalidFile(`${this.file}: ${this.name} holds ${this.dtype}; it must be integers.`, again);
    return toIntegers(this.dtype, await this.#bytes(count * width));
  }

  async floats(count: number): Promise<ArrayLike<number>> {
    const width = floats[this.dtype];
    if (!width) throw invalidFile(`${this.file}: ${this.name} holds ${this.dtype}, which has no fractions.`, "Save the matrix as float32.");
    return toFloat32(this.dtype, await this.#bytes(count * width));
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** Opens the arrays named. Throws `file_invalid` where one is missing. */
async function openArrays<N extends ArrayName>(
  file: string,
  names: readonly N[],
): Promise<{ arrays: Record<N, Elements>; close(): Promise<void> }> {
  const zip = await openZip(file, { autoClose: false });
  const opened = {} as Record<N, Elements>;
  const close = async () => {
    for (const elements of Object.values<Elements>(opened)) await elements.close();
    zip.close();
  };
  try {
    const entries = await entriesOf(zip);
    for (const name of names) {
      const entry = entries.get(name);
      if (!entry) throw invalidFile(`${file} lacks the array ${name}; it has ${[...entries.keys()].join(", ")}.`, again);
      opened[name] = await new Elements(file, name, (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>).begin();
    }
    return { arrays: opened, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const asRefusal = (file: string, error: unknown) =>
  error instanceof FacetError ? error : invalidFile(`${file} is not a complete npz archive.`, again, error);

async function matrixOf(file: string): Promise<{ tokens: number; features: number }> {
  try {
    const opened = await openArrays(file, ["shape"] as const);
    const sizes = await opened.arrays.shape.integers(2).finally(opened.close);
    const [tokens = -1, features = -1] = Array.from(sizes);
    if (tokens < 0 || features < 1 || features > 0x7fffffff) throw invalidFile(`${file}: "shape" says ${tokens} × ${features}.`, again);
    return { tokens, features };
  } catch (error) {
    throw asRefusal(file, error);
  }
}

/** The entries row by row, as (image, position, feature). */
async function* entriesOfMatrix(file: string, tokens: number, features: number, cells: number): AsyncGenerator<ActivationChunk> {
  let close = async () => {};
  try {
    const opened = await openArrays(file, ["indptr", "indices", "data"] as const);
    close = opened.close;
    const { indptr, indices, data } = opened.arrays;
    const held = data.shape[0] ?? 0;
    let start = (await indptr.integers(1))[0] as number;
    for (let row = 0; row < tokens; row += rowsAtOnce) {
      const ends = await indptr.integers(Math.min(rowsAtOnce, tokens - row));
      const total = (ends[ends.length - 1] as number) - start;
      if (!(total >= 0) || start + total > held)
        throw invalidFile(`${file}: "indptr" goes beyond the ${held} values, or goes down.`, again);
      const feature = await indices.integers(total);
      const value = await data.floats(total);
      const item = new Int32Array(total);
      const position = new Int32Array(total);
      let at = 0;
      for (let i = 0; i < ends.length; i++) {
        const end = (ends[i] as number) - start;
        if (end < at) throw invalidFile(`${file}: "indptr" goes down at row ${row + i}.`, again);
        for (; at < end; at++) {
          if ((feature[at] as number) < 0 || (feature[at] as number) >= features) {
            throw invalidFile(`${file}: "indices" names feature ${feature[at]} in row ${row + i}; there are ${features}.`, again);
          }
          item[at] = Math.floor((row + i) / cells);
          position[at] = (row + i) % cells;
        }
      }
      start += total;
      yield { length: total, item, position, feature, value };
    }
  } catch (error) {
    throw asRefusal(file, error);
  } finally {
    await close();
  }
}

async function startsAsZip(file: string): Promise<boolean> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.toString("latin1") === "PK";
  } finally {
    await handle.close();
  }
}

/** Whether an npz is a sparse matrix: by the names of its arrays, or where it is broken by its own name. */
async function isMatrix(file: string): Promise<boolean> {
  if (!file.endsWith(".npz")) return false;
  if (path.basename(file) === "token_acts.npz") return true;
  if (!(await startsAsZip(file))) return false;
  try {
    const zip = await openZip(file, { autoClose: false });
    try {
      const entries = await entriesOf(zip);
      return arrays.every((name) => entries.has(name));
    } finally {
      zip.close();
    }
  } catch {
    return false;
  }
}

export const csrCacheReader: Reader<Part[]> = {
  format: csrFormat,
  async recognise(at) {
    return (await isMatrix(at).catch(() => false)) ? { found: `${at}: a sparse matrix of activations, tokens × features` } : null;
  },
  async read(at, options: ReadOptions) {
    const { tokens, features } = await matrixOf(at);
    const set = await imageSetAmong((options.paths ?? []).filter((other) => other !== at));
    const asked = options.grid ? parseGrid(options.grid) : null;
    const each = asked ? asked.rows * asked.cols : set && set.length > 0 ? tokens / set.length : null;
    const grid = asked ?? (each === null ? null : squareGrid(each));
    if (each === null || !grid || tokens % each) {
      throw invalidFile(
        each === null
          ? `${at} has ${number(tokens)} rows of tokens and does not say how many make an image.`
          : `${at} has ${number(tokens)} rows of tokens, which is no whole number of ${asked ? `${asked.rows} × ${asked.cols} grids` : `square grids for the ${number(set?.length ?? 0)} images of ${set?.path}`}.`,
        "Give the image set too, or say how an image's tokens lie, for example --grid 16x16.",
      );
    }
    const items = tokens / each;
    if (set && set.length !== items) {
      throw invalidFile(
        `${at} is over ${number(items)} images; ${set.path} has ${number(set.length)}.`,
        "Give the image set that the matrix was made from.",
      );
    }
    const segment: ActivationSegment = { file: at, from: 0, to: features, chunks: () => entriesOfMatrix(at, tokens, features, each) };
    const content = createHash("sha256")
      .update(await sha256OfFile(at))
      .update(`${grid.rows}x${grid.cols}`)
      .digest("hex");
    const source = {
      path: at,
      format: csrFormat,
      hook: null,
      segments: [segment],
      num_latents: features,
      content,
      what: "saev's activations",
      unsaved: () => false,
    };
    return [await imageCachePart(source, { items, cells: each, grid }, set, options)];
  },
};
