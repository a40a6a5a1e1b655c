import { cache } from "react";
import { getDatabase } from "@/lib/catalog/db";
import { findDictionary } from "@/lib/catalog/dictionaries";
import { findExperiment } from "@/lib/catalog/experiments";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { describeClamp, type Experiment } from "@/lib/core/experiment";
import type { Dictionary } from "@/lib/core/records";

/** Read once for a page and its metadata. */
export const loadExperiment = cache(async (id: string): Promise<{ experiment: Experiment } | { problem: FacetError }> => {
  try {
    return { experiment: await findExperiment(await getDatabase(), id) };
  } catch (error) {
    return { problem: asFacetError(error) };
  }
});

/** The dictionary that the catalogue has now under the experiment's name, or null. */
export async function presentDictionary(ref: string): Promise<Dictionary | null> {
  try {
    return await findDictionary(await getDatabase(), ref);
  } catch (error) {
    if (asFacetError(error).code === "dictionary_not_found") return null;
    throw error;
  }
}

/** What a link to it says where it is unfurled. */
export function describeExperiment({ clamps, question, steered, baseline, note }: Experiment): string {
  const held = clamps.slice(0, 3).map(describeClamp).join(", ");
  const asked = question ? `Asked “${question}”` : "Asked nothing";
  const answered = baseline === null ? `the model answers “${steered}”.` : `the model answers “${steered}” in place of “${baseline}”.`;
  const text = [note, `${asked}${held ? ` with ${held}` : ""}, ${answered}`].filter(Boolean).join(" ");
  return text.length > 300 ? `${text.slice(0, 299).trimEnd()}…` : text;
}
