/** Checks what a format's reader found and makes readers of it: sizes, axes, finite numbers, and the sample where one lies beside. */
import { hookOf } from "../hook";
import { type DictionaryWeights, invalidFile } from "../source";
import { assertFinite, describeTensor, readVector, type StoredTensor, sha256OfTensors } from "../tensor-set";
import { type Arithmetic, decode, encode, isKnown, unexplained } from "./encode";
import type { Found, Layout } from "./layout";
import { type Matrix, matrixOf, rowNorms, scaled } from "./matrix";
import { type Axes, axesByLengths, axisByLength, possibleAxes, type Sizes, sizesOf } from "./orientation";
import { readSample, type Sample, sampleFile } from "./sample";

export interface LoadedWeights extends DictionaryWeights {
  /** Everything that the dictionary computes. */
  arithmetic: Arithmetic;
  /** Sentences on what was seen. */
  notes: string[];
}

interface Vectors {
  encoderBias: Float32Array;
  decoderBias: Float32Array;
  threshold: Float32Array | null;
  gate: Arithmetic["gate"];
  skip: Float32Array | null;
}

async function vectorsOf(layout: Layout, { latents, width, outputs }: Sizes): Promise<Vectors> {
  const vector = (tensor: StoredTensor | null, length: number) => (tensor ? readVector(tensor, length) : new Float32Array(length));
  const { gate, skip } = layout;
  if (skip) {
    const wanted = skip.outputs === 0 ? [outputs, width] : [width, outputs];
    if (skip.tensor.shape.join() !== wanted.join()) {
      throw invalidFile(
        `${describeTensor(skip.tensor)} should be [${wanted.join(", ")}].`,
        "Give weights and settings of the same dictionary.",
      );
    }
  }
  return {
    encoderBias: await vector(layout.encoderBias, latents),
    decoderBias: await vector(layout.decoderBias, outputs),
    threshold: layout.threshold && (await vector(layout.threshold, latents)),
    gate: gate && {
      gateBias: await readVector(gate.gateBias, latents),
      magnitudeBias: await readVector(gate.magnitudeBias, latents),
      logScale: await readVector(gate.logScale, latents),
    },
    skip: skip && (await matrixOf(skip.tensor, skip.outputs).read(0, outputs)),
  };
}

async function arithmeticOf(layout: Layout, axes: Axes, vectors: Vectors): Promise<Arithmetic> {
  let encoder: Matrix = matrixOf(layout.encoder.tensor, axes.encoder);
  let decoder: Matrix = matrixOf(layout.decoder.tensor, axes.decoder);
  let { encoderBias, threshold } = vectors;
  if (layout.foldDecoderNorm) {
    const norms = await rowNorms(decoder);
    const times = (values: Float32Array) => values.map((value, i) => value * (norms[i] as number));
    encoder = scaled(encoder, norms);
    // A row of zeros has no direction and stays.
    decoder = scaled(
      decoder,
      norms.map((norm) => (norm > 0 ? 1 / norm : 0)),
    );
    encoderBias = times(encoderBias);
    threshold = threshold && times(threshold);
  }
  const { activation, subtractDecoderBias, inputNorm } = layout;
  return { ...vectors, encoder, decoder, encoderBias, threshold, activation, k: layout.k?.value ?? null, subtractDecoderBias, inputNorm };
}

/** How far the dictionary is from what the sample says of it: from the tool's own reconstruction, else from the hidden states. */
async function distance(arithmetic: Arithmetic, { hidden, reconstruction }: Sample): Promise<number> {
  const made = await decode(arithmetic, await encode(arithmetic, hidden), hidden);
  return unexplained(made, reconstruction ?? hidden, arithmetic.decoder.cols);
}

/** Most of the tool's own reconstruction that may be missed: it may have computed in half precision. */
const missed = 1e-3;

function assertSample(sample: Sample, found: number, layout: Layout): void {
  if (found < (sample.reconstruction ? missed : 1)) return;
  const share = Number.isFinite(found) ? `${(100 * found).toPrecision(3)} %` : "all";
  throw invalidFile(
    `${layout.decoder.tensor.file} does not give back ${sample.file}: ${share} of the ${sample.reconstruction ? "reconstruction" : "hidden states"} is missed.`,
    `Check that weights, settings and ${sampleFile} are of the same dictionary and hook, or take the sample away.`,
  );
}

