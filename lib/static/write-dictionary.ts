/** What a static copy holds of one dictionary, asked of the same functions that the server's routes ask. */
import type { Database } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { readColumns } from "@/lib/catalog/feature-columns";
import { featureDetail } from "@/lib/catalog/feature-detail";
import { featureTraits } from "@/lib/catalog/feature-traits";
import { featureHistograms } from "@/lib/catalog/histograms";
import { activationsOn } from "@/lib/catalog/images";
import { searchDocuments } from "@/lib/catalog/search-documents";
import { storedVectors } from "@/lib/catalog/search-vectors";
import { attributionLimits } from "@/lib/core/attribution";
import type { EnginePackage } from "@/lib/core/engine-package";
import { emptyFeatureQuery, queryLimits } from "@/lib/core/feature-query";
import type { FeatureCard } from "@/lib/core/records";
import { listFeatures } from "@/lib/search/list-features";
import { type DataWriter, forEach } from "./data-writer";
import { toListFile } from "./feature-table";
import { type CardFile, type FeatureFile, files, type WordsFile } from "./layout";

/** Questions to the database at once: while it answers one, the answer before is written. */
const atOnce = 4;

async function allCards(db: Database, ref: string): Promise<FeatureCard[]> {
  const cards: FeatureCard[] = [];
  let cursor: string | null = null;
  do {
    const query = { ...emptyFeatureQuery, dictionary: ref, sort: "index" as const, direction: "asc" as const, limit: queryLimits.page };
    const page = await listFeatures(db, { ...query, cursor });
    cards.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return cards;
}

async function positionalOf(db: Database, ref: string, indices: readonly number[]): Promise<boolean[]> {
  const positional: boolean[] = [];
  for (let i = 0; i < indices.length; i += attributionLimits.rows) {
    const traits = await featureTraits(db, ref, indices.slice(i, i + attributionLimits.rows));
    positional.push(...traits.map((one) => one.positional));
  }
  return positional;
}

async function wordsOf(db: Database, id: number): Promise<WordsFile> {
  const { documents, words } = await searchDocuments(db, id);
  const documentOf = new Map(documents.map(({ index }, document) => [index, document]));
  const places = new Map<string, number[]>();
  for (const word of words) {
    const known = places.get(word.lexeme) ?? [];
    places.set(word.lexeme, known);
    const document = documentOf.get(word.index) as number;
    for (const [i, place] of word.places.entries()) known.push(document, 2 * place + (word.weights[i] === "A" ? 1 : 0));
  }
  return { documents, words: Object.fromEntries(places) };
}

/** `images`: hashes of the catalogue's pictures. Answers with a digit for each: 1 where examples lie on it. */
export async function writeDictionary(
  db: Database,
  writer: DataWriter,
  ref: string,
  pack: EnginePackage | null,
  images: readonly string[],
  say: (done: number, of: number) => void,
): Promise<string> {
  const found = await locateDictionary(db, ref);
  const cards = await allCards(db, ref);
  const indices = cards.map(({ index }) => index);
  const { flags } = await readColumns(db, found.id);
  const { embedder } = await storedVectors(db, found.id);
  const positional = await positionalOf(db, ref, indices);
  await writer.json(files.list(ref), toListFile(cards, { embedder, flags: [...flags], positional }));
  await writer.json(files.words(ref), await wordsOf(db, found.id));
  await writer.json(files.histograms(ref), await featureHistograms(db, ref));
  await writer.json(files.engine(ref), pack);
  let done = 0;
  const of = cards.length + images.length;
  say(done, of);
  await forEach(cards, atOnce, async ({ index, text }) => {
    const { dictionary, ...detail } = await featureDetail(db, found, index);
    await writer.json(files.feature(ref, index), detail satisfies FeatureFile);
    await writer.json(files.card(ref, index), { top: detail.feature.top, text } satisfies CardFile);
    say(++done, of);
  });
  const stored = new Set<string>();
  await forEach(images, atOnce, async (sha256) => {
    const analysis = await activationsOn(db, found, sha256);
    if (analysis.total > 0) {
      stored.add(sha256);
      await writer.json(files.onImage(ref, sha256), analysis);
    }
    say(++done, of);
  });
  return images.map((sha256) => (stored.has(sha256) ? "1" : "0")).join("");
}
