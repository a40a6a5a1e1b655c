/** A dictionary's rows, feature by feature: each table is in ascending order of index, so that the rows of one feature are in memory. */
import type { DictionaryTables, neighbourColumns, scoreColumns, tokenColumns } from "@/lib/formats/bundle";
import type { Row } from "@/lib/formats/parquet";
import type { ExplanationRow, FeatureRow, SourceDictionary } from "@/lib/formats/source";

export type ScoreRow = Row<typeof scoreColumns>;
export type TokenRow = Row<typeof tokenColumns>;
export type NeighbourRow = Row<typeof neighbourColumns>;

export interface FeatureRows {
  feature: FeatureRow;
  explanations: ExplanationRow[];
  /** The preferred explanation, else the first that has a text. */
  preferred: ExplanationRow | null;
  scores: ScoreRow[];
  tokens: TokenRow[];
  neighbours: NeighbourRow[];
}

/** Hands out a sorted table's rows of ascending indices. */
class Following<R extends { index: number }> {
  readonly #batches: AsyncGenerator<R[]>;
  #batch: R[] = [];
  #at = 0;
  #ended = false;

  constructor(table: { batches(): AsyncGenerator<R[]> }) {
    this.#batches = table.batches();
  }

  async of(index: number): Promise<R[]> {
    const rows: R[] = [];
    for (;;) {
      if (this.#at === this.#batch.length) {
        if (this.#ended) return rows;
        const { value, done } = await this.#batches.next();
        if (done) {
          this.#ended = true;
          return rows;
        }
        this.#batch = value;
        this.#at = 0;
        continue;
      }
      const row = this.#batch[this.#at] as R;
      if (row.index > index) return rows;
      if (row.index === index) rows.push(row);
      this.#at++;
    }
  }
}

type Beside = Exclude<keyof DictionaryTables, "features" | "activations">;

/** Every feature with its rows of the tables that are asked for; the others are not read. */
export async function* featureByFeature(
  { tables }: SourceDictionary,
  wanted: readonly Beside[],
  signal?: AbortSignal,
): AsyncGenerator<FeatureRows> {
  const follow = <R extends { index: number }>(name: Beside) => {
    const rows = wanted.includes(name) ? new Following<R>(tables[name] as unknown as { batches(): AsyncGenerator<R[]> }) : null;
    return async (index: number): Promise<R[]> => (rows ? rows.of(index) : []);
  };
  const explanationsOf = follow<ExplanationRow>("explanations");
  const scoresOf = follow<ScoreRow>("scores");
  const tokensOf = follow<TokenRow>("tokens");
  const neighboursOf = follow<NeighbourRow>("neighbours");
  for await (const batch of tables.features.batches()) {
    for (const feature of batch) {
      signal?.throwIfAborted();
      const explanations = await explanationsOf(feature.index);
      yield {
        feature,
        explanations,
        preferred: explanations.find((one) => one.preferred) ?? explanations.find((one) => one.text !== null) ?? null,
        scores: await scoresOf(feature.index),
        tokens: await tokensOf(feature.index),
        neighbours: await neighboursOf(feature.index),
      };
    }
  }
}
