/**
 * Which axis of each stored matrix counts the latents. Where the axes differ in length their lengths say so; where a dictionary has as many
 * latents as the hidden state has dimensions, the numbers must: by reconstructing a sample, or by which of rows and columns have length 1
 * and go with those of the encoder. Names of files and tensors are never taken for proof: tools are known to turn each other's matrices.
 */
import { invalidFile } from "../source";
import { describeTensor, type StoredTensor } from "../tensor-set";
import type { Layout, Placed } from "./layout";
import { type LatentAxis, type Matrix, matrixOf, rowNorms } from "./matrix";

export interface Axes {
  encoder: LatentAxis;
  decoder: LatentAxis;
}

export interface Sizes {
  latents: number;
  /** Of the hidden state that is read. */
  width: number;
  /** Of what is written: `width`, unless it is a transcoder. */
  outputs: number;
}

const two = (tensor: StoredTensor): [number, number] => {
  if (tensor.shape.length === 2 && tensor.shape.every((n) => n > 0)) return tensor.shape as [number, number];
  throw invalidFile(
    tensor.shape.length > 2
      ? `${describeTensor(tensor)} has more than two axes: it belongs to a crosscoder or a cross-layer transcoder, which has several places.`
      : `${describeTensor(tensor)} should be a matrix of latents and dimensions.`,
    "Save the part of one place as a matrix [latents, dimensions], and import that.",
  );
};

const misfit = (layout: Layout, why: string) =>
  invalidFile(
    `${describeTensor(layout.encoder.tensor)} and ${describeTensor(layout.decoder.tensor)} do not fit together: ${why}.`,
    "Give weights and settings of the same dictionary.",
  );

/**
 * L, D and D_out, from the shapes and the lengths of the biases. Throws `file_invalid` where they contradict each other or the settings.
 */
export function sizesOf(layout: Layout): Sizes {
  const encoder = two(layout.encoder.tensor);
  const decoder = two(layout.decoder.tensor);
  const count = (tensor: StoredTensor | null) => (tensor ? tensor.shape.reduce((product, n) => product * n, 1) : null);
  const latentBias = count(layout.encoderBias) ?? count(layout.gate?.gateBias ?? null);
  const outputs0 = count(layout.decoderBias) ?? (layout.skip || layout.hookOut ? null : (layout.width?.value ?? null));
  const shared = [...new Set(encoder.filter((n) => decoder.includes(n)))];
  const other = (sizes: [number, number], one: number) => (sizes[0] === one ? sizes[1] : sizes[0]);
  const candidates = shared.filter((latents) => {
    if (latentBias !== null && latentBias !== latents) return false;
    return outputs0 === null || other(decoder, latents) === outputs0;
  });
  // Two numbers in common, and no bias that says which is which: the dictionary is the wider side, or what the settings say.
  const latents = candidates.length > 1 ? (layout.latents?.value ?? Math.max(...candidates)) : candidates[0];
  if (latents === undefined || !candidates.includes(latents)) {
    const biases = `the biases have ${latentBias ?? "no"} and ${count(layout.decoderBias) ?? "no"} elements`;
    throw misfit(layout, shared.length ? biases : "they have no length in common");
  }
  const sizes = { latents, width: other(encoder, latents), outputs: other(decoder, latents) };
  for (const [claim, value, what] of [
    [layout.latents, sizes.latents, "latents"],
    [layout.width, sizes.width, "dimensions"],
  ] as const) {
    if (claim && claim.value !== value) {
      throw invalidFile(
        `${claim.file}: "${claim.key}" makes ${claim.value} ${what}, and ${layout.decoder.tensor.file} has ${value}.`,
        "Give weights and settings of the same dictionary, or correct the key.",
      );
    }
  }
  return sizes;
}

/** The axis by length; null where both have the same. */
export function axisByLength({ tensor }: Placed, latents: number): LatentAxis | null {
  const [rows, cols] = tensor.shape as [number, number];
  if (rows === cols) return null;
  return rows === latents ? 0 : 1;
}

/** Largest relative distance of a length from 1. */
const farthest = (norms: Float32Array) => norms.reduce((most, norm) => Math.max(most, Math.abs(norm - 1)), 0);

/** Mean cosine of the rows of two matrices, of at most 512 of them. */
async function alignment(one: Matrix, other: Matrix): Promise<number> {
  const rows = Math.min(512, one.rows);
  const [a, b] = await Promise.all([one.read(0, rows), other.read(0, rows)]);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    let dot = 0;
    let left = 0;
    let right = 0;
    for (let i = row * one.cols; i < (row + 1) * one.cols; i++) {
      dot += (a[i] as number) * (b[i] as number);
      left += (a[i] as number) ** 2;
      right += (b[i] as number) ** 2;
    }
    total += left && right ? dot / Math.sqrt(left * right) : 0;
  }
  return total / rows;
}

const turned = (axis: LatentAxis): LatentAxis => (axis === 0 ? 1 : 0);

/** How near 1 all lengths of a side must be, and how many times farther the other side's must be. bfloat16 rounds lengths by about 0.1 %. */
const unit = 0.02;
const clearly = 3;

/**
 * The axes of square matrices without a sample: the decoder's by whose lengths are 1, the encoder's by which way its rows go with the
 * decoder's. Throws `file_invalid` where the numbers do not tell.
 */
export async function axesByLengths(layout: Layout, known: { encoder: LatentAxis | null; decoder: LatentAxis | null }): Promise<Axes> {
  const { encoder, decoder } = layout;
  const undecided = (tensor: StoredTensor, why: string) =>
    invalidFile(
      `${describeTensor(tensor)} is square, and ${why}: nothing says which axis counts the latents.`,
      'Put a sample.safetensors beside it with "hidden" [N, D], hidden states of its hook; docs/formats-in.md shows how.',
    );
  let decoderAxis = known.decoder;
  if (decoderAxis === null) {
    const [asWritten, other] = await Promise.all(
      [decoder.latents, turned(decoder.latents)].map(async (axis) =>
        farthest(await rowNorms(matrixOf(decoder.tensor, axis as LatentAxis))),
      ),
    );
    if (asWritten === undefined || other === undefined) throw new RangeError("unreachable");
    if (asWritten < unit && other > clearly * asWritten) decoderAxis = decoder.latents;
    else if (other < unit && asWritten > clearly * other) decoderAxis = turned(decoder.latents);
    else throw undecided(decoder.tensor, "neither its rows nor its columns alone have length 1");
  }
  if (known.encoder !== null) return { encoder: known.encoder, decoder: decoderAxis };
  const rows = matrixOf(decoder.tensor, decoderAxis);
  const asWritten = await alignment(matrixOf(encoder.tensor, encoder.latents), rows);
  const other = await alignment(matrixOf(encoder.tensor, turned(encoder.latents)), rows);
  if (asWritten > 0.2 && asWritten > 2 * other) return { encoder: encoder.latents, decoder: decoderAxis };
  if (other > 0.2 && other > 2 * asWritten) return { encoder: turned(encoder.latents), decoder: decoderAxis };
  throw undecided(encoder.tensor, "its rows go with the decoder's neither way");
}

/** Both ways of placing what is not known, the format's own first. */
export function possibleAxes(layout: Layout, known: { encoder: LatentAxis | null; decoder: LatentAxis | null }): Axes[] {
  const ways = (own: LatentAxis, decided: LatentAxis | null) => (decided === null ? [own, turned(own)] : [decided]);
  return ways(layout.encoder.latents, known.encoder).flatMap((encoder) =>
    ways(layout.decoder.latents, known.decoder).map((decoder) => ({ encoder, decoder })),
  );
}