/** Where the axes are not told by length, by the sample. */
async function axesBySample(layout: Layout, ways: Axes[], vectors: Vectors, sample: Sample): Promise<Axes> {
  const tried: { axes: Axes; found: number }[] = [];
  for (const axes of ways) tried.push({ axes, found: await distance(await arithmeticOf(layout, axes, vectors), sample) });
  const [best, second] = tried.sort((a, b) => a.found - b.found);
  if (!best || !second) throw new RangeError("unreachable");
  assertSample(sample, best.found, layout);
  if (best.found > second.found / 2) {
    throw invalidFile(
      `${describeTensor(layout.decoder.tensor)} is square, and ${sample.file} does not say which axis counts the latents.`,
      "Put more hidden states into the sample, and the tool's own reconstruction of them.",
    );
  }
  return best.axes;
}

function turnedNotes(layout: Layout, axes: Axes, how: string): string[] {
  return (["encoder", "decoder"] as const)
    .filter((side) => axes[side] !== layout[side].latents)
    .map((side) => `${layout[side].tensor.name} is stored the other way round than ${layout.format} writes it; ${how} tells.`);
}

const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;

/**
 * The weights of one dictionary. Everything is read once in blocks, for its hash and for NaN and infinities, and nothing large is kept.
 * Throws `file_invalid`, naming file, tensor or key, and remedy.
 */
export async function loadWeights(found: Found, layout: Layout): Promise<LoadedWeights> {
  const sizes = sizesOf(layout);
  const { latents, width, outputs } = sizes;
  const { k } = layout;
  if (k && k.value > latents) throw invalidFile(`${k.file}: "${k.key}" is ${k.value} of ${latents} latents.`, "Correct the key.");
  if (k && layout.activation === "groupmax" && latents % k.value) {
    throw invalidFile(`${k.file}: "${k.key}" is ${k.value}, which does not divide ${latents} latents into groups.`, "Correct the key.");
  }
  const { encoder, decoder, encoderBias, decoderBias, threshold, gate, skip } = layout;
  const all = [encoder.tensor, decoder.tensor, encoderBias, decoderBias, threshold, skip?.tensor, ...(gate ? Object.values(gate) : [])];
  for (const tensor of new Set(all)) if (tensor) await assertFinite(tensor);

  const vectors = await vectorsOf(layout, sizes);
  const known = { encoder: axisByLength(encoder, latents), decoder: axisByLength(decoder, latents) };
  const computes = isKnown(layout);
  const sample = computes ? await readSample(found.folder, width, outputs) : null;
  let axes: Axes;
  let how = "its shape";
  if (known.encoder !== null && known.decoder !== null) axes = { encoder: known.encoder, decoder: known.decoder };
  else if (sample) {
    axes = await axesBySample(layout, possibleAxes(layout, known), vectors, sample);
    how = "the sample";
  } else {
    axes = await axesByLengths(layout, known);
    how = "the length of its rows";
  }
  const arithmetic = await arithmeticOf(layout, axes, vectors);
  const notes = [...layout.notes, ...turnedNotes(layout, axes, how)];
  if (sample) {
    const missing = await distance(arithmetic, sample);
    assertSample(sample, missing, layout);
    notes.push(
      sample.reconstruction
        ? `It reconstructs ${sampleFile} as its own tool does.`
        : `It reconstructs ${sampleFile} but for ${percent(missing)} of the variance.`,
    );
  } else if (computes) notes.push(`No ${sampleFile} lies beside it, so that its arithmetic was not checked.`);
  if (!computes) notes.push(`Facet does not compute "${layout.activation}" dictionaries; this one can be browsed.`);

  const place = layout.hook === null ? null : hookOf(layout.hook);
  return {
    hook: place?.hook ?? null,
    layer: place?.layer ?? null,
    num_latents: latents,
    // Of a transcoder: that of what it writes, which decoder rows have.
    width: outputs,
    activation: layout.activation,
    k: k?.value ?? null,
    sha256: await sha256OfTensors(found.set),
    decoderRows: arithmetic.decoder.read,
    encoderRows: arithmetic.encoder.read,
    encoderBias: async () => arithmetic.encoderBias,
    decoderBias: async () => arithmetic.decoderBias,
    threshold: async () => arithmetic.threshold,
    subtract_b_dec: layout.subtractDecoderBias,
    input_norm: layout.inputNorm,
    arithmetic,
    notes,
  };
}
