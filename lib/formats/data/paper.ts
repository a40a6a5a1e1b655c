/**
 * The JSON files of the paper's repository, told apart by what is in them: explanations `[{"model.layers.24_feature14": "text"}, …]`, refined
 * texts and concept labels `{feature: text}`, IoU and CLIP lists, consistency `{feature: "0" | "1" | -1}`. All that are given together
 * speak of one explanation a feature.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { scoreColumns } from "../bundle";
import { hookOf } from "../hook";
import { sha256OfFile } from "../manifest";
import type { Row } from "../parquet";
import { type ExplanationRow, invalidFile, madeTable, type Part, type Reader, type ReadOptions } from "../source";
import { labelOf, readConcept, readExplanation, readScore } from "./failures";
import { featureOf, parseFeatureKey } from "./feature-key";
import { FeatureRecords } from "./feature-records";
import { number } from "./image-part";
import { entriesOf, jsonEntries, jsonKind, parseEntry } from "./json-entries";
import type { Measured } from "./score-rows";

type Kind = "explanations" | "texts" | "concepts" | "iou" | "clip" | "consistency";
const kindWords: Record<Kind, string> = {
  explanations: "explanations",
  texts: "refined explanations",
  concepts: "concept labels",
  iou: "IoU scores",
  clip: "CLIP scores",
  consistency: "consistency scores",
};

/** The explanation that all of these files speak of. */
const method = "top-images";
const author = "sae-auto-interp";
/** Entries that tell a file's kind. */
const sampled = 200;

const isVerdict = (value: unknown) => ["0", "1", "-1"].includes(String(value).trim());

function kindOfValues(values: unknown[]): Kind | null {
  if (values.some((value) => typeof value === "object" && value !== null)) return null;
  if (values.every(isVerdict)) return "consistency";
  const said = values.filter((value) => typeof value === "string" && value.trim() !== "");
  return said.length && said.filter((value) => readConcept(value) !== null).length >= said.length / 2 ? "concepts" : "texts";
}

/** What a file holds; null where it is none of the paper's. Reads its beginning. */
async function kindOf(file: string): Promise<Kind | null> {
  if (!file.endsWith(".json")) return null;
  const bracket = await jsonKind(file);
  if (!bracket) return null;
  const values: unknown[] = [];
  try {
    for await (const { key, raw } of jsonEntries(file)) {
      if (bracket === "object") {
        if (parseFeatureKey(key ?? "") === null) return null;
        values.push(parseEntry(file, `"${key}"`, raw));
        if (values.length === sampled) break;
        continue;
      }
      const entry = parseEntry(file, "the first entry", raw) as Record<string, unknown> | null;
      if (typeof entry !== "object" || entry === null) return null;
      if ("iou_scores" in entry || "avg_iou" in entry) return "iou";
      if ("clip_scores" in entry || "avg_score" in entry) return "clip";
      return Object.keys(entry).some((one) => parseFeatureKey(one)) ? "explanations" : null;
    }
  } catch {
    // Cut short, perhaps after entries that tell: reading it says what is wrong.
  }
  return values.length ? kindOfValues(values) : null;
}

interface PaperFile {
  file: string;
  kind: Kind;
}

async function filesAt(at: string): Promise<PaperFile[]> {
  const there = await stat(at);
  const files = there.isDirectory()
    ? (await readdir(at, { withFileTypes: true }))
        .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
        .map((entry) => path.join(at, entry.name))
    : [at];
  const known: PaperFile[] = [];
  for (const file of files.sort()) {
    const kind = await kindOf(file);
    if (kind) known.push({ file, kind });
  }
  return known;
}

