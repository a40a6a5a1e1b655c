/** Dictionary weights of every format, recognised by the tensors that a file holds and not by its name. */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { slugOf } from "../combine";
import { readJsonObject } from "../json-text";
import { sha256OfFile } from "../manifest";
import { invalidFile, type Part, type Reader, type ReadOptions } from "../source";
import { mayHoldTensors, openTensors, type TensorSet } from "../tensor-set";
import { adapter } from "./adapter";
import { dictionaryLearning } from "./dictionary-learning";
import { gemmaScope, gemmaScope2 } from "./gemma-scope";
import { type Format, type Found, type Layout, runSettings, type Settings } from "./layout";
import { own, ownSettings } from "./own";
import { isPickle, refuseWeights } from "./pickle";
import { saeLens } from "./sae-lens";
import { sampleFile } from "./sample";
import { sparsify } from "./sparsify";
import { type LoadedWeights, loadWeights } from "./weights";

const formats: Format[] = [own, sparsify, dictionaryLearning, gemmaScope, gemmaScope2, adapter, saeLens];

const settingsFiles = [ownSettings, "cfg.json", "config.json", "adapter_config.json"];
const pickles = /\.(?:pt|pth|bin|pkl|pickle|npy)$/;
/** How deep dictionaries may lie under a folder that is given: Gemma Scope's do three levels down. */
const deepest = 4;
const mostFolders = 10_000;
/** Of a folder with many tensor files, so many are looked into: a cache of activations has thousands. */
const mostFiles = 32;

/** A dictionary's tensors and what its format says of them. */
interface Recognised {
  found: Found;
  layout: Layout;
}

async function settingsBeside(folder: string): Promise<Record<string, Settings>> {
  const settings: Record<string, Settings> = {};
  for (const name of settingsFiles) {
    const file = path.join(folder, name);
    if (await stat(file).catch(() => null)) settings[name] = { file, json: await readJsonObject(file) };
  }
  // The settings of a training lie above its dictionaries; a file of that name there may be anything else.
  const above = path.join(folder, runSettings);
  const json = await readJsonObject(above).catch(() => null);
  if (typeof json?.model === "string") settings[runSettings] = { file: above, json };
  return settings;
}

async function recogniseFile(file: string): Promise<Recognised[]> {
  const set = await openTensors(file);
  if (!holdsMatrices(set)) return [];
  const folder = path.dirname(path.resolve(file));
  const found: Found = { folder, set, settings: await settingsBeside(folder) };
  for (const format of formats) {
    const layouts = await format.layouts(found);
    if (layouts) return layouts.map((layout) => ({ found, layout }));
  }
  return [];
}

/** Tensors by which a dictionary of any format is known; spares the settings of everything else from being read. */
const holdsMatrices = ({ tensors }: TensorSet) => {
  const names = [...tensors.keys()];
  return ["W_dec", "w_dec", "decoder.weight"].some((name) => tensors.has(name)) || names.some((name) => name.includes("sae_encoder"));
};

interface Listing {
  tensors: string[];
  pickles: string[];
  folders: string[];
}

async function list(folder: string): Promise<Listing> {
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  const at = (names: string[]) => names.map((name) => path.join(folder, name));
  const holders = files.filter((name) => mayHoldTensors(name) && name !== sampleFile);
  const index = holders.filter((name) => name.endsWith(".index.json"));
  return {
    // Where an index lies, the shards are read through it.
    tensors: at(index.length ? index : holders),
    pickles: at(files.filter((name) => pickles.test(name))),
    folders: at(entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name)),
  };
}

/** The dictionaries directly in `folder`. */
async function recogniseFolder(listing: Listing): Promise<Recognised[]> {
  for (const file of listing.tensors.slice(0, mostFiles)) {
    const here = await recogniseFile(file);
    if (here.length) return here;
  }
  return [];
}

