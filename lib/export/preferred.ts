/** A dictionary's rows, feature by feature: each table is in ascending order of index, so that the rows of one feature are in memory. */

import type { scoreColumns, tokenColumns } from "@/lib/formats/bundle";
import type { Row, Table } from "@/lib/formats/parquet";
import type { ExplanationRow, FeatureRow, SourceDictionary } from "@/lib/formats/source";

export type ScoreRow = Row<typeof scoreColumns>;
export type TokenRow = Row<typeof tokenColumns>;

export interface FeatureRows {
  feature: FeatureRow;
  explanations: ExplanationRow[];
  /** The preferred explanation, else the first that has a text. */
  preferred: ExplanationRow | null;
  scores: ScoreRow[];
  tokens: TokenRow[];
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

export async function* featureByFeature({ tables }: SourceDictionary): AsyncGenerator<FeatureRows> {
  const follow = <R extends { index: number }>(table: unknown) => new Following<R>(table as { batches(): AsyncGenerator<R[]> });
  const explanations = follow<ExplanationRow>(tables.explanations);
  const scores = follow<ScoreRow>(tables.scores);
  const tokens = follow<TokenRow>(tables.tokens);
  for await (const batch of (tables.features as Table<never>).batches() as AsyncIterable<FeatureRow[]>) {
    for (const feature of batch) {
      const said = await explanations.of(feature.index);
      yield {
        feature,
        explanations: said,
        preferred: said.find((one) => one.preferred) ?? said.find((one) => one.text !== null) ?? null,
        scores: await scores.of(feature.index),
        tokens: await tokens.of(feature.index),
      };
    }
  }
}
