/** Neuronpedia's lines → tables. The files are read as often as needed; what is kept is a few numbers a feature. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { encodeBytes } from "@/lib/core/sparse-map";
import type { activationColumns, featureColumns, textColumns, tokenColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { type ExplanationRow, type FeatureRow, invalidFile, madeTable, type PartTables, unmeasured } from "../source";
import { halfMax } from "./examples";
import { labelOf, readExplanation, readScore } from "./failures";
import { linesOfFiles, type NeuronpediaFiles } from "./neuronpedia-lines";
import { Spool, spooledTable } from "./spool";

export interface FeatureLine {
  modelId?: unknown;
  layer?: unknown;
  index?: unknown;
  hookName?: unknown;
  maxActApprox?: unknown;
  frac_nonzero?: unknown;
  pos_str?: unknown;
  pos_values?: unknown;
  freq_hist_data_bar_heights?: unknown;
  freq_hist_data_bar_values?: unknown;
}

export interface ExplanationLine {
  modelId?: unknown;
  layer?: unknown;
  index?: unknown;
  description?: unknown;
  typeName?: unknown;
  explanationModelName?: unknown;
  authorId?: unknown;
  createdAt?: unknown;
}

export interface ActivationLine {
  modelId?: unknown;
  layer?: unknown;
  index?: unknown;
  tokens?: unknown;
  values?: unknown;
  maxValue?: unknown;
}

/** Examples that a feature keeps, the strongest. */
const keep = 20;
const bins = 32;
const again = "Export or download it again.";

function indexOf(where: string, value: unknown): number {
  const index = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > 0x7fffffff) {
    throw invalidFile(`${where}: "index" is ${JSON.stringify(value)?.slice(0, 40)}; it must be a feature's number.`, again);
  }
  return index;
}

function numbersOf(where: string, key: string, value: unknown): number[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value) || value.some((one) => typeof one !== "number" || !Number.isFinite(one))) {
    throw invalidFile(`${where}: "${key}" holds what is no finite number.`, "Put numbers there, or leave the line out.");
  }
  return value as number[];
}

/** Bars of any width, given by their middles and heights → 32 equal bins from 0 to `max`, each bar in its middle's bin. */
export function rebin(middles: number[], heights: number[], max: number): number[] | null {
  if (max <= 0 || middles.length === 0 || middles.length !== heights.length) return null;
  const counts = new Array<number>(bins).fill(0);
  for (const [i, middle] of middles.entries()) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor((middle / max) * bins)));
    counts[bin] = (counts[bin] as number) + Math.max(0, Math.round(heights[i] as number));
  }
  return counts.some((one) => one > 0) ? counts : null;
}

function featureRow(where: string, line: FeatureLine): FeatureRow {
  const index = indexOf(where, line.index);
  const share = readScore(line.frac_nonzero);
  if (share !== null && (share < 0 || share > 1)) {
    throw invalidFile(`${where}: "frac_nonzero" of feature ${index} is ${share}; it is a share of tokens, 0 to 1.`, again);
  }
  const middles = numbersOf(where, "freq_hist_data_bar_values", line.freq_hist_data_bar_values);
  const heights = numbersOf(where, "freq_hist_data_bar_heights", line.freq_hist_data_bar_heights);
  const max = readScore(line.maxActApprox);
  const counts = max === null ? null : rebin(middles, heights, max);
  const total = counts?.reduce((sum, one) => sum + one, 0) ?? 0;
  const fires = share === null && max === null ? null : (share ?? 0) > 0 || (max ?? 0) > 0;
  return {
    ...unmeasured(index),
    text_density: share,
    max_activation: max,
    mean_activation: total
      ? middles.reduce((sum, middle, i) => sum + middle * Math.max(0, heights[i] as number), 0) /
        heights.reduce((sum, one) => sum + Math.max(0, one), 0)
      : null,
    dead: fires === null ? null : !fires,
    always_on: share === null ? null : share >= 0.5,
    hist_counts: counts,
  };
}

interface TextExample {
  tokens: string[];
  values: number[];
  peak: number;
}

