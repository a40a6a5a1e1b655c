/** What the home page shows of a catalogue. */
import type { Database } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { listExperiments } from "@/lib/catalog/experiments";
import { type Highlight, pickHighlights, pickSearches } from "@/lib/catalog/home";
import { listStories } from "@/lib/catalog/stories";
import type { ExperimentSummary } from "@/lib/core/experiment";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import type { Dictionary } from "@/lib/core/records";
import type { KeptStory } from "@/lib/core/story";
import { listFeatures } from "./list-features";

export interface Home {
  dictionaries: Dictionary[];
  /** Searches of the first dictionary that find something, with how much. */
  examples: { words: string; total: number }[];
  highlights: Highlight[];
  stories: KeptStory[];
  saved: ExperimentSummary | null;
}

/** Throws what the catalogue throws. */
export async function readHome(database: Database): Promise<Home> {
  const dictionaries = await listDictionaries(database);
  const highlights = pickHighlights(dictionaries);
  const stories = await listStories(database);
  const saved = await worthSeeing(database, new Set(stories.map(({ experiment }) => experiment)));
  const examples = dictionaries[0] ? await exampleSearches(database, dictionaries[0], highlights) : [];
  return { dictionaries, examples, highlights, stories, saved };
}

/** How many of the newest experiments are looked through for one to show. */
const looked = 20;

/** The newest saved experiment that changed something and has the answer without it beside; else the newest. Not one that is told elsewhere on the page. */
async function worthSeeing(database: Database, told: ReadonlySet<string>): Promise<ExperimentSummary | null> {
  const { items: newest } = await listExperiments(database, { limit: looked, cursor: null });
  const items = newest.filter(({ id }) => !told.has(id));
  return items.find((one) => one.outcome === "steered" && one.baseline !== null && one.baseline !== one.steered) ?? items[0] ?? null;
}

/** Searches that find something, with how much. */
async function exampleSearches(
  database: Database,
  dictionary: Dictionary,
  highlights: readonly Highlight[],
): Promise<{ words: string; total: number }[]> {
  const found: { words: string; total: number }[] = [];
  const named = highlights.map((highlight) => highlight.card);
  for (const words of pickSearches(dictionary, named)) {
    const { total } = await listFeatures(database, parseFeatureQuery({ dictionary: dictionary.ref, q: words, limit: "1" }));
    if (total > 0) found.push({ words, total });
  }
  return found;
}
