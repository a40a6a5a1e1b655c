/**
 * delphi's results: `explanations/<hook>_latent<n>.txt`, each one JSON string, and `scores/<scorer>/<hook>_latent<n>.txt`, each a list of
 * what the judge said of single texts. The folder of a whole run, with `latents` in it, brings its caches too.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { hookOf } from "../hook";
import { sha256OfFile } from "../manifest";
import { type ExplanationRow, invalidFile, madeTable, type Part, type Reader, type ReadOptions } from "../source";
import { labelOf, readExplanation } from "./failures";
import { parseFeatureKey } from "./feature-key";
import { number } from "./image-part";
import { readJson } from "./json-entries";
import { safetensorsCacheReader } from "./safetensors-cache";
import { type Measured, scoreTable } from "./score-rows";

const method = "delphi";

interface LatentFile {
  file: string;
  hook: string;
  index: number;
}

const isFolder = async (at: string) => (await stat(at).catch(() => null))?.isDirectory() ?? false;

/** Files of a folder that are named after latents. */
async function latentFiles(folder: string): Promise<LatentFile[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".txt"));
  const found = names.flatMap((name) => {
    const key = /_latent\d+\.txt$/.test(name) ? parseFeatureKey(name.slice(0, -4)) : null;
    return key ? [{ file: path.join(folder, name), hook: key.hook.replaceAll("--", "/"), index: key.index }] : [];
  });
  return found.sort((a, b) => a.hook.localeCompare(b.hook) || a.index - b.index);
}

interface Results {
  /** Folders by what is in them. */
  explanations: string[];
  scores: { scorer: string; folder: string }[];
}

async function scoreFolders(folder: string): Promise<Results["scores"]> {
  const found: Results["scores"] = [];
  for (const scorer of (await readdir(folder).catch(() => [])).sort()) {
    const at = path.join(folder, scorer);
    if ((await isFolder(at)) && (await latentFiles(at)).length) found.push({ scorer, folder: at });
  }
  return found;
}

/** Whether the files of a folder are explanations (a JSON string each) or scores (a list). */
async function holdsScores(folder: string): Promise<boolean> {
  const [first] = await latentFiles(folder);
  return Array.isArray(first ? await readJson(first.file).catch(() => null) : null);
}

async function resultsAt(at: string): Promise<Results> {
  const found: Results = { explanations: [], scores: [] };
  if (!(await isFolder(at))) return found;
  if ((await latentFiles(at)).length) {
    if (await holdsScores(at)) found.scores.push({ scorer: path.basename(path.resolve(at)), folder: at });
    else found.explanations.push(at);
    return found;
  }
  const explanations = path.join(at, "explanations");
  if ((await latentFiles(explanations)).length) found.explanations.push(explanations);
  found.scores.push(...(await scoreFolders(path.join(at, "scores"))));
  if (!found.scores.length && !found.explanations.length) found.scores.push(...(await scoreFolders(at)));
  return found;
}

interface Judged {
  activating?: unknown;
  correct?: unknown;
  similarity?: unknown;
}

/** What a scorer's list says: balanced accuracy, as delphi reports it; answers that could not be parsed are left out. */
function measuredOf(file: string, scorer: string, items: unknown): Measured {
  if (!Array.isArray(items)) throw invalidFile(`${file} holds no list of judged texts.`, "Score this latent again, or remove the file.");
  const judged = items as Judged[];
  const told = judged.filter((item) => typeof item?.correct === "boolean");
  if (judged.length && judged.every((item) => !("correct" in (item ?? {})))) {
    return {
      metric: scorer,
      value: null,
      n: 0,
      failure: "Facet does not know this scorer's numbers.",
      method: `delphi's ${scorer} scorer.`,
    };
  }
  const lost = judged.length - told.length;
  const classes = [true, false].flatMap((activating) => {
    const all = told.filter((item) => item.activating === activating);
    return all.length ? [{ n: all.length, share: all.filter((item) => item.correct === true).length / all.length }] : [];
  });
  const counts = `${told.filter((item) => item.activating === true).length} activating and ${told.filter((item) => item.activating !== true).length} other texts`;
  const what = `delphi's ${scorer} scorer: balanced accuracy of the judge over ${counts}`;
  const left = lost ? `; ${lost} answers that could not be read are left out` : "";
  if (classes.length === 0)
    return { metric: scorer, value: null, n: 0, failure: "No answer of the judge could be read.", method: `${what}.` };
  const value = classes.reduce((sum, one) => sum + one.share, 0) / classes.length;
  return { metric: scorer, value, n: told.length, failure: null, method: `${what}${left}.` };
}

