/** A bundle's tables, column by column (docs/formats.md). */
import path from "node:path";
import { invalidBundle, type Manifest, type ManifestDictionary, readManifest, tablePath } from "./manifest";
import { openTable, type Table } from "./parquet";

export const imageColumns = {
  sha256: "string",
  bytes: "binary",
  mime: "string",
  width: "int",
  height: "int",
  source: "string?",
  caption: "string?",
} as const;

export const textColumns = { id: "int", tokens: "strings", image: "string?" } as const;

export const featureColumns = {
  index: "int",
  density: "float?",
  text_density: "float?",
  max_activation: "float?",
  mean_activation: "float?",
  image_share: "float?",
  images: "int?",
  active_tokens: "int?",
  dead: "bool?",
  always_on: "bool?",
  sink: "bool?",
  hist_counts: "ints?",
} as const;

export const activationColumns = {
  index: "int",
  band: "string",
  rank: "int",
  image: "string?",
  text: "int?",
  rows: "int",
  cols: "int",
  peak: "float",
  mean: "float",
  positions: "binary",
  values: "binary",
} as const;

export const explanationColumns = {
  index: "int",
  method: "string",
  author: "string",
  text: "string?",
  label: "string?",
  concept: "string?",
  failure: "string?",
  prompt: "string?",
  created_at: "string",
  preferred: "bool",
} as const;

export const scoreColumns = {
  index: "int",
  explanation: "string",
  metric: "string",
  value: "float?",
  baseline: "float?",
  n: "int",
  failure: "string?",
  method: "string",
} as const;

export const neighbourColumns = { index: "int", kind: "string", rank: "int", neighbour: "int", value: "float" } as const;
export const tokenColumns = { index: "int", kind: "string", rank: "int", token: "string", value: "float" } as const;

/** A dictionary's tables, each a file of its folder. */
export const dictionaryColumns = {
  features: featureColumns,
  activations: activationColumns,
  explanations: explanationColumns,
  scores: scoreColumns,
  neighbours: neighbourColumns,
  tokens: tokenColumns,
} as const;

export interface DictionaryTables {
  features: Table<typeof featureColumns>;
  activations: Table<typeof activationColumns>;
  explanations: Table<typeof explanationColumns>;
  scores: Table<typeof scoreColumns>;
  neighbours: Table<typeof neighbourColumns>;
  tokens: Table<typeof tokenColumns>;
}

export interface Bundle {
  folder: string;
  manifest: Manifest;
}

export async function openBundle(folder: string): Promise<Bundle> {
  return { folder, manifest: await readManifest(folder) };
}

export interface BundleTables {
  images: Table<typeof imageColumns>;
  texts: Table<typeof textColumns>;
  dictionaries: { entry: ManifestDictionary; tables: DictionaryTables }[];
}

/** Opens every table, so that a missing column is found before anything is written. */
export async function openTables({ folder, manifest }: Bundle): Promise<BundleTables> {
  const at = (name: string) => path.join(folder, name);
  const tables: BundleTables = {
    images: await openTable(at("images.parquet"), imageColumns),
    texts: await openTable(at("texts.parquet"), textColumns),
    dictionaries: [],
  };
  for (const entry of manifest.dictionaries) {
    const own = {
      features: await openTable(at(tablePath(entry, "features")), featureColumns),
      activations: await openTable(at(tablePath(entry, "activations")), activationColumns),
      explanations: await openTable(at(tablePath(entry, "explanations")), explanationColumns),
      scores: await openTable(at(tablePath(entry, "scores")), scoreColumns),
      neighbours: await openTable(at(tablePath(entry, "neighbours")), neighbourColumns),
      tokens: await openTable(at(tablePath(entry, "tokens")), tokenColumns),
    };
    if (own.features.rows !== entry.num_latents) {
      throw invalidBundle(`${own.features.file} has ${own.features.rows} rows; the dictionary has ${entry.num_latents} latents.`);
    }
    tables.dictionaries.push({ entry, tables: own });
  }
  return tables;
}
