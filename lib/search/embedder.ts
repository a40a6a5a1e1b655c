/** What a text embedder is to search by meaning. */

export interface Embedder {
  /** Names its vectors: those of one id can be compared, those of two cannot. */
  readonly id: string;
  /** Whether the text is in a script that it was trained on. */
  reads(text: string): boolean;
  /** One vector of length 1 for each text, in order, all of one size. */
  embed(texts: readonly string[], options?: { signal?: AbortSignal; threads?: number }): Promise<Float32Array[]>;
}

/** The same direction with length 1. Throws on a vector without direction. */
export function normalised(vector: ArrayLike<number>): Float32Array {
  let square = 0;
  for (let i = 0; i < vector.length; i++) square += (vector[i] as number) ** 2;
  const length = Math.sqrt(square);
  if (!(length > 0) || !Number.isFinite(length)) throw new Error("The embedder gave a vector without a direction.");
  return Float32Array.from(vector, (value) => value / length);
}