/** Every (feature, value) of a file, as often as it is there. */
async function* valuesOf({ file, kind }: PaperFile): AsyncGenerator<{ hook: string; index: number; raw: string }> {
  for await (const entry of jsonEntries(file)) {
    if (kind === "iou" || kind === "clip") {
      const { feature } = (parseEntry(file, "an entry", entry.raw) ?? {}) as { feature?: unknown };
      yield { ...featureOf(file, feature), raw: entry.raw };
      continue;
    }
    for (const { key, raw } of kind === "explanations" ? entriesOf(file, entry.raw) : [entry]) {
      if (key !== "prompt") yield { ...featureOf(file, key), raw };
    }
  }
}

/** A value as it is written, and the number of its file. */
interface Said {
  file: number;
  raw: string;
}

type HookRecords = Map<Kind, FeatureRecords<Said>>;

/** Every value by hook, kind and feature, on disk; the same thing said twice is said once. Throws `file_invalid` where two things are said. */
async function gather(files: PaperFile[]): Promise<Map<string, HookRecords>> {
  const hooks = new Map<string, HookRecords>();
  for (const [number, source] of files.entries()) {
    const { file, kind } = source;
    for await (const { hook, index, raw } of valuesOf(source)) {
      const kinds = hooks.get(hook) ?? new Map<Kind, FeatureRecords<Said>>();
      hooks.set(hook, kinds);
      const records = kinds.get(kind) ?? new FeatureRecords<Said>();
      kinds.set(kind, records);
      if (records.add(index, { file: number, raw })) continue;
      const known = records.get(index) as Said;
      if (known.raw === raw) continue;
      const key = `${hook}_feature${index}`;
      if (known.file === number) throw invalidFile(`${file}: "${key}" comes twice, and says two things.`, "Keep one of the two.");
      throw invalidFile(
        `${file}: "${key}" has its ${kindWords[kind]} in ${files[known.file]?.file} already, which says something else.`,
        "Give one file of each kind.",
      );
    }
  }
  return hooks;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function measuredOf(kind: Kind, value: unknown): Measured {
  if (kind === "consistency") {
    const verdict = readScore(value);
    const told = verdict === 0 || verdict === 1 ? verdict : null;
    const failure = told === null ? "The judge gave no verdict." : null;
    return {
      metric: kind,
      value: told,
      n: told === null ? 0 : 1,
      failure,
      method: "Whether a judge found the explanation to fit all of its top pictures (1) or not (0).",
    };
  }
  const entry = (value ?? {}) as { iou_scores?: unknown; avg_iou?: unknown; clip_scores?: unknown; avg_score?: unknown; n?: unknown };
  const given = kind === "iou" ? entry.iou_scores : entry.clip_scores;
  // Facet's own export has the mean alone, and says of how many.
  const of = Number.isSafeInteger(entry.n) && Array.isArray(given) && given.length === 1 ? Math.max(1, entry.n as number) : null;
  const average = readScore(kind === "iou" ? entry.avg_iou : entry.avg_score);
  const list = Array.isArray(given) ? given : [];
  const single = list.flatMap((one) => readScore(one) ?? []);
  const what =
    kind === "iou"
      ? "Overlap of where it fires with where its label is found (GroundingDINO and SAM)"
      : "CLIP score of its label with its top pictures, 0 to 100";
  if (list.length === 0 || single.length === 0) {
    const failure = list.length ? `None of its ${list.length} pictures could be scored.` : "There was no description to score.";
    return { metric: kind, value: null, n: 0, failure, method: `${what}.` };
  }
  const failed = list.length - single.length;
  const left = failed
    ? `; ${failed} of ${list.length} could not be scored and are left out (the file's own mean counts them as 0: ${average ?? "none"})`
    : "";
  const n = of ?? single.length;
  return { metric: kind, value: mean(single), n, failure: null, method: `${what}, mean over ${n}${left}.` };
}

const scoreKinds = ["iou", "clip", "consistency"] as const;

interface FeatureSaid {
  row: ExplanationRow;
  scores: Row<typeof scoreColumns>[];
}

/** What is said of one feature. */
function featureSaid(hook: string, index: number, kinds: HookRecords, files: PaperFile[], created_at: string): FeatureSaid {
  const value = (kind: Kind): unknown => {
    const said = kinds.get(kind)?.get(index);
    return said && parseEntry(files[said.file]?.file ?? "", `the value of ${hook}_feature${index}`, said.raw);
  };
  const scored = scoreKinds.flatMap((kind) => {
    const given = value(kind);
    return given === undefined ? [] : [{ kind, given }];
  });
  // The text that a score was made of.
  const label = scored.map(({ given }) => (given as { label?: unknown } | null)?.label).find((one) => one !== undefined && one !== null);
  const short = value("texts") ?? label;
  const given = value("explanations");
  const read = readExplanation(given === undefined ? short : given);
  const said = read.text !== null;
  const words = readExplanation(short).text ?? read.text;
  return {
    row: {
      index,
      method,
      author,
      text: read.text,
      label: said && words !== null ? labelOf(words) : null,
      concept: said ? readConcept(value("concepts")) : null,
      failure: read.failure,
      prompt: null,
      created_at,
      preferred: said,
    },
    scores: scored.map(({ kind, given }) => ({ index, explanation: method, baseline: null, ...measuredOf(kind, given) })),
  };
}

/** Every feature that any kind speaks of, ascending. */
function indicesOf(kinds: HookRecords): Int32Array {
  const all = [...kinds.values()].map((records) => records.indices());
  const sorted = new Int32Array(all.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of all) {
    sorted.set(one, at);
    at += one.length;
  }
  sorted.sort();
  return sorted.filter((index, i) => i === 0 || index !== sorted[i - 1]);
}

async function readFiles(files: PaperFile[], at: string): Promise<Part[]> {
  const content = createHash("sha256");
  let newest = 0;
  for (const { file } of files) {
    content.update(await sha256OfFile(file));
    newest = Math.max(newest, (await stat(file)).mtimeMs);
  }
  const sha256 = content.digest("hex");
  const created_at = new Date(newest).toISOString();
  const parts: Part[] = [];
  for (const [hook, kinds] of await gather(files)) {
    const indices = indicesOf(kinds);
    function* said(): Generator<FeatureSaid> {
      for (const index of indices) yield featureSaid(hook, index, kinds, files, created_at);
    }
    let [failed, scores] = [0, 0];
    for (const one of said()) {
      if (one.row.text === null) failed++;
      scores += one.scores.length;
    }
    const held = [...new Set(files.map(({ kind }) => kindWords[kind]))].join(", ");
    parts.push({
      kind: "tables",
      format: "sae-auto-interp",
      path: at,
      hook: hookOf(hook).hook,
      found: `${at}: the paper's ${held} of ${number(indices.length)} features of ${hook}; ${number(failed)} explanations are recorded as failed.`,
      content: sha256,
      num_latents: null,
      tables: {
        explanations: madeTable(at, indices.length, function* () {
          for (const { row } of said()) yield row;
        }),
        scores: madeTable(at, scores, function* () {
          for (const one of said()) yield* one.scores;
        }),
      },
    });
  }
  return parts;
}

export const paperReader: Reader<Part[]> = {
  format: "sae-auto-interp",
  async recognise(at) {
    const files = await filesAt(at);
    return files.length ? { found: `${at}: the paper's ${[...new Set(files.map(({ kind }) => kindWords[kind]))].join(", ")}` } : null;
  },
  /** The first of the paths reads for all of them: a score's explanation may lie in another file. */
  async read(at, options: ReadOptions) {
    const paths = options.paths ?? [at];
    const all: PaperFile[] = [];
    let first: string | null = null;
    for (const one of paths) {
      const files = await filesAt(one);
      if (files.length) first ??= one;
      all.push(...files);
    }
    if (first !== at) return [];
    return readFiles(
      all,
      all.length === 1 ? (all[0] as PaperFile).file : paths.length === 1 ? at : all.map(({ file }) => file).join(" + "),
    );
  },
};
