import type { Database } from "@/lib/catalog/db";
import { featureHistograms } from "@/lib/catalog/histograms";
import type { Sort } from "@/lib/core/feature-query";
import { measuredIn, usualSort } from "@/lib/core/usual-sort";

/** The order of a dictionary's whole list where its address names none. Throws `dictionary_not_found`. */
export async function usualSortOf(db: Database, ref: string, version?: string): Promise<Sort> {
  return usualSort(measuredIn(await featureHistograms(db, ref, version)));
}
