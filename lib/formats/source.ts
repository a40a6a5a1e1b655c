/**
 * What an import reads. Every format becomes the tables of a bundle, as streams, and one importer writes them. A format that holds whole
 * dictionaries is read into a `Source`; the files that other tools leave apart (weights, caches, explanations, scores) are read into
 * `Part`s, which combine.ts puts together.
 */
import { FacetError } from "@/lib/core/errors";
import type { activationColumns, DictionaryTables, explanationColumns, featureColumns, imageColumns, textColumns } from "./bundle";
import type { ManifestDictionary } from "./manifest";
import type { Columns, Row, Table } from "./parquet";

export interface SourceModel {
  /** Its part of addresses: letters, digits, ".", "_" and "-". */
  id: string;
  name: string;
  /** Of the weights file; null where the files do not say. */
  sha256: string | null;
  image_size: number | null;
  /** Of image tokens; null where the model has none, or where it varies. */
  grid: { rows: number; cols: number } | null;
}

/** What a manifest says of a dictionary. What the files do not say is null. */
export type SourceEntry = Omit<ManifestDictionary, "folder">;

export interface SourceDictionary {
  entry: SourceEntry;
  /** SHA-256 of all that this dictionary was made from: an import of what is there already changes nothing. */
  content: string;
  tables: DictionaryTables;
}

export interface Source {
  /** "facet-bundle/1", "sparsify", "delphi explanations + sparsify", … */
  format: string;
  /** What was recognised: sentences that `facet import` prints. */
  found: string[];
  model: SourceModel;
  attribution: string | null;
  images: Table<typeof imageColumns>;
  texts: Table<typeof textColumns>;
  dictionaries: SourceDictionary[];
  /** Checks hashes, where the format has them. Called once, before anything is written; throws what the reader throws. */
  verify(onProgress?: (done: number, total: number) => void): Promise<void>;
}

export interface ReadOptions {
  /** `--model`: the model's name in addresses, where the files do not say. */
  model?: string;
  /** `--name`: the dictionary's name in addresses. Default: its hook. */
  name?: string;
  /** `--hook`, where the files do not say. */
  hook?: string;
  /** A dictionary of the catalogue that the files are added to (`--into`). */
  into?: { ref: string; sha256: string; num_latents: number };
  /** `--grid 24x24`: how an image's tokens lie, where a cache does not say. */
  grid?: string;
  /** `--tokenizer`: a tokenizer.json, where a cache holds numbers of tokens only. */
  tokenizer?: string;
  /** All paths of this import, this one among them: a cache finds its image set there. */
  paths?: string[];
  signal?: AbortSignal;
}

/** A format. Both functions take a file or a folder. */
export interface Reader<T> {
  format: string;
  /** Whether `path` is of this format, by its content and quickly; `found` is a sentence on what it is. Null where it is not. */
  recognise(path: string): Promise<{ found: string } | null>;
  /** Throws `file_invalid`, `bundle_invalid` or `unsafe_format` with a sentence that names file, key and remedy. */
  read(path: string, options: ReadOptions): Promise<T>;
}

/**
 * The weights of one dictionary, L latents over a residual stream of width D, normalised: every row of the decoder and of the encoder is one
 * latent's. Rows are read in blocks, so that no more than a block is in memory.
 */
export interface DictionaryWeights {
  /** `model.layers.24`: the output of block 24, counted from 0, however the tool spells it. Null where the files do not say. */
  hook: string | null;
  layer: number | null;
  num_latents: number;
  width: number;
  /** "topk", "jumprelu", "relu", "batchtopk", "gated", … */
  activation: string;
  k: number | null;
  /** Of the weights file; of sharded weights: of the shards' hashes in the index's order. */
  sha256: string;
  /** Rows `start` to `end` (exclusive) of W_dec [L, D] and W_enc [L, D], float32. */
  decoderRows(start: number, end: number): Promise<Float32Array>;
  encoderRows(start: number, end: number): Promise<Float32Array>;
  /** [L]; zeros where the dictionary has none. */
  encoderBias(): Promise<Float32Array>;
  /** [D]. */
  decoderBias(): Promise<Float32Array>;
  /** [L] of a JumpReLU; null elsewhere. */
  threshold(): Promise<Float32Array | null>;
  /** Whether `b_dec` is subtracted before encoding. */
  subtract_b_dec: boolean;
  /** How the input is scaled before encoding: "none", "constant_norm", "expected_average_only_in", … */
  input_norm: string;
}

/** A model that the files name. */
export interface NamedModel {
  id: string;
  name: string;
}

/** The tables that a part may bring. Of `features`, rows may be missing; those there come in ascending order of index. */
export type PartTables = Partial<DictionaryTables>;

interface PartCommon {
  /** The reader's format. */
  format: string;
  /** What was recognised, a sentence. */
  found: string;
  path: string;
  /** SHA-256 of all that was read, so that the same files make the same content. */
  content: string;
  model?: NamedModel;
  tables: PartTables;
}

export type Part =
  | (PartCommon & { kind: "weights"; weights: DictionaryWeights })
  | (PartCommon & {
      kind: "tables";
      /** Null: of the one dictionary that the other parts name. */
      hook: string | null;
      /** As far as these files tell; null where they do not. Weights given beside them have the last word. */
      num_latents: number | null;
      /** Over how much the statistics in `features` were taken. */
      measured?: { images: number; image_tokens: number | null; text_tokens: number | null };
      image_size?: number | null;
      grid?: { rows: number; cols: number } | null;
      attribution?: string;
      /** Text numbers are the part's own; combine.ts keeps those of different parts apart. */
      images?: Table<typeof imageColumns>;
      texts?: Table<typeof textColumns>;
    });

export type FeatureRow = Row<typeof featureColumns>;
export type ActivationRow = Row<typeof activationColumns>;
export type ExplanationRow = Row<typeof explanationColumns>;

/** A table that is made while it is read. `rows`: how many it will be, for progress; a good estimate will do. */
export function madeTable<C extends Columns>(file: string, rows: number, make: () => AsyncIterable<Row<C>> | Iterable<Row<C>>): Table<C> {
  return {
    file,
    rows,
    async *batches(size = 4_096) {
      let batch: Row<C>[] = [];
      for await (const row of make()) {
        batch.push(row);
        if (batch.length < size) continue;
        yield batch;
        batch = [];
      }
      if (batch.length) yield batch;
    },
  };
}

export function emptyTable<C extends Columns>(file = "(none)"): Table<C> {
  return { file, rows: 0, async *batches() {} };
}

/** A feature of which nothing was measured. */
export function unmeasured(index: number): FeatureRow {
  return {
    index,
    density: null,
    text_density: null,
    max_activation: null,
    mean_activation: null,
    image_share: null,
    images: null,
    active_tokens: null,
    dead: null,
    always_on: null,
    sink: null,
    hist_counts: null,
  };
}

/** Refuses a file of another tool. The message names file and key; the fix says what to do. */
export function invalidFile(message: string, fix?: string, cause?: unknown): FacetError {
  return new FacetError("file_invalid", message, { fix, cause });
}

/** Refuses a pickle, which can run code when it is loaded. */
export function refusedPickle(file: string, convert: string): FacetError {
  return new FacetError("unsafe_format", `${file} is a pickle, which can run any code when it is loaded; Facet never loads one.`, {
    fix: convert,
  });
}
