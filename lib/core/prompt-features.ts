/** What fires on a prompt, position by position: its words, its picture's cells, and the template around them. */
import type { AttributionPosition } from "./attribution";
import type { Message } from "./protocol";
import type { SparseMap } from "./sparse-map";

export interface PromptFeaturesRequest {
  /** `<model>/<dictionary>`. */
  dictionary: string;
  /** As for an answer: user and assistant by turns, the user last. */
  messages: Message[];
}

export interface PromptFeatures {
  /** The whole prompt as the model reads it, up to where its answer would begin. */
  positions: AttributionPosition[];
  /** Where each image's cells lie: `rows · cols` positions from `start` on, row-major. */
  images: { start: number; rows: number; cols: number }[];
  /** Words that the model has no token for. */
  unknown: string[];
  /** All features that fire anywhere, the largest mean first. `mean` is over all positions, `map` lies on the positions; raw activation. */
  features: { index: number; mean: number; peak: number; map: SparseMap }[];
}
