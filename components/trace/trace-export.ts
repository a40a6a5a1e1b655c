/** A trace as a file: its ranking as comma-separated values. */
import { csvLines } from "@/lib/core/csv";
import type { RankedRow } from "./contributions";

/** The list in its order, with the shares of picture and words apart, and what was measured. Contributions are unrounded. */
export function traceCsv(rows: readonly RankedRow[]): string {
  return csvLines([
    ["rank", "feature", "label", "concept", "estimated", "measured", "image", "text", "always_on", "sink", "positional"],
    ...rows.map(({ feature, label, concept, value, measured, image, text, kinds }, i) => [
      i + 1,
      feature,
      label,
      concept,
      value,
      measured,
      image,
      text,
      kinds.includes("always_on"),
      kinds.includes("sink"),
      kinds.includes("positional"),
    ]),
  ]);
}

/** A name for a file about a word: letters and digits of it. */
export const fileName = (token: string, extension: string) =>
  `trace-${
    token
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "") || "token"
  }.${extension}`;

/** Has the browser keep a text as a file. */
export function saveText(text: string, name: string, mime: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: mime }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
