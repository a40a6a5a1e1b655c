/** `explanations/`: texts with who wrote them and, where an export of Facet's own holds them, what was measured of them. */
import { stat } from "node:fs/promises";
import type { scoreColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { type ExplanationRow, invalidFile, madeTable } from "../source";
import { labelOf, readConcept, readExplanation, readScore } from "./failures";
import { again, checkOrigin, indexOf, linesOfFiles, type Origin, type OriginLine } from "./neuronpedia-lines";
import { keyOf, NumberMap } from "./number-map";

export interface ExplanationLine extends OriginLine {
  description?: unknown;
  typeName?: unknown;
  explanationModelName?: unknown;
  authorId?: unknown;
  createdAt?: unknown;
  /** Facet's own, as in `FeatureLine`. */
  label?: unknown;
  concept?: unknown;
  preferred?: unknown;
  scores?: unknown;
}

type ScoreRow = Row<typeof scoreColumns>;

/** As it is written where it is ISO 8601, to the microsecond; else what JavaScript reads of it. */
function dateOf(value: unknown, fallback: string): string {
  if (typeof value !== "string" || Number.isNaN(Date.parse(value))) return fallback;
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value) ? value : new Date(value).toISOString();
}
const wordOf = (value: unknown) => (typeof value === "string" && value.trim() !== "" ? value.trim() : null);

function scoresOf(where: string, index: number, explanation: string, given: unknown): ScoreRow[] {
  if (!Array.isArray(given)) return [];
  return given.flatMap((one: unknown): ScoreRow[] => {
    const score = (one ?? {}) as Record<string, unknown>;
    const metric = wordOf(score.scoreType);
    if (metric === null) return [];
    const value = readScore(score.value);
    const failure = wordOf(score.failure);
    if (value === null && failure === null) return [];
    const n = Number.isSafeInteger(score.n) ? (score.n as number) : null;
    if (n === null || n < 0) throw invalidFile(`${where}: "n" of the score ${metric} of feature ${index} is no number.`, again);
    return [{ index, explanation, metric, value, baseline: readScore(score.baseline), n, failure, method: wordOf(score.method) ?? metric }];
  });
}

interface Read {
  row: ExplanationRow;
  scores: ScoreRow[];
}

async function* rowsOf(files: string[], origin: Origin, fallback: string): AsyncGenerator<Read> {
  const preferred = new NumberMap();
  const seen = new NumberMap();
  for await (const { where, line } of linesOfFiles<ExplanationLine>(files)) {
    checkOrigin(where, line, origin);
    const index = indexOf(where, line.index);
    const read = readExplanation(line.description);
    const author = wordOf(line.explanationModelName) ?? wordOf(line.authorId) ?? "neuronpedia";
    const method = wordOf(line.typeName) ?? "neuronpedia";
    const mark = keyOf(JSON.stringify([index, method, author, read.text ?? read.failure]));
    if (seen.get(mark) !== undefined) continue;
    seen.set(mark, 1);
    // Facet's own export says which; elsewhere it is the first.
    const first = read.text !== null && (line.preferred ?? true) === true && preferred.get([0, index]) === undefined;
    if (first) preferred.set([0, index], 1);
    const label = wordOf(line.label) ?? (read.text === null ? null : labelOf(read.text));
    yield {
      row: {
        index,
        method,
        author,
        text: read.text,
        label: read.text === null ? null : label,
        concept: read.text === null ? null : readConcept(line.concept),
        failure: read.failure,
        prompt: null,
        created_at: dateOf(line.createdAt, fallback),
        preferred: first,
      },
      scores: scoresOf(where, index, method, line.scores),
    };
  }
}

export interface ReadExplanations {
  explanations: Table<typeof import("../bundle").explanationColumns>;
  scores: Table<typeof scoreColumns>;
  failed: number;
  /** The largest feature that was named; -1 where none was. */
  last: number;
}

/** Reads and checks every line, which are read again when they are written. Throws `file_invalid`. */
export async function readExplanations(path: string, files: string[], origin: Origin, signal?: AbortSignal): Promise<ReadExplanations> {
  const dates = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  const fallback = new Date(Math.max(0, ...dates)).toISOString();
  const read = () => rowsOf(files, origin, fallback);
  let [explanations, scores, failed, last] = [0, 0, 0, -1];
  for await (const one of read()) {
    signal?.throwIfAborted();
    explanations++;
    scores += one.scores.length;
    if (one.row.text === null) failed++;
    last = Math.max(last, one.row.index);
  }
  return {
    explanations: madeTable(path, explanations, async function* () {
      for await (const { row } of read()) yield row;
    }),
    scores: madeTable(path, scores, async function* () {
      if (scores) for await (const one of read()) yield* one.scores;
    }),
    failed,
    last,
  };
}
