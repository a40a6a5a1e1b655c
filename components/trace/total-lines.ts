/** The parts into which a trace's whole is split as it is shown, so that they sum to it. Pure. */
import { formatNoun } from "@/lib/core/format";
import type { Modality } from "@/lib/core/trace-link";
import type { Ranking, TraceRow } from "./contributions";
import type { Trace } from "./use-attribution";

export interface TotalLine {
  name: string;
  explain: string;
  value: number;
}

/** Smaller than rounding shows. */
const nothing = 1e-6;

/** `all` are the features that were sent, `ranking` what is left of them where one looks. The lines' values sum to `totals.whole.total`. */
export function totalLines(
  { totals, rows: all }: { totals: Trace["totals"]; rows: readonly TraceRow[] },
  { rows, leftOut }: Ranking,
  where: Modality,
): TotalLine[] {
  const listed = rows.reduce((sum, { value }) => sum + value, 0);
  const sent = all.reduce((sum, { image, text }) => sum + image + text, 0);
  const lines: TotalLine[] = [
    {
      name: `${formatNoun(rows.length, "feature")} in the list`,
      explain: "The sum of the estimates of the list, as it is filtered now.",
      value: listed,
    },
  ];
  if (leftOut.count > 0) {
    lines.push({
      name: `${formatNoun(leftOut.count, "feature")} left out`,
      explain: "The sum of those that the list leaves out for what they are.",
      value: leftOut.sum,
    });
  }
  if (where !== "all") {
    lines.push({
      name: where === "image" ? "from words" : "from the picture",
      explain: "What the same features contribute at the positions that the list does not show.",
      value: sent - listed - leftOut.sum,
    });
  }
  const smaller = totals.features.total - sent;
  if (Math.abs(smaller) > nothing) {
    lines.push({ name: "smaller features", explain: "Features whose contribution was not sent one by one.", value: smaller });
  }
  lines.push(
    { name: "error term", explain: "The part of the hidden state that the dictionary does not explain.", value: totals.error.total },
    { name: "bias", explain: "The dictionary's own constant, the same at every position.", value: totals.bias.total },
  );
  return lines;
}
