import type { Dictionary } from "@/lib/core/records";

/** What a picture's page needs to know of a dictionary. */
export interface ImageDictionary {
  ref: string;
  id: string;
  model: string;
  numLatents: number;
  engine: Dictionary["engine"];
  grid: { rows: number; cols: number };
}

export function imageDictionary({ ref, id, model, numLatents, engine }: Dictionary): ImageDictionary {
  return { ref, id, model: model.name, numLatents, engine, grid: model.grid ?? { rows: 0, cols: 0 } };
}
