/** A list of features as comma-separated values: every feature that the filters and the search leave, in the list's order. */
import type { Database } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { orderOf, readRows, sourceOf } from "@/lib/catalog/feature-list";
import { preferredTexts } from "@/lib/catalog/preferred-texts";
import { toCard } from "@/lib/catalog/row-types";
import { type CsvValue, csvLines } from "@/lib/core/csv";
import { FacetError } from "@/lib/core/errors";
import { type Edge, edgeOf } from "@/lib/core/feature-cursor";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { withoutHighlight } from "@/lib/core/highlight";
import { type FeatureCard, metricKeys } from "@/lib/core/records";
import { matchOf } from "@/lib/search/list-features";
import { parseSearch } from "@/lib/search/parse";

/** Features that are read at once. */
const pageSize = 1_000;

/** The columns, in order; docs/formats.md gives units. */
export const csvColumns = ["index", "label", "concept", "explanation", ...metricKeys, "dead", "always_on", "sink", "match"] as const;

const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) as keyof FeatureCard;

function rowOf(card: FeatureCard, explanation: string | null): CsvValue[] {
  const { match } = card;
  return [
    card.index,
    card.label,
    card.concept,
    explanation,
    ...metricKeys.map((key) => card[camel(key)] as number | null),
    card.dead,
    card.alwaysOn,
    card.sink,
    match ? `${match.kind}${match.highlight ? `: ${withoutHighlight(match.highlight)}` : ""}` : null,
  ];
}

export interface FeatureCsv {
  /** For a file: `<model>-<dictionary>-features.csv`. */
  name: string;
  lines: AsyncGenerator<string>;
}

/** Refuses a dictionary that is no longer there: what was read of it may be a part only. */
async function assertThere(db: Database, id: number, ref: string): Promise<void> {
  const rows = await db.rows("SELECT FROM dictionary WHERE id = $1", [id]);
  if (rows.length === 0) {
    throw new FacetError("dictionary_not_found", `${ref} was imported anew or dropped while its list was written.`, {
      fix: "Write the list again.",
    });
  }
}

/**
 * The whole list that `query` describes, of the dictionary's latest version or the one whose hash begins with `version`; the query's limit
 * and cursor are not looked at. Memory is that of a page of 1,000. Throws `dictionary_not_found` and `version_mismatch`: before the first
 * line, and the first also in place of the end where the dictionary was replaced meanwhile.
 */
export async function featureCsv(db: Database, query: FeatureQuery, version?: string): Promise<FeatureCsv> {
  const { id, dictionary } = await locateDictionary(db, query.dictionary, version);
  const match = await matchOf(db, parseSearch(query.q), id, dictionary);
  const order = orderOf(query, match?.found != null);
  const source = await sourceOf(id, query, match);
  async function* lines(): AsyncGenerator<string> {
    yield csvLines([csvColumns]);
    for (let edge: Edge | null = null; ; ) {
      const rows = await readRows(db, source, order, edge, false, pageSize);
      const cards = rows.map(toCard);
      await match?.explain(db, cards, source.beside);
      const texts = await preferredTexts(
        db,
        id,
        cards.map((card) => card.index),
      );
      // A dictionary's rows never change; it is replaced whole.
      await assertThere(db, id, query.dictionary);
      if (cards.length) yield csvLines(cards.map((card) => rowOf(card, texts.get(card.index) ?? null)));
      const last = rows.at(-1);
      if (!last || rows.length < pageSize) return;
      edge = edgeOf(last);
    }
  }
  return { name: `${query.dictionary.replace("/", "-")}-features.csv`, lines: lines() };
}
