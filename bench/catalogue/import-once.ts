/**
 * One import in a process of its own, so that its memory is its own: `tsx import-once.ts '<json of ImportJob>'`. The last line of its output is
 * the result as JSON.
 */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { importBundle } from "@/lib/catalog/import-bundle";
import { embedDictionaries } from "@/lib/search/embed-dictionary";
import { openPlace, type Place, workFolder } from "./databases";
import { KeptEmbedder } from "./vectors";

export interface ImportJob {
  place: Place;
  bundle: string;
  /** Makes the vectors too, as `facet import` does after an import. */
  embed: boolean;
}

export interface ImportMeasure {
  rows: number;
  seconds: number;
  /** Stage → seconds. */
  stages: Record<string, number>;
  /** Most memory that the process had, in MiB: after the import and after the vectors. */
  peakMiB: number;
  peakWithVectorsMiB: number | null;
  vectors: { features: number; textsEmbedded: number; embeddingSeconds: number; writingAndIndexSeconds: number } | null;
}

const peak = () => Math.round(process.resourceUsage().maxRSS / 1_024);

async function importOnce({ place, bundle, embed }: ImportJob): Promise<ImportMeasure> {
  const db = await openPlace(place);
  const stages: Record<string, number> = {};
  let [stage, since] = ["opening", performance.now()];
  const turn = (progress: string) => {
    // Each index and each table's statistics tell of themselves.
    const next = progress.replace(/^(index|statistics) .*/, "$1");
    if (next === stage) return;
    const now = performance.now();
    stages[stage] = (stages[stage] ?? 0) + (now - since) / 1_000;
    [stage, since] = [next, now];
  };
  try {
    const started = performance.now();
    const { rows } = await importBundle(db, bundle, { onProgress: (progress) => turn(progress.stage) });
    turn("done");
    const seconds = (performance.now() - started) / 1_000;
    const measure: ImportMeasure = { rows, seconds, stages, peakMiB: peak(), peakWithVectorsMiB: null, vectors: null };
    if (!embed) return measure;
    const embedder = await KeptEmbedder.open(path.join(workFolder, "vectors"));
    const before = performance.now();
    const made = await embedDictionaries(db, embedder);
    const all = (performance.now() - before) / 1_000;
    await embedder.save();
    measure.vectors = {
      features: made.reduce((sum, one) => sum + one.features, 0),
      textsEmbedded: embedder.made,
      embeddingSeconds: embedder.seconds,
      writingAndIndexSeconds: all - embedder.seconds,
    };
    measure.peakWithVectorsMiB = peak();
    return measure;
  } finally {
    await db.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(JSON.stringify(await importOnce(JSON.parse(process.argv[2] as string) as ImportJob)));
}