function exampleOf(where: string, line: ActivationLine): TextExample {
  const { tokens } = line;
  if (!Array.isArray(tokens) || tokens.length === 0 || tokens.some((one) => typeof one !== "string")) {
    throw invalidFile(`${where}: "tokens" is no list of strings.`, again);
  }
  const values = numbersOf(where, "values", line.values);
  if (values.length !== tokens.length) {
    throw invalidFile(`${where}: ${tokens.length} tokens have ${values.length} values.`, again);
  }
  if (tokens.length > 32_767)
    throw invalidFile(`${where}: ${tokens.length} tokens are more than a text may have (32,767).`, "Shorten the text.");
  const peak = values.reduce((most, value) => Math.max(most, value), 0);
  if (values.some((value) => Math.abs(value) > halfMax)) {
    throw invalidFile(`${where}: an activation of ${peak} does not fit the fp16 of maps (65,504).`, "Scale the activations down.");
  }
  return { tokens: tokens as string[], values, peak };
}

/** A number for a text that is the same wherever the text comes: 48 bits of its hash. */
export function textNumber(tokens: string[]): number {
  return createHash("sha256").update(JSON.stringify(tokens)).digest().readUIntBE(0, 6);
}

interface Candidate extends TextExample {
  /** Order within the file. */
  line: number;
}

/** What the first line said, and any other must say too. */
interface Origin {
  modelId: string | null;
  source: string | null;
}

function checkOrigin(where: string, line: { modelId?: unknown; layer?: unknown }, { modelId, source }: Origin): void {
  for (const [key, said] of [
    ["modelId", modelId],
    ["layer", source],
  ] as const) {
    const own = line[key];
    if (typeof own === "string" && said !== null && own !== said) {
      throw invalidFile(`${where}: "${key}" is ${own}; the first line says ${said}.`, "Import each source by itself.");
    }
  }
}

export interface NeuronpediaTables {
  tables: PartTables;
  texts: Table<typeof textColumns> | undefined;
  features: number;
  explanations: number;
  failed: number;
  examples: number;
  textCount: number;
  latents: number | null;
  /** Examples beyond the `keep` of each feature. */
  left: number;
  keep: number;
}

/** The strongest examples of each feature. A feature's lines lie in one file, as the export writes them: memory is that of one file's best. */
async function readExamples(path: string, files: string[], origin: Origin, signal?: AbortSignal) {
  const examples = new Spool<Row<typeof activationColumns>>();
  const texts = new Spool<Row<typeof textColumns>>();
  const known = new Set<number>();
  const done = new Map<number, string>();
  let left = 0;
  for (const file of files) {
    const best = new Map<number, Candidate[]>();
    let at = 0;
    for await (const { where, line } of linesOfFiles<ActivationLine>([file])) {
      signal?.throwIfAborted();
      checkOrigin(where, line, origin);
      const index = indexOf(where, line.index);
      const earlier = done.get(index);
      if (earlier !== undefined) {
        throw invalidFile(
          `${where}: activations of feature ${index} are in ${earlier} too.`,
          "Put the lines of one feature into one file.",
        );
      }
      const mine = best.get(index) ?? [];
      best.set(index, mine);
      const example = exampleOf(where, line);
      if (example.peak <= 0) continue;
      mine.push({ ...example, line: at++ });
      if (mine.length <= keep) continue;
      mine.sort((a, b) => b.peak - a.peak || a.line - b.line).pop();
      left++;
    }
    for (const [index, mine] of best) {
      done.set(index, file);
      mine.sort((a, b) => b.peak - a.peak || a.line - b.line);
      for (const [rank, { tokens, values, peak }] of mine.entries()) {
        const text = textNumber(tokens);
        if (!known.has(text)) texts.add({ id: text, tokens, image: null });
        known.add(text);
        const active = values.flatMap((value, i) => (value !== 0 ? [i] : []));
        const map = { positions: Uint16Array.from(active), values: Float32Array.from(active, (i) => values[i] as number) };
        const mean = values.reduce((total, value) => total + Math.max(0, value), 0) / values.length;
        examples.add({ index, band: "text", rank, image: null, text, rows: 1, cols: tokens.length, peak, mean, ...encodeBytes(map) });
      }
    }
  }
  let last = -1;
  for (const index of done.keys()) last = Math.max(last, index);
  return { examples: spooledTable(path, examples, (row) => row), texts: spooledTable(path, texts, (row) => row), left, last };
}

