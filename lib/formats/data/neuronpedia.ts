/**
 * Neuronpedia's exports: `features/`, `explanations/` and `activations/` of `batch-N.jsonl(.gz)`, one JSON object a line. Features are over
 * text: their examples are token strings, each stored once however many features fire on it.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { hookOf } from "../hook";
import { sha256OfFile } from "../manifest";
import type { Part, Reader, ReadOptions } from "../source";
import { number } from "./image-part";
import { linesOf, textOf } from "./json-entries";
import { type ActivationLine, keep, readExamples } from "./neuronpedia-examples";
import { type ExplanationLine, readExplanations } from "./neuronpedia-explanations";
import { type FeatureLine, readFeatures } from "./neuronpedia-features";
import { linesOfFiles, type NeuronpediaFiles } from "./neuronpedia-lines";

const kinds = ["features", "explanations", "activations"] as const;
type Kind = (typeof kinds)[number];
const isLines = (name: string) => /\.jsonl(\.gz)?$/.test(name);

/** What a line is by its keys. */
function kindOfLine(line: Record<string, unknown>): Kind | null {
  if (!("index" in line)) return null;
  if ("tokens" in line && "values" in line) return "activations";
  if ("description" in line) return "explanations";
  return "frac_nonzero" in line || "pos_str" in line || "maxActApprox" in line ? "features" : null;
}

async function kindOfFile(file: string): Promise<Kind | null> {
  try {
    for await (const text of linesOf(textOf(file))) {
      if (text.trim() !== "") return kindOfLine(JSON.parse(text) as Record<string, unknown>);
    }
  } catch {
    return null;
  }
  return null;
}

const names = new Intl.Collator("en", { numeric: true });

async function filesAt(at: string): Promise<NeuronpediaFiles> {
  const found: NeuronpediaFiles = { features: [], explanations: [], activations: [] };
  if (!(await stat(at)).isDirectory()) {
    const kind = isLines(at) ? await kindOfFile(at) : null;
    if (kind) found[kind].push(at);
    return found;
  }
  const here = (await readdir(at).catch(() => [])).sort(names.compare);
  for (const kind of kinds) {
    const inside = (await readdir(path.join(at, kind)).catch(() => [])).filter(isLines).sort(names.compare);
    // Of the export's own folder the name tells, also of a file that is broken.
    found[kind].push(...inside.map((name) => path.join(at, kind, name)));
  }
  for (const name of here.filter(isLines)) {
    const kind = (await kindOfFile(path.join(at, name))) ?? kinds.find((one) => one === path.basename(path.resolve(at))) ?? null;
    if (kind) found[kind].push(path.join(at, name));
  }
  return found;
}

const count = (files: NeuronpediaFiles) => kinds.reduce((sum, kind) => sum + files[kind].length, 0);

/** Model, source and hook as the first line of each kind says. */
async function identityOf(files: NeuronpediaFiles): Promise<{ modelId: string | null; source: string | null; hookName: string | null }> {
  const found = { modelId: null as string | null, source: null as string | null, hookName: null as string | null };
  for (const kind of kinds) {
    for await (const { line } of linesOfFiles<FeatureLine & ActivationLine & ExplanationLine>(files[kind].slice(0, 1))) {
      const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : null);
      found.modelId ??= text(line.modelId);
      found.source ??= text(line.layer);
      found.hookName ??= text(line.hookName);
      break;
    }
  }
  return found;
}

export const neuronpediaReader: Reader<Part[]> = {
  format: "neuronpedia",
  async recognise(at) {
    const files = await filesAt(at);
    return count(files) ? { found: `${at}: Neuronpedia's ${kinds.filter((kind) => files[kind].length).join(", ")}` } : null;
  },
  /** The first of the paths reads for all: an explanation's feature may lie in another file. */
  async read(at, options: ReadOptions) {
    const files: NeuronpediaFiles = { features: [], explanations: [], activations: [] };
    let first: string | null = null;
    for (const one of options.paths ?? [at]) {
      const here = await filesAt(one);
      if (count(here)) first ??= one;
      for (const kind of kinds) files[kind].push(...here[kind]);
    }
    if (first !== at) return [];
    const content = createHash("sha256");
    for (const kind of kinds) for (const file of files[kind]) content.update(kind).update(await sha256OfFile(file));
    const { modelId, source, hookName } = await identityOf(files);
    const origin = { modelId, source };
    const features = await readFeatures(at, files.features, origin, options.signal);
    const shown = await readExamples(at, files.activations, origin, options.signal);
    const said = await readExplanations(at, files.explanations, origin, options.signal);
    const last = Math.max(features.last, shown.last, said.last);
    const layer = /^(\d+)-/.exec(source ?? "")?.[1];
    // A source such as "20-gemmascope-res-16k" is the output of a block where nothing else is said.
    const hook =
      options.hook ?? hookName ?? (layer !== undefined && /-res(?:-|$|id)/.test(source ?? "") ? `blocks.${layer}.hook_resid_post` : source);
    const words = [
      files.features.length ? `${number(features.features.rows)} features` : null,
      files.explanations.length ? `${number(said.explanations.rows)} explanations, ${number(said.failed)} of them failed` : null,
      files.activations.length ? `${number(shown.examples.rows)} examples on ${number(shown.texts.rows)} texts` : null,
    ].filter((one) => one !== null);
    return [
      {
        kind: "tables",
        format: "neuronpedia",
        path: at,
        hook: hook === null ? null : hookOf(hook).hook,
        found: `${at}: Neuronpedia's export of ${source ?? "a source"}${modelId ? ` of ${modelId}` : ""}: ${words.join("; ")}.${shown.left ? ` ${number(shown.left)} weaker examples are left out: ${keep} of each feature are kept.` : ""}`,
        content: content.digest("hex"),
        ...(modelId && { model: { id: modelId, name: modelId } }),
        num_latents: last >= 0 ? last + 1 : null,
        measured: { images: 0, image_tokens: null, text_tokens: null },
        tables: {
          features: features.features,
          tokens: features.tokens,
          // None in the files: of the weights beside them, if there are any.
          ...(features.neighbours.rows > 0 && { neighbours: features.neighbours }),
          explanations: said.explanations,
          ...(said.scores.rows > 0 && { scores: said.scores }),
          activations: shown.examples,
        },
        texts: files.activations.length ? shown.texts : undefined,
      },
    ];
  },
};
