/**
 * Activation caches of the paper (sae-auto-interp) and of delphi: `<hook>/<first>_<last>.safetensors` with `locations` [N, 3] = (item,
 * position, feature) and `activations` [N]. The paper's are over images, features counted from 0, int64; delphi's are over texts, features
 * counted from the file's first, uint16 or uint32, with `tokens` [texts, length].
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { toFloat32 } from "../floats";
import { hookOf } from "../hook";
import { sha256OfFile } from "../manifest";
import { readSafetensorsHeader, type SafetensorsHeader, type TensorEntry } from "../safetensors";
import { invalidFile, type Part, type Reader, type ReadOptions } from "../source";
import type { ActivationChunk, ActivationSegment } from "./activation-stream";
import { paperGrid, parseGrid } from "./grid";
import { type CacheSource, imageCachePart, imageSetAmong } from "./image-part";
import { bytesAt, integerRows, integers } from "./tensor-rows";
import { textCachePart } from "./text-cache";

const splitName = /^(\d+)_(\d+)\.safetensors$/;
const rowsAtOnce = 65_536;
interface Split {
  file: string;
  /** Features, the last one included; null where the name does not say. */
  first: number;
  last: number | null;
  locations: TensorEntry;
  activations: TensorEntry;
  tokens: TensorEntry | null;
}

function checkedSplit(file: string, header: SafetensorsHeader): Split {
  const { locations, activations, tokens } = header.tensors;
  const names = Object.keys(header.tensors).join(", ") || "nothing";
  if (!locations || !activations) {
    throw invalidFile(
      `${file} lacks "${locations ? "activations" : "locations"}"; it has ${names}.`,
      "Cache again, or leave this file out.",
    );
  }
  const [rows = -1, three] = locations.shape;
  if (locations.shape.length !== 2 || three !== 3 || !(locations.dtype in integers)) {
    throw invalidFile(`${file}: "locations" is ${locations.dtype} [${locations.shape}]; it must be integers [N, 3].`, "Cache again.");
  }
  if (activations.shape.length !== 1 || activations.shape[0] !== rows) {
    throw invalidFile(`${file}: "activations" is [${activations.shape}] for ${rows} locations.`, "Cache again.");
  }
  if (!["F16", "F32", "BF16", "F64"].includes(activations.dtype)) {
    throw invalidFile(`${file}: "activations" is ${activations.dtype}, which has no fractions.`, "Save them as float16 or float32.");
  }
  if (tokens && (tokens.shape.length !== 2 || !(tokens.dtype in integers))) {
    throw invalidFile(`${file}: "tokens" is ${tokens.dtype} [${tokens.shape}]; it must be integers [texts, length].`, "Cache again.");
  }
  const match = splitName.exec(path.basename(file));
  return { file, first: Number(match?.[1] ?? 0), last: match ? Number(match[2]) : null, locations, activations, tokens: tokens ?? null };
}

/** Whether the features of a file are counted from its first. Unsigned: delphi; signed: told by the numbers, the paper's where both fit. */
async function isRelative(split: Split): Promise<boolean> {
  if (split.first === 0 || split.locations.dtype.startsWith("U")) return split.first > 0;
  const rows = split.locations.shape[0] as number;
  const sample = await integerRows(split.file, split.locations, 3, 0, Math.min(rows, rowsAtOnce));
  for (let i = 2; i < sample.length; i += 3) if ((sample[i] as number) < split.first) return true;
  return false;
}

function segmentOf(split: Split, relative: boolean, to: number): ActivationSegment {
  const rows = split.locations.shape[0] as number;
  const width = (split.activations.end - split.activations.start) / Math.max(1, rows);
  const shift = relative ? split.first : 0;
  async function* chunks(): AsyncGenerator<ActivationChunk> {
    for (let from = 0; from < rows; from += rowsAtOnce) {
      const end = Math.min(rows, from + rowsAtOnce);
      const places = await integerRows(split.file, split.locations, 3, from, end);
      const value = toFloat32(
        split.activations.dtype,
        await bytesAt(split.file, split.activations.start + from * width, (end - from) * width),
      );
      const [item, position, feature] = [new Int32Array(end - from), new Int32Array(end - from), new Int32Array(end - from)];
      for (let i = 0; i < end - from; i++) {
        const index = (places[3 * i + 2] as number) + shift;
        if (index < split.first || index >= to) {
          throw invalidFile(
            `${split.file}: row ${from + i} of "locations" names feature ${index}; the file's name says ${split.first} to ${to - 1}.`,
            "Give the file the name that it was written with, or cache again.",
          );
        }
        if ((places[3 * i] as number) > 0x7fffffff || (places[3 * i + 1] as number) > 0x7fffffff) {
          throw invalidFile(`${split.file}: row ${from + i} of "locations" holds ${places[3 * i]}, ${places[3 * i + 1]}.`, "Cache again.");
        }
        item[i] = places[3 * i] as number;
        position[i] = places[3 * i + 1] as number;
        feature[i] = index;
      }
      yield { length: end - from, item, position, feature, value };
    }
  }
  return { file: split.file, from: split.first, to, chunks };
}

interface CacheFolder {
  folder: string;
  /** The folder's or the file's name. */
  hook: string;
  files: string[];
}

