/**
 * Writes a catalogue as files that any host can serve and lib/static/answer.ts reads in a tab: every list, feature, picture and saved experiment,
 * read-only, each dictionary in its latest version, with the files that a tab needs to run the embedded model by itself.
 */
import type { Database } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findExperiment, listExperiments } from "@/lib/catalog/experiments";
import { findImage, findImageInfo, listImages } from "@/lib/catalog/images";
import { listStories } from "@/lib/catalog/stories";
import type { EnginePackage } from "@/lib/core/engine-package";
import { type Experiment, experimentLimits, searchedText } from "@/lib/core/experiment";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import type { Dictionary, ImageInfo } from "@/lib/core/records";
import { enginePackage, servedFile } from "@/lib/engine/browser-package";
import { type Home, readHome } from "@/lib/search/home";
import { listFeatures } from "@/lib/search/list-features";
import { DataWriter, forEach } from "./data-writer";
import { type DictionariesFile, type ExperimentsFile, files, type ImagesFile } from "./layout";
import { writeDictionary } from "./write-dictionary";

export interface WriteOptions {
  db: Database;
  /** An empty folder. */
  dir: string;
  /** Told what is being written, and how many files' worth of it is there; 0 of 0 where that is not counted. */
  say?: (progress: { stage: string; done: number; total: number }) => void;
  signal?: AbortSignal;
}

/** Every item of a list that is answered page by page. */
async function whole<T>(page: (cursor: string | null) => Promise<{ items: T[]; next: string | null }>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.next;
  } while (cursor);
  return items;
}

/** The pictures of the catalogue, and those that experiments alone have. */
async function writeImages(db: Database, writer: DataWriter, experiments: readonly Experiment[]): Promise<Omit<ImagesFile, "stored">> {
  const items = await whole((cursor) => listImages(db, { limit: 100, cursor }));
  const known = new Set(items.map(({ sha256 }) => sha256));
  const others: ImageInfo[] = [];
  for (const { sha256 } of experiments.flatMap(({ pictures }) => pictures)) {
    if (known.has(sha256)) continue;
    known.add(sha256);
    others.push(await findImageInfo(db, sha256));
  }
  await forEach([...items, ...others], 4, async ({ sha256 }) => writer.file(files.image(sha256), (await findImage(db, sha256)).bytes));
  return { items, others };
}

async function writeExperiments(db: Database, writer: DataWriter): Promise<Experiment[]> {
  const summaries = await whole((cursor) => listExperiments(db, { limit: experimentLimits.page, cursor }));
  const experiments: Experiment[] = [];
  const list: ExperimentsFile = { items: [] };
  for (const summary of summaries) {
    const experiment = await findExperiment(db, summary.id);
    experiments.push(experiment);
    list.items.push({ summary, body: searchedText(experiment) });
    await writer.json(files.experiment(summary.id), experiment);
  }
  await writer.json(files.experiments(), list);
  return experiments;
}

/** The files that a tab fetches to run the model, once each however many dictionaries need them. */
async function writeEngine(writer: DataWriter, packages: readonly EnginePackage[]): Promise<void> {
  const wanted = new Map<string, string>();
  for (const { files: own, runtime } of packages) {
    for (const { sha256, path } of [...own, ...Object.values(runtime).flatMap(({ module, wasm }) => [module, wasm])]) {
      wanted.set(sha256, path.slice(path.lastIndexOf("/") + 1));
    }
  }
  for (const [sha256, name] of wanted) {
    const found = await servedFile(sha256);
    if (found) await writer.copy(files.engineFile(sha256, name), found.file);
  }
}

/** A copy runs a dictionary where it brings the model's files for it, in the tab; and it has one version of each. */
const asCopied = (dictionary: Dictionary, pack: EnginePackage | null): Dictionary => ({
  ...dictionary,
  versions: [dictionary.version],
  engine: pack?.sha256 === dictionary.sha256 ? "ready" : "none",
});

/** What the home page shows: its searches find what they find in the copy, by words. */
async function homeOf(db: Database, copy: (dictionary: Dictionary) => Dictionary): Promise<Home> {
  const home = await readHome(db);
  const examples: Home["examples"] = [];
  for (const { words } of home.examples) {
    const query = parseFeatureQuery({ dictionary: home.dictionaries[0]?.ref, q: words, limit: "1" });
    const { total } = await listFeatures(db, query, { embedder: null });
    if (total > 0) examples.push({ words, total });
  }
  return {
    ...home,
    examples,
    dictionaries: home.dictionaries.map(copy),
    highlights: home.highlights.map((one) => ({ ...one, dictionary: copy(one.dictionary) })),
  };
}

/**
 * Writes `data/`, `api/images/` and `api/engine/files/` into `dir`. Answers with what was written. Throws what the catalogue throws, `engine_unavailable`
 * where the model's files do not fit together, `cancelled` and `disk_full`: `dir` is then not whole.
 */
export async function writeStaticData({ db, dir, say, signal }: WriteOptions): Promise<{ files: number; bytes: number }> {
  const writer = new DataWriter(dir, signal);
  const dictionaries = await listDictionaries(db);
  const packages = new Map<string, EnginePackage | null>();
  for (const { ref } of dictionaries) packages.set(ref, await enginePackage(ref));
  say?.({ stage: "experiments and pictures", done: 0, total: 0 });
  const experiments = await writeExperiments(db, writer);
  const images = await writeImages(db, writer, experiments);
  const hashes = images.items.map(({ sha256 }) => sha256);
  const stored: ImagesFile["stored"] = {};
  await writer.json(files.stories(), { items: await listStories(db) });
  for (const { ref } of dictionaries) {
    stored[ref] = await writeDictionary(db, writer, ref, packages.get(ref) ?? null, hashes, (done, total) =>
      say?.({ stage: ref, done, total }),
    );
  }
  await writer.json(files.images(), { ...images, stored } satisfies ImagesFile);
  say?.({ stage: "the model's files", done: 0, total: 0 });
  await writeEngine(
    writer,
    [...packages.values()].filter((pack) => pack !== null),
  );
  const copy = (dictionary: Dictionary) => asCopied(dictionary, packages.get(dictionary.ref) ?? null);
  const copied = dictionaries.map(copy);
  await writer.json(files.home(), await homeOf(db, copy));
  await writer.json(files.dictionaries(), { items: copied } satisfies DictionariesFile);
  return { files: writer.files, bytes: writer.bytes };
}
