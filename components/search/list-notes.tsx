import type { FeatureQuery } from "@/lib/core/feature-query";
import type { Meaning, MetricKey } from "@/lib/core/records";
import { inSentence, metrics } from "./metrics";

/** What the order does with features that lack its metric; null where every feature has the key. */
export function orderNote(query: FeatureQuery): string | null {
  if (!(query.sort in metrics)) return null;
  const { name } = metrics[query.sort as MetricKey];
  return `From the ${query.direction === "asc" ? "smallest" : "greatest"} ${inSentence(name)}; features without one come last.`;
}

/** Why a search went by words alone, and what to do; null where it did not, or where nothing was asked for by meaning. */
export function meaningNote(meaning: Meaning | null): string | null {
  switch (meaning?.state) {
    case "no_vectors":
      return "By words alone: this dictionary has no vectors for search by meaning yet. “facet embed” makes them.";
    case "other_embedder":
      return `By words alone: the vectors of this dictionary came from ${meaning.stored}, and this server embeds with ${meaning.here}. “facet embed” makes them anew.`;
    case "no_embedder":
      return "By words alone: there is no embedder here for search by meaning.";
    case "unavailable":
      return `By words alone: the embedder${meaning.here ? ` ${meaning.here}` : ""} does not answer just now.`;
    case "not_read":
      return meaning.here && meaning.stored ? "By words alone: the embedder does not read this script." : null;
    default:
      return null;
  }
}

/** One quiet line over a list: how it is ordered where that needs saying, and what a search could not do. */
export function ListNotes({ query, meaning, total }: { query: FeatureQuery; meaning: Meaning | null; total: number | null }) {
  const notes = [total === 0 ? null : orderNote(query), query.q.trim() ? meaningNote(meaning) : null].filter((note) => note !== null);
  if (notes.length === 0) return null;
  return (
    <div className="space-y-1 px-1 pb-2 text-muted text-xs">
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  );
}