/** Every dictionary at `given`: of a file; of a folder; else of the folders under it. `first`: one is enough. */
async function recogniseAll(given: string, { first }: { first: boolean }): Promise<Recognised[]> {
  const root = path.resolve(given);
  if (!(await stat(root)).isDirectory()) {
    if (mayHoldTensors(root)) return recogniseFile(root);
    if (await isPickle(root)) throw refuseWeights(given);
    return [];
  }
  const found: Recognised[] = [];
  let refused: string | null = null;
  let level = [root];
  let seen = 0;
  for (let depth = 0; depth <= deepest && level.length && found.length === 0; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      if (++seen > mostFolders) break;
      const listing = await list(folder);
      const here = await recogniseFolder(listing);
      found.push(...here);
      if (first && found.length) return found;
      if (here.length === 0) {
        for (const file of listing.pickles) {
          if (refused === null && (await isPickle(file))) refused = file;
        }
        next.push(...listing.folders);
      }
    }
    level = next;
  }
  // A pickle is spoken of only where nothing else can be read.
  if (found.length === 0 && refused !== null) throw refuseWeights(refused);
  return found;
}

/** Tensors that settings, too, are known to be kept in. */
const settingsTensors = ["k", "group_sizes", "threshold"];

/** A sentence on tensors that no dictionary of the file reads: a misspelt bias would be taken for none. */
function unread(found: Found, layouts: Layout[]): string[] {
  const read = new Set(settingsTensors);
  for (const { encoder, decoder, encoderBias, decoderBias, threshold, gate, skip } of layouts) {
    const tensors = [encoder.tensor, decoder.tensor, encoderBias, decoderBias, threshold, skip?.tensor, ...Object.values(gate ?? {})];
    for (const tensor of tensors) if (tensor) read.add(tensor.name);
  }
  const names = [...found.set.tensors.keys()].filter((name) => !read.has(name));
  return names.length ? [`Its file also holds ${names.slice(0, 8).join(", ")}, which was not read.`] : [];
}

const number = (value: number) => value.toLocaleString("en");

/** What Facet's own engine computes: TopK at a block's output. Others are browsed. */
export function runs(weights: LoadedWeights): boolean {
  const { activation, input_norm, subtract_b_dec, hook } = weights;
  return activation === "topk" && input_norm === "none" && subtract_b_dec && hook !== null && /^model\.layers\.\d+$/.test(hook);
}

function sentences({ found, layout }: Recognised, weights: LoadedWeights, all: Recognised[]): string {
  const { num_latents, width, activation, k, hook } = weights;
  const engine = runs(weights)
    ? "Facet's engine computes such dictionaries: it runs where engine.json names these weights, and is browsed elsewhere."
    : "No engine of Facet's runs it: it can be browsed, not steered with.";
  return [
    `A ${layout.format} dictionary of ${number(num_latents)} features at ${hook ?? "a hook that its files do not name"}, width ${number(width)}, ${activation}${k === null ? "" : `, k ${k}`}.`,
    ...weights.notes,
    ...unread(
      found,
      all.filter((one) => one.found === found).map((one) => one.layout),
    ),
    engine,
  ].join(" ");
}

async function contentOf({ found, layout }: Recognised, weights: LoadedWeights): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([layout.format, weights.sha256, weights.hook]));
  for (const { file } of Object.values(found.settings)) hash.update(await sha256OfFile(file));
  return hash.digest("hex");
}

export const dictionaryReader: Reader<Part[]> = {
  format: "dictionary weights",
  async recognise(given) {
    const [one] = await recogniseAll(given, { first: true });
    return one ? { found: `A ${one.layout.format} dictionary.` } : null;
  },
  async read(given, options: ReadOptions) {
    const recognised = await recogniseAll(given, { first: false });
    const parts: Part[] = [];
    for (const one of recognised) {
      options.signal?.throwIfAborted();
      const weights = await loadWeights(one.found, one.layout);
      const { model } = one.layout;
      parts.push({
        kind: "weights",
        format: one.layout.format,
        found: sentences(one, weights, recognised),
        path: one.found.set.file,
        content: await contentOf(one, weights),
        ...(model !== null && slugOf(model) && { model: { id: slugOf(model), name: model } }),
        tables: {},
        weights,
      });
    }
    if (parts.length === 0) throw invalidFile(`${given} holds no dictionary that Facet knows.`, "docs/formats-in.md lists the formats.");
    return parts;
  },
};
