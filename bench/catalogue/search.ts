/** The search box over all explanations: every kind of question, its vector made anew, and how many of the nearest the index finds. */
import type { Database } from "@/lib/catalog/db";
import { type FeatureFilter, Parameters } from "@/lib/catalog/feature-list";
import { nearestVectors, storedVectors } from "@/lib/catalog/search-vectors";
import { defaultSort, emptyFeatureQuery, type FeatureQuery } from "@/lib/core/feature-query";
import { createRandom } from "@/lib/core/random";
import type { Embedder } from "@/lib/search/embedder";
import { listFeatures } from "@/lib/search/list-features";
import { drawMeaning } from "./labels";
import { round, summarise, type Times, timed } from "./timing";

/** Asked in other words than any label has. */
export const paraphrases =
  `something that keeps you dry, things that fly, a sad mood, sea creatures, musical instruments, vehicles with two wheels,
  food you eat with your hands, wild animals in Africa, tools for building, objects used in hospitals, warm clothing, kitchen appliances, celebration,
  places of worship, winter weather, a child's toy, precious jewellery, people enjoying sport, writing on paper, reading material, light in the dark,
  insects with wings, an old rusty machine, water flowing down, tall structures, dangerous weapons, sweet dessert, farm animals, office equipment,
  happy feelings, parts of a human body, photos of the night sky, game pieces, public transport, money and payment, plants indoors, measuring time,
  emergency services, dairy product, hot drink in the morning`
    .split(/\s*,\s*/)
    .map((one) => one.trim());

/** One letter of the longest word replaced, dropped or doubled. */
function mistyped(text: string, random: () => number): string {
  const word = text.split(" ").sort((a, b) => b.length - a.length)[0] as string;
  const at = 1 + Math.floor(random() * (word.length - 2));
  const kind = Math.floor(random() * 3);
  const wrong = word.slice(0, at) + (kind === 0 ? "x" : kind === 1 ? "" : word[at] + (word[at] ?? "")) + word.slice(at + 1);
  return text.replace(word, wrong);
}

/** A draw of what stands in labels: the common often, the rare sometimes. */
function labelLike(random: () => number, accepts: (label: string) => boolean): string {
  for (;;) {
    const { label } = drawMeaning(random);
    if (accepts(label)) return label;
  }
}

const wordsIn = (label: string) => label.split(" ").length;
const kinds: Record<string, (random: () => number, i: number, features: number) => Partial<FeatureQuery> & { q: string }> = {
  "one word": (random) => ({ q: labelLike(random, (label) => wordsIn(label) === 1) }),
  "two words": (random) => ({ q: labelLike(random, (label) => wordsIn(label) === 2) }),
  "a label of three words or more": (random) => ({ q: labelLike(random, (label) => wordsIn(label) > 2) }),
  "the beginning of a word": (random) => ({
    q: labelLike(random, (label) => label.length > 5)
      .slice(0, 4)
      .trim(),
  }),
  "a typo": (random) => ({
    q: mistyped(
      labelLike(random, (label) => wordsIn(label) < 3 && /\w{6}/.test(label)),
      random,
    ),
  }),
  quoted: (random) => ({ q: `"${labelLike(random, (label) => wordsIn(label) === 2)}"` }),
  without: (random) => ({
    q: `${labelLike(random, (label) => wordsIn(label) === 1)} -${labelLike(random, (label) => wordsIn(label) === 1)}`,
  }),
  "in other words": (_, i) => ({ q: paraphrases[i % paraphrases.length] as string }),
  "an exact key": (random, i, features) => ({ q: (i % 2 ? "#" : "model.layers.24_feature") + Math.floor(random() * features) }),
  "words, filtered to a tenth": (random) => ({
    q: labelLike(random, (label) => wordsIn(label) === 2),
    ranges: { density: { min: 2e-3 + random() * 1e-4 } },
  }),
  "other words, filtered to a hundredth": (random, i) => ({
    q: paraphrases[i % paraphrases.length] as string,
    ranges: { density: { min: 2e-2 + random() * 1e-3 } },
  }),
};