interface Latents {
  /** By index: the file of its explanation. */
  explained: Map<number, string>;
  scores: Map<number, Measured[]>;
}

async function gather(results: Results, content: ReturnType<typeof createHash>, signal?: AbortSignal): Promise<Map<string, Latents>> {
  const hooks = new Map<string, Latents>();
  const of = (hook: string) => {
    const found = hooks.get(hook) ?? { explained: new Map<number, string>(), scores: new Map<number, Measured[]>() };
    hooks.set(hook, found);
    return found;
  };
  for (const folder of results.explanations) {
    for (const { file, hook, index } of await latentFiles(folder)) {
      signal?.throwIfAborted();
      const { explained } = of(hook);
      if (explained.has(index))
        throw invalidFile(`${file} and ${explained.get(index)} explain the same latent.`, "Give one of the two folders.");
      explained.set(index, file);
      content.update(path.basename(file)).update(await sha256OfFile(file));
    }
  }
  for (const { scorer, folder } of results.scores) {
    for (const { file, hook, index } of await latentFiles(folder)) {
      signal?.throwIfAborted();
      const { scores } = of(hook);
      const mine = scores.get(index) ?? [];
      scores.set(index, mine);
      if (mine.some((one) => one.metric === scorer))
        throw invalidFile(`${file}: latent ${index} has its ${scorer} score in another folder already.`, "Give one of the two.");
      mine.push(measuredOf(file, scorer, await readJson(file)));
      content
        .update(scorer)
        .update(path.basename(file))
        .update(await sha256OfFile(file));
    }
  }
  return hooks;
}

async function* explanationRows({ explained, scores }: Latents): AsyncGenerator<ExplanationRow> {
  const indexes = [...new Set([...explained.keys(), ...scores.keys()])].sort((a, b) => a - b);
  for (const index of indexes) {
    const file = explained.get(index);
    const read =
      file === undefined
        ? { text: null, failure: "The explanation that its scores are of was not given." }
        : readExplanation(await readJson(file));
    yield {
      index,
      method,
      author: "delphi",
      text: read.text,
      label: read.text === null ? null : labelOf(read.text),
      concept: null,
      failure: read.failure,
      prompt: null,
      created_at: (file === undefined ? new Date(0) : (await stat(file)).mtime).toISOString(),
      preferred: read.text !== null,
    };
  }
}

export const delphiReader: Reader<Part[]> = {
  format: "delphi results",
  async recognise(at) {
    const { explanations, scores } = await resultsAt(at);
    if (!explanations.length && !scores.length) return null;
    return {
      found: `${at}: delphi's ${[explanations.length ? "explanations" : null, ...scores.map(({ scorer }) => `${scorer} scores`)].filter(Boolean).join(", ")}`,
    };
  },
  /** The first of the paths reads for all: a score's explanation may lie in another folder. */
  async read(at, options: ReadOptions) {
    const all: Results = { explanations: [], scores: [] };
    let first: string | null = null;
    for (const one of options.paths ?? [at]) {
      const here = await resultsAt(one);
      if (here.explanations.length || here.scores.length) first ??= one;
      all.explanations.push(...here.explanations);
      all.scores.push(...here.scores);
    }
    const parts: Part[] = (await safetensorsCacheReader.recognise(at)) ? await safetensorsCacheReader.read(at, options) : [];
    if (first !== at) return parts;
    const content = createHash("sha256");
    const hooks = await gather(all, content, options.signal);
    const sha256 = content.digest("hex");
    for (const [hook, latents] of hooks) {
      let failed = 0;
      let rows = 0;
      for await (const row of explanationRows(latents)) {
        rows++;
        if (row.text === null) failed++;
      }
      const scored = [...latents.scores].sort(([a], [b]) => a - b).map(([index, scores]) => ({ index, scores }));
      const scorers = [...new Set(all.scores.map(({ scorer }) => scorer))];
      parts.push({
        kind: "tables",
        format: "delphi results",
        path: at,
        hook: hookOf(hook).hook,
        found: `${at}: delphi's explanations of ${number(rows)} latents of ${hook}, ${number(failed)} of them failed${scorers.length ? `; scores of ${scorers.join(", ")}` : ""}.`,
        content: sha256,
        num_latents: null,
        tables: {
          explanations: madeTable(at, rows, () => explanationRows(latents)),
          scores: scoreTable(at, method, scored),
        },
      });
    }
    return parts;
  },
};
