/** Activations of a cache as a stream, whatever file they lie in. */

/** Entries in step. `item` is the row of the image set, or the number of the text, and never goes down along the stream. */
export interface ActivationChunk {
  length: number;
  item: ArrayLike<number>;
  /** In the image's tokens or in the text's. */
  position: ArrayLike<number>;
  feature: ArrayLike<number>;
  value: ArrayLike<number>;
}

/** One file, or one run through a file, that holds the features `from` to `to` (exclusive) whole. */
export interface ActivationSegment {
  file: string;
  from: number;
  to: number;
  chunks(): AsyncIterable<ActivationChunk>;
}

export interface CacheShape {
  /** Items over which the features were looked for, those without any activation included. */
  items: number;
  /** Tokens of an item that count; entries beyond are left out. */
  cells: number;
  /** Of an image's grid; null for texts. */
  grid: { rows: number; cols: number } | null;
}
