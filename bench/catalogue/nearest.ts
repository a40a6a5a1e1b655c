/** Nearest features by decoder cosine, which an import computes where a bundle brings none: all pairs, so that time grows with the square. */
import { createRandom } from "@/lib/core/random";
import { decoderNeighbours } from "@/lib/formats/decoder-neighbours";
import { round } from "./timing";

export interface NearestMeasure {
  latents: number;
  width: number;
  seconds: number;
  /** Multiplications and additions a second, in units of 10⁹. */
  gigaFlops: number;
}

export async function measureNearest(latents: number, width: number): Promise<NearestMeasure> {
  const random = createRandom(6);
  const rows = Float32Array.from({ length: latents * width }, () => random() - 0.5);
  const started = performance.now();
  let features = 0;
  const decoderRows = async (start: number, end: number) => rows.slice(start * width, end * width);
  for await (const _ of decoderNeighbours({ num_latents: latents, width, decoderRows })) features++;
  const seconds = (performance.now() - started) / 1_000;
  if (features !== latents) throw new Error(`${features} of ${latents} features have neighbours.`);
  return { latents, width, seconds: round(seconds), gigaFlops: round((2 * latents ** 2 * width) / seconds / 1e9) };
}
