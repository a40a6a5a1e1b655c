import { type Experiment, picturesOf } from "@/lib/core/experiment";
import type { Dictionary } from "@/lib/core/records";
import type { Grid } from "./request-view";

/** The image grid: the dictionary's, or, where that is gone, the square that as many image tokens make. */
export function gridOf({ request, events }: Experiment, dictionary: Pick<Dictionary, "model"> | null): Grid | null {
  if (dictionary?.model.grid) return dictionary.model.grid;
  const meta = events.find((event) => event.type === "meta");
  const pictures = picturesOf(request).length;
  const side = meta?.type === "meta" && pictures > 0 ? Math.sqrt(meta.prompt.imageTokens / pictures) : 0;
  return Number.isInteger(side) && side > 0 ? { rows: side, cols: side } : null;
}