const isFolder = async (at: string) => (await stat(at).catch(() => null))?.isDirectory() ?? false;

async function splitFiles(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => splitName.test(name));
  return names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).map((name) => path.join(folder, name));
}

/** Caches at a path: a hook's folder, the folder of several, delphi's `results` with `latents` in it, or one file. */
async function cacheFolders(at: string): Promise<CacheFolder[]> {
  if (!(await isFolder(at))) {
    if (!at.endsWith(".safetensors")) return [];
    const header = await readSafetensorsHeader(at).catch(() => null);
    if (!header?.tensors.locations && !splitName.test(path.basename(at))) return [];
    const hook = splitName.test(path.basename(at)) ? path.basename(path.dirname(path.resolve(at))) : path.basename(at, ".safetensors");
    return [{ folder: path.dirname(at), hook, files: [at] }];
  }
  const own = await splitFiles(at);
  if (own.length) return [{ folder: at, hook: path.basename(path.resolve(at)), files: own }];
  const found: CacheFolder[] = [];
  for (const root of [at, path.join(at, "latents")]) {
    for (const name of (await readdir(root).catch(() => [])).sort()) {
      const files = await splitFiles(path.join(root, name));
      if (files.length) found.push({ folder: path.join(root, name), hook: name, files });
    }
  }
  return found;
}

/** Files that overlap would count features twice. */
function checkRanges(splits: Split[]): void {
  for (const [i, split] of splits.entries()) {
    const next = splits[i + 1];
    if (next && (split.last === null || next.first <= split.last)) {
      throw invalidFile(`${split.file} and ${next.file} both hold feature ${next.first}.`, "Keep the files of one run of the cache.");
    }
    if (split.last !== null && split.last < split.first)
      throw invalidFile(`${split.file}: the name's range is upside down.`, "Rename it as it was written.");
  }
}

async function readFolder({ folder, hook, files }: CacheFolder, options: ReadOptions): Promise<Part> {
  const splits: Split[] = [];
  const content = createHash("sha256");
  for (const file of files) {
    options.signal?.throwIfAborted();
    splits.push(checkedSplit(file, await readSafetensorsHeader(file)));
    content.update(path.basename(file)).update(await sha256OfFile(file));
  }
  checkRanges(splits);
  const segments: ActivationSegment[] = [];
  let lastItem = -1;
  let lastPosition = 0;
  for (const split of splits) {
    const rows = split.locations.shape[0] as number;
    let to = (split.last ?? -1) + 1;
    for (let from = 0; split.last === null && from < rows; from += rowsAtOnce) {
      const sample = await integerRows(split.file, split.locations, 3, from, Math.min(rows, from + rowsAtOnce));
      for (let i = 2; i < sample.length; i += 3) to = Math.max(to, (sample[i] as number) + 1);
    }
    segments.push(segmentOf(split, await isRelative(split), to));
    if (rows === 0) continue;
    // Rows are in order of item: the last one names the largest.
    const last = await integerRows(split.file, split.locations, 3, Math.max(0, rows - rowsAtOnce), rows);
    lastItem = Math.max(lastItem, last[last.length - 3] as number);
    for (let i = 1; i < last.length; i += 3) lastPosition = Math.max(lastPosition, last[i] as number);
  }
  const tokens = splits.find((split) => split.tokens);
  const common = {
    path: folder,
    hook: hookOf(hook).hook,
    segments,
    num_latents: Math.max(0, ...segments.map((segment) => segment.to)),
    content: content.digest("hex"),
  };
  if (tokens?.tokens) {
    const source: CacheSource = { ...common, format: "delphi cache", what: "a delphi cache", unsaved: () => false };
    return textCachePart(source, { file: tokens.file, tokens: tokens.tokens }, options);
  }
  const set = await imageSetAmong((options.paths ?? []).filter((other) => path.resolve(other) !== path.resolve(folder)));
  const grid = options.grid ? parseGrid(options.grid) : paperGrid;
  if (!options.grid && lastPosition < grid.rows * grid.cols - 2 * grid.cols) {
    throw invalidFile(
      `${folder}: the last image's tokens end at position ${lastPosition}, which is no grid of 24 × 24 as the paper's model has.`,
      "Say how an image's tokens lie, for example --grid 12x12; of a cache over texts, cache again with delphi, which saves the tokens too.",
    );
  }
  const ends = new Set(splits.map((split) => split.last));
  const source: CacheSource = {
    ...common,
    format: "sae-auto-interp cache",
    what: "the paper's cache",
    // Its writer leaves out the last feature of each file, so that silence says nothing there.
    unsaved: (index) => ends.has(index),
  };
  return imageCachePart(source, { items: set?.length ?? lastItem + 1, cells: grid.rows * grid.cols, grid }, set, options);
}

export const safetensorsCacheReader: Reader<Part[]> = {
  format: "activation cache",
  async recognise(at) {
    const folders = await cacheFolders(at);
    return folders.length ? { found: `${at}: activations cached at ${folders.map((one) => one.hook).join(", ")}` } : null;
  },
  async read(at, options) {
    const parts: Part[] = [];
    for (const folder of await cacheFolders(at)) parts.push(await readFolder(folder, options));
    return parts;
  },
};
