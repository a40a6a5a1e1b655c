/**
 * The JSON files of the paper's repository, told apart by what is in them: explanations `[{"model.layers.24_feature14": "text"}, …]`, refined
 * texts and concept labels `{feature: text}`, IoU and CLIP lists, consistency `{feature: "0" | "1" | -1}`. All that are given together
 * speak of one explanation a feature.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { hookOf } from "../hook";
import { sha256OfFile } from "../manifest";
import { type ExplanationRow, invalidFile, madeTable, type Part, type Reader, type ReadOptions } from "../source";
import { labelOf, readConcept, readExplanation, readScore } from "./failures";
import { featureOf, parseFeatureKey } from "./feature-key";
import { number } from "./image-part";
import { entriesOf, jsonEntries, jsonKind, parseEntry } from "./json-entries";
import { type Measured, scoreTable } from "./score-rows";

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

/** What is known of a feature besides its explanation. */
interface Beside {
  text?: string | null;
  concept?: unknown;
  /** The text that a score was made of. */
  scored?: unknown;
  scores: Measured[];
}

const twice = (file: string, key: string) => invalidFile(`${file}: "${key}" comes twice, and says two things.`, "Keep one of the two.");

const digest = (raw: string) => createHash("sha1").update(raw).digest("base64").slice(0, 12);

/** Every (feature, value) of a file, each feature once; the same thing said twice is said once. */
async function* valuesOf({ file, kind }: PaperFile): AsyncGenerator<{ hook: string; index: number; raw: string }> {
  const seen = new Map<string, string>();
  const isNew = (key: string, raw: string) => {
    const known = seen.get(key);
    const mark = digest(raw);
    if (known !== undefined && known !== mark) throw twice(file, key);
    seen.set(key, mark);
    return known === undefined;
  };
  for await (const entry of jsonEntries(file)) {
    if (kind === "iou" || kind === "clip") {
      const { feature } = (parseEntry(file, "an entry", entry.raw) ?? {}) as { feature?: unknown };
      const named = featureOf(file, feature);
      if (isNew(String(feature), entry.raw)) yield { ...named, raw: entry.raw };
      continue;
    }
    for (const { key, raw } of kind === "explanations" ? entriesOf(file, entry.raw) : [entry]) {
      if (key === "prompt") continue;
      const named = featureOf(file, key);
      if (isNew(key ?? "", raw)) yield { ...named, raw };
    }
  }
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
  const entry = (value ?? {}) as { iou_scores?: unknown; avg_iou?: unknown; clip_scores?: unknown; avg_score?: unknown };
  const given = kind === "iou" ? entry.iou_scores : entry.clip_scores;
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
  return { metric: kind, value: mean(single), n: single.length, failure: null, method: `${what}, mean over ${single.length}${left}.` };
}

async function gather(files: PaperFile[]): Promise<Map<string, Map<number, Beside>>> {
  const hooks = new Map<string, Map<number, Beside>>();
  for (const source of files) {
    for await (const { hook, index, raw } of valuesOf(source)) {
      const features = hooks.get(hook) ?? new Map<number, Beside>();
      hooks.set(hook, features);
      const beside: Beside = features.get(index) ?? { scores: [] };
      features.set(index, beside);
      // Explanations are long and read again when they are written.
      if (source.kind === "explanations") continue;
      const where = `the value of ${hook}_feature${index}`;
      const value = parseEntry(source.file, where, raw);
      if (source.kind === "texts") beside.text = typeof value === "string" ? value : null;
      else if (source.kind === "concepts") beside.concept = value;
      else {
        const measured = measuredOf(source.kind, value);
        if (beside.scores.some((score) => score.metric === measured.metric)) {
          throw invalidFile(
            `${source.file}: feature ${index} has its ${measured.metric} score in another file already.`,
            "Give one file of each kind.",
          );
        }
        beside.scores.push(measured);
        beside.scored ??= (value as { label?: unknown } | null)?.label;
      }
    }
  }
  return hooks;
}

function rowOf(index: number, given: unknown, beside: Beside, created_at: string): ExplanationRow {
  const own = given === undefined ? (beside.text ?? beside.scored) : given;
  const read = readExplanation(own);
  const refined = readExplanation(beside.text ?? beside.scored);
  const short = refined.text ?? read.text;
  const said = read.text !== null;
  return {
    index,
    method,
    author,
    text: read.text,
    label: said && short !== null ? labelOf(short) : null,
    concept: said ? readConcept(beside.concept) : null,
    failure: read.failure,
    prompt: null,
    created_at,
    preferred: said,
  };
}

async function* explanationRows(
  hook: string,
  explanations: PaperFile[],
  features: Map<number, Beside>,
  created_at: string,
): AsyncGenerator<ExplanationRow> {
  const done = new Set<number>();
  for (const source of explanations) {
    for await (const entry of valuesOf(source)) {
      if (entry.hook !== hook) continue;
      if (done.has(entry.index))
        throw invalidFile(
          `${source.file}: feature ${entry.index} is explained in another file already.`,
          "Give one file of explanations for each hook.",
        );
      done.add(entry.index);
      yield rowOf(
        entry.index,
        parseEntry(source.file, `the explanation of feature ${entry.index}`, entry.raw),
        features.get(entry.index) ?? { scores: [] },
        created_at,
      );
    }
  }
  for (const [index, beside] of features) if (!done.has(index)) yield rowOf(index, undefined, beside, created_at);
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
  const explanations = files.filter(({ kind }) => kind === "explanations");
  const hooks = await gather(files);
  const parts: Part[] = [];
  for (const [hook, features] of hooks) {
    const rows = () => explanationRows(hook, explanations, features, created_at);
    let failed = 0;
    for await (const row of rows()) if (row.text === null) failed++;
    const held = [...new Set(files.map(({ kind }) => kindWords[kind]))].join(", ");
    const scored = [...features].map(([index, beside]) => ({ index, scores: beside.scores })).sort((a, b) => a.index - b.index);
    parts.push({
      kind: "tables",
      format: "sae-auto-interp",
      path: at,
      hook: hookOf(hook).hook,
      found: `${at}: the paper's ${held} of ${number(features.size)} features of ${hook}; ${number(failed)} explanations are recorded as failed.`,
      content: sha256,
      num_latents: null,
      tables: {
        explanations: madeTable(at, features.size, rows),
        scores: scoreTable(at, method, scored),
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