export interface SearchMeasure {
  all: Times;
  kinds: Record<string, Times & { found: number }>;
}

export async function measureSearch(db: Database, ref: string, features: number, rounds: number, seed = 2): Promise<SearchMeasure> {
  const random = createRandom(seed);
  const all: number[] = [];
  const byKind = new Map<string, { ms: number[]; found: number }>();
  for (let i = -2; i < rounds; i++) {
    for (const [kind, draw] of Object.entries(kinds)) {
      const asked = draw(random, Math.max(0, i), features);
      const query: FeatureQuery = { ...emptyFeatureQuery, dictionary: ref, ...defaultSort(asked.q), ...asked };
      const [page, ms] = await timed(() => listFeatures(db, query));
      if (i < 0) continue;
      all.push(ms);
      const entry = byKind.get(kind) ?? { ms: [], found: 0 };
      entry.ms.push(ms);
      entry.found += page.total / rounds;
      byKind.set(kind, entry);
    }
  }
  return {
    all: summarise(all),
    kinds: Object.fromEntries([...byKind].map(([kind, { ms, found }]) => [kind, { ...summarise(ms), found: round(found, 0) }])),
  };
}

/** Filter → the share of features that pass it, and the least density that does this. */
const shares = [1, 0.5, 0.1, 0.01] as const;

async function filterOf(db: Database, dictionaryId: number, share: number): Promise<FeatureFilter> {
  const parameters = new Parameters();
  const sql = `f.dictionary_id = ${parameters.bind(dictionaryId)}`;
  if (share === 1) return { sql, parameters, narrows: false };
  const [row] = await db.rows<{ least: number }>(
    "SELECT percentile_disc(1 - $2::float8) WITHIN GROUP (ORDER BY density) AS least FROM feature WHERE dictionary_id = $1",
    [dictionaryId, share],
  );
  return { sql: `${sql} AND f.density >= ${parameters.bind(row?.least)}::float8`, parameters, narrows: true };
}

export interface RecallMeasure {
  /** Share of features that pass the filter → how many of the ten nearest are found, and how long each way takes. */
  [share: string]: { recallAt10: number; search: Times; exact: Times; questions: number };
}

/** A result counts when it is as near as the tenth of the exact answer: features of one label are equally near. */
export async function measureRecall(db: Database, dictionaryId: number, embedder: Embedder, questions: number): Promise<RecallMeasure> {
  const random = createRandom(3);
  const texts = Array.from({ length: questions }, (_, i) =>
    i % 2 ? drawMeaning(random).label : (paraphrases[(i / 2) % paraphrases.length] as string),
  );
  const vectors = await embedder.embed(texts);
  const stored = await storedVectors(db, dictionaryId);
  const measure: RecallMeasure = {};
  for (const share of shares) {
    const filter = await filterOf(db, dictionaryId, share);
    let found = 0;
    let wanted = 0;
    const [search, exact]: [number[], number[]] = [[], []];
    for (const vector of vectors) {
      // As the search asks: a hundred, of which ten are compared.
      const [near, ms] = await timed(() => nearestVectors(db, dictionaryId, stored, vector, filter, { limit: 100, least: -1 }));
      // `rows: 0` makes it read every vector.
      const [truth, exactMs] = await timed(() =>
        nearestVectors(db, dictionaryId, { ...stored, rows: 0 }, vector, filter, { limit: 10, least: -1 }),
      );
      search.push(ms);
      exact.push(exactMs);
      const tenth = truth.at(-1)?.similarity ?? -1;
      wanted += truth.length;
      found += near.slice(0, truth.length).filter((one) => one.similarity >= tenth - 1e-6).length;
    }
    measure[share] = { recallAt10: round(found / wanted, 4), search: summarise(search), exact: summarise(exact), questions };
  }
  return measure;
}
