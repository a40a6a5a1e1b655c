/** The page of one feature: all that the server reads for it, each feature asked once. */
import type { Database } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { createRandom } from "@/lib/core/random";
import { featuresAround } from "@/lib/search/features-around";
import { summarise, type Times, timed } from "./timing";

/** Empties the server's own page cache, so that a read goes to the files; false where it cannot. */
async function emptyCache(db: Database): Promise<boolean> {
  if (db.kind !== "postgres") return false;
  await db.rows("CREATE EXTENSION IF NOT EXISTS pg_buffercache");
  await db.rows("CHECKPOINT");
  await db.rows("SELECT pg_buffercache_evict_all()");
  return true;
}

export interface FeatureMeasure {
  /** With the server's buffers emptied before each page; absent on the embedded database, whose buffers live as long as it does. */
  cold: Times | null;
  /** Each feature for the first time. */
  first: Times;
  bytesP50: number;
}

export async function measureFeature(db: Database, ref: string, features: number, count: number): Promise<FeatureMeasure> {
  const random = createRandom(4);
  const [cold, first, bytes]: [number[], number[], number[]] = [[], [], []];
  const read = async () => {
    const index = Math.floor(random() * features);
    const [detail, ms] = await timed(async () => {
      const found = await findFeature(db, ref, index);
      await featuresAround(db, { ...emptyFeatureQuery, dictionary: ref }, index);
      return found;
    });
    bytes.push(JSON.stringify(detail).length);
    return ms;
  };
  for (let i = 0; i < 10; i++) await read();
  for (let i = 0; i < count; i++) first.push(await read());
  for (let i = 0; i < Math.min(count, 100); i++) {
    if (!(await emptyCache(db))) break;
    cold.push(await read());
  }
  const sorted = bytes.sort((a, b) => a - b);
  return { cold: cold.length ? summarise(cold) : null, first: summarise(first), bytesP50: sorted[sorted.length >> 1] ?? 0 };
}
