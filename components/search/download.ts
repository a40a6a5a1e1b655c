"use client";
import { toCsv } from "@/lib/core/csv";
import { withoutHighlight } from "@/lib/core/highlight";
import { type FeatureCard, metricKeys } from "@/lib/core/records";
import { splitRef } from "@/lib/core/routes";
import { metrics } from "./metrics";

/** Hands the rows to the browser as a file: index, label, concept, every metric at full precision, flags. */
export function downloadRows(dictionary: string, cards: readonly FeatureCard[]): void {
  const head = ["index", "label", "concept", ...metricKeys, "dead", "always_on", "sink", "match"];
  const rows = cards.map((card) => [
    card.index,
    card.label,
    card.concept,
    ...metricKeys.map((key) => metrics[key].of(card)),
    card.dead,
    card.alwaysOn,
    card.sink,
    card.match ? `${card.match.kind}${card.match.highlight ? `: ${withoutHighlight(card.match.highlight)}` : ""}` : null,
  ]);
  const url = URL.createObjectURL(new Blob([toCsv(head, rows)], { type: "text/csv;charset=utf-8" }));
  const { model, dictionary: name } = splitRef(dictionary);
  const link = document.createElement("a");
  link.href = url;
  link.download = `${model}-${name}-features.csv`;
  link.click();
  URL.revokeObjectURL(url);
}