async function readFeatures(files: string[], origin: Origin, signal?: AbortSignal) {
  /** Counts are packed: there may be 131,072 of these rows, in any order. */
  const rows: { row: FeatureRow; counts: Float64Array | null }[] = [];
  const tokens = new Spool<Row<typeof tokenColumns>>();
  const seen = new Map<number, string>();
  for await (const { where, line } of linesOfFiles<FeatureLine>(files)) {
    signal?.throwIfAborted();
    checkOrigin(where, line, origin);
    const row = featureRow(where, line);
    const mark = createHash("sha1").update(JSON.stringify(line)).digest("base64");
    const known = seen.get(row.index);
    if (known === mark) continue;
    if (known !== undefined)
      throw invalidFile(`${where}: feature ${row.index} comes twice, and says two things.`, "Keep one of the two lines.");
    seen.set(row.index, mark);
    rows.push({ row: { ...row, hist_counts: null }, counts: row.hist_counts && Float64Array.from(row.hist_counts) });
    const values = numbersOf(where, "pos_values", line.pos_values);
    const strings = Array.isArray(line.pos_str) ? line.pos_str : [];
    for (const [rank, value] of values.entries()) {
      if (typeof strings[rank] === "string") tokens.add({ index: row.index, kind: "writes", rank, token: strings[rank] as string, value });
    }
  }
  rows.sort((a, b) => a.row.index - b.row.index);
  return { rows, tokens };
}

const dateOf = (value: unknown, fallback: string) =>
  typeof value === "string" && !Number.isNaN(Date.parse(value)) ? new Date(value).toISOString() : fallback;
const wordOf = (value: unknown) => (typeof value === "string" && value.trim() !== "" ? value.trim() : null);

async function* explanationRows(files: string[], origin: Origin, fallback: string): AsyncGenerator<ExplanationRow> {
  const preferred = new Set<number>();
  const seen = new Map<string, string>();
  for await (const { where, line } of linesOfFiles<ExplanationLine>(files)) {
    checkOrigin(where, line, origin);
    const index = indexOf(where, line.index);
    const read = readExplanation(line.description);
    const author = wordOf(line.explanationModelName) ?? wordOf(line.authorId) ?? "neuronpedia";
    const method = wordOf(line.typeName) ?? "neuronpedia";
    const mark = `${index} ${method} ${author}`;
    if (seen.get(mark) === (read.text ?? read.failure)) continue;
    seen.set(mark, read.text ?? read.failure);
    const first = read.text !== null && !preferred.has(index);
    if (first) preferred.add(index);
    yield {
      index,
      method,
      author,
      text: read.text,
      label: read.text === null ? null : labelOf(read.text),
      concept: null,
      failure: read.failure,
      prompt: null,
      created_at: dateOf(line.createdAt, fallback),
      preferred: first,
    };
  }
}

/** Reads and checks every line. Throws `file_invalid` naming file, line and key. */
export async function neuronpediaTables(
  path: string,
  files: NeuronpediaFiles,
  from: Origin,
  signal?: AbortSignal,
): Promise<NeuronpediaTables> {
  const { rows, tokens } = await readFeatures(files.features, from, signal);
  const { examples, texts, left, last } = await readExamples(path, files.activations, from, signal);
  const dates = await Promise.all(files.explanations.map(async (file) => (await stat(file)).mtimeMs));
  const fallback = new Date(Math.max(0, ...dates)).toISOString();
  let explanations = 0;
  let failed = 0;
  let latest = Math.max(last, rows.at(-1)?.row.index ?? -1);
  for await (const row of explanationRows(files.explanations, from, fallback)) {
    explanations++;
    if (row.text === null) failed++;
    latest = Math.max(latest, row.index);
  }
  return {
    tables: {
      features: madeTable<typeof featureColumns>(path, rows.length, function* () {
        for (const { row, counts } of rows) yield { ...row, hist_counts: counts && Array.from(counts) };
      }),
      tokens: spooledTable(path, tokens, (row) => row),
      explanations: madeTable(path, explanations, () => explanationRows(files.explanations, from, fallback)),
      activations: examples,
    },
    texts: files.activations.length ? texts : undefined,
    features: rows.length,
    explanations,
    failed,
    examples: examples.rows,
    textCount: texts.rows,
    latents: latest >= 0 ? latest + 1 : null,
    left,
    keep,
  };
}
