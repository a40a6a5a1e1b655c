/** How a dictionary's metrics are distributed over its features: what the filters show to be brushed. */
import type { PoolClient } from "pg";
import { type FlagKey, flagKeys, type Histograms, type MetricKey, metricKeys } from "@/lib/core/records";
import type { Database } from "./db";
import { locateDictionary } from "./dictionaries";

const bins = 32;

/** Metrics that spread over orders of magnitude: equal bins of their logarithm. The others are shares from 0 to 1, but for CLIP's, to 100. */
const logarithmic = new Set<MetricKey>(["density", "text_density", "max_activation", "mean_activation", "images"]);

interface Extent {
  smallest: number | null;
  largest: number | null;
}

/** Edges of `bins` bins that hold 0 and everything from the smallest positive value to the largest. */
function edgesOf(key: MetricKey, { smallest, largest }: Extent): number[] {
  const top = key === "clip" ? 100 : 1;
  if (!logarithmic.has(key)) return Array.from({ length: bins + 1 }, (_, i) => (i * top) / bins);
  if (smallest === null || largest === null) return [0, 1];
  const low = Math.log10(smallest);
  const step = (Math.log10(largest) - low) / (bins - 1);
  // The first bin is for zero and what lies below the smallest positive value; a single value needs no more than one other bin.
  if (step === 0) return [0, smallest, smallest * 2];
  return [0, ...Array.from({ length: bins }, (_, i) => (i === bins - 1 ? largest : 10 ** (low + i * step)))];
}

/** Counts a filled feature table. Every bin is [edge, next edge); the last also holds its upper edge. */
export async function computeHistograms(client: PoolClient, table: string): Promise<Histograms> {
  const histograms: Histograms = { metrics: {}, concepts: {}, flags: {} };
  for (const key of metricKeys) {
    const extent = await client.query<Extent & { missing: number }>(
      `SELECT min(${key}) FILTER (WHERE ${key} > 0)::float8 AS smallest, max(${key})::float8 AS largest,
         count(*) FILTER (WHERE ${key} IS NULL)::int AS missing FROM ${table}`,
    );
    const { missing, ...range } = extent.rows[0] as Extent & { missing: number };
    const edges = edgesOf(key, range);
    const { rows } = await client.query<{ bin: number; n: number }>(
      `SELECT greatest(1, least(width_bucket(${key}::float8, $1::float8[]), $2::int)) AS bin, count(*)::int AS n
       FROM ${table} WHERE ${key} IS NOT NULL GROUP BY 1`,
      [edges, edges.length - 1],
    );
    const counts = edges.slice(1).map(() => 0);
    for (const { bin, n } of rows) counts[bin - 1] = n;
    histograms.metrics[key] = { edges, counts, missing };
  }
  const concepts = await client.query<{ concept: string; n: number }>(
    `SELECT concept, count(*)::int AS n FROM ${table} WHERE concept IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1`,
  );
  for (const { concept, n } of concepts.rows) histograms.concepts[concept] = n;
  const flags = await client.query<Record<FlagKey, number>>(
    `SELECT ${flagKeys.map((key) => `count(*) FILTER (WHERE ${key})::int AS ${key}`).join(", ")} FROM ${table}`,
  );
  histograms.flags = { ...flags.rows[0] };
  return histograms;
}

/** The histograms of the latest version, or of the one named. Throws `dictionary_not_found` and `version_mismatch`. */
export async function featureHistograms(db: Database, ref: string, version?: string): Promise<Histograms> {
  const { id } = await locateDictionary(db, ref, version);
  const rows = await db.rows<{ histograms: Histograms }>("SELECT histograms FROM dictionary WHERE id = $1", [id]);
  return rows[0]?.histograms ?? { metrics: {}, concepts: {}, flags: {} };
}
