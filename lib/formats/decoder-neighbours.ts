/**
 * Nearest features by the cosine of their decoder rows: every pair is compared, block by block, so that memory does not grow with the
 * dictionary. onnxruntime multiplies, which at 131,072 rows is the difference between minutes and a day.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { neighbourColumns } from "./bundle";
import type { Row, Table } from "./parquet";
import { type DictionaryWeights, madeTable } from "./source";

/** Made by `python -m facet_worker.export_nearest`, which says what it does. */
const graph =
  "CAk68AEKIAoBYQoBYhIDZG90IgRHZW1tKg0KBnRyYW5zQhgBoAECCksKA2RvdAoBaxIGdmFsdWVzEgdpbmRpY2VzIgRUb3BLKgsKBGF4aXMYAaABAioOCgdsYXJnZXN0GAGgAQIqDQoGc29ydGVkGAGgAQISB25lYXJlc3RaFQoBYRIQCg4IARIKCgMSAU4KAxIBRFoVCgFiEhAKDggBEgoKAxIBTQoDEgFEWg8KAWsSCgoICAcSBAoCCAFiGgoGdmFsdWVzEhAKDggBEgoKAxIBTgoDEgFLYhsKB2luZGljZXMSEAoOCAcSCgoDEgFOCgMSAUtCBAoAEBI=";

/** Neighbours kept of each feature. */
export const neighbourCount = 10;

/** Bytes of decoder rows held at once on either side, and of the products of the two. */
const blockBytes = 64 * 2 ** 20;

export interface DecoderRows extends Pick<DictionaryWeights, "num_latents" | "width" | "decoderRows"> {}

interface NeighbourOptions {
  count?: number;
  /** For tests: small blocks. */
  rows?: number;
  signal?: AbortSignal;
}

interface OrtModule {
  InferenceSession: typeof InferenceSession;
  Tensor: typeof Tensor;
}

interface Block {
  /** Length-1 rows, one after the other, of the features `indices`. */
  values: Float32Array;
  indices: number[];
}

/** Rows `start` to `end` with length 1. A row of zeros or of anything that is no number points nowhere and is left out. */
async function unitRows({ width, decoderRows }: DecoderRows, start: number, end: number): Promise<Block> {
  const rows = await decoderRows(start, end);
  const values = new Float32Array(rows.length);
  const indices: number[] = [];
  for (let row = 0; row < end - start; row++) {
    let square = 0;
    for (let i = row * width; i < (row + 1) * width; i++) square += (rows[i] as number) ** 2;
    const length = Math.sqrt(square);
    if (!(length > 0) || !Number.isFinite(length)) continue;
    const at = indices.length * width;
    for (let i = 0; i < width; i++) values[at + i] = (rows[row * width + i] as number) / length;
    indices.push(start + row);
  }
  return { values: values.subarray(0, indices.length * width), indices };
}

/** The best of two ranked lists: by value, of equal ones the lower index first. */
function merged(a: Ranked, b: Ranked, count: number): Ranked {
  const all = [...a, ...b].sort((x, y) => y.value - x.value || x.neighbour - y.neighbour);
  return all.slice(0, count);
}

type Ranked = { neighbour: number; value: number }[];

/** Each feature's nearest others, the nearest first, features in ascending order; rows that point nowhere have none and are nobody's. */
export async function* decoderNeighbours(
  weights: DecoderRows,
  { count = neighbourCount, rows, signal }: NeighbourOptions = {},
): AsyncGenerator<{ index: number; ranked: Ranked }> {
  const { num_latents: latents, width } = weights;
  const loaded = (await import("onnxruntime-node")) as unknown as OrtModule & { default?: OrtModule };
  const ort = loaded.default ?? loaded;
  const session = await ort.InferenceSession.create(Buffer.from(graph, "base64"), { executionProviders: ["cpu"], logSeverityLevel: 3 });
  const blockRows = rows ?? Math.max(64, Math.min(4_096, Math.floor(blockBytes / 4 / Math.max(width, 4_096))));
  const tensor = ({ values, indices }: Block) => new ort.Tensor("float32", values, [indices.length, width]);
  try {
    for (let start = 0; start < latents; start += blockRows) {
      const block = await unitRows(weights, start, Math.min(latents, start + blockRows));
      let best = new Map<number, Ranked>(block.indices.map((index) => [index, []]));
      for (let other = 0; other < latents && block.indices.length > 0; other += blockRows) {
        signal?.throwIfAborted();
        const against = other === start ? block : await unitRows(weights, other, Math.min(latents, other + blockRows));
        if (against.indices.length === 0) continue;
        // One more than asked for, where the row meets itself.
        const k = Math.min(against.indices.length, count + (other === start ? 1 : 0));
        const found = await session.run({
          a: tensor(block),
          b: tensor(against),
          k: new ort.Tensor("int64", BigInt64Array.of(BigInt(k)), [1]),
        });
        const [values, places] = [found.values?.data as Float32Array, found.indices?.data as BigInt64Array];
        const next = new Map<number, Ranked>();
        block.indices.forEach((index, row) => {
          const ranked: Ranked = [];
          for (let i = row * k; i < (row + 1) * k; i++) {
            const neighbour = against.indices[Number(places[i])] as number;
            if (neighbour !== index) ranked.push({ neighbour, value: Math.max(-1, Math.min(1, values[i] as number)) });
          }
          next.set(index, merged(best.get(index) as Ranked, ranked, count));
        });
        best = next;
      }
      for (const [index, ranked] of best) yield { index, ranked };
    }
  } finally {
    await session.release();
  }
}

/** The same as a bundle's table, for an import. */
export function decoderNeighbourTable(file: string, weights: DecoderRows, options: NeighbourOptions = {}): Table<typeof neighbourColumns> {
  async function* make(): AsyncGenerator<Row<typeof neighbourColumns>> {
    for await (const { index, ranked } of decoderNeighbours(weights, options)) {
      for (const [rank, { neighbour, value }] of ranked.entries()) yield { index, kind: "decoder", rank, neighbour, value };
    }
  }
  const each = Math.min(options.count ?? neighbourCount, Math.max(0, weights.num_latents - 1));
  return madeTable(`${file} (nearest by decoder cosine)`, weights.num_latents * each, make);
}
