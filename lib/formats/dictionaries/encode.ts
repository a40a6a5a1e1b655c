/** The arithmetic of every dictionary whose activation is known: what checks weights against a sample, and what the tests compare. */
import type { InputNorm, Layout } from "./layout";
import { blocks, type Matrix } from "./matrix";

/** A dictionary as its tool computes with it: rows of both matrices are the latents'. */
export interface Arithmetic {
  encoder: Matrix;
  decoder: Matrix;
  encoderBias: Float32Array;
  decoderBias: Float32Array;
  threshold: Float32Array | null;
  gate: { gateBias: Float32Array; magnitudeBias: Float32Array; logScale: Float32Array } | null;
  /** [outputs, inputs], row-major. */
  skip: Float32Array | null;
  activation: Layout["activation"];
  k: number | null;
  subtractDecoderBias: boolean;
  inputNorm: InputNorm;
}

const norms = ["none", "expected_average_only_in", "constant_norm_rescale", "layer_norm"];
const activations = ["relu", "topk", "abstopk", "groupmax", "batchtopk", "jumprelu", "gated"];

/** Whether `encode` and `decode` know this dictionary's arithmetic. */
export const isKnown = ({ activation, inputNorm }: Pick<Arithmetic, "activation" | "inputNorm">) =>
  activations.includes(activation) && norms.includes(inputNorm);

interface Scale {
  mean: number;
  factor: number;
}

/** How one hidden state is moved and scaled on its way in. */
function scaleOf(x: Float32Array, norm: InputNorm): Scale {
  if (norm === "constant_norm_rescale") {
    return { mean: 0, factor: Math.sqrt(x.length) / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) };
  }
  if (norm === "layer_norm") {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (x.length - 1);
    return { mean, factor: 1 / (Math.sqrt(variance) + 1e-5) };
  }
  return { mean: 0, factor: 1 };
}

const relu = (value: number) => Math.max(0, value);

/** Keeps the `k` largest of `row` by `size`; the rest become 0. */
function keepLargest(row: Float32Array, k: number, size: (value: number) => number): void {
  const order = Array.from(row.keys()).sort((a, b) => size(row[b] as number) - size(row[a] as number) || a - b);
  for (const index of order.slice(k)) row[index] = 0;
}

/** Turns `pre` (W_enc x, without bias) of one hidden state into activations, in place. */
function activate(pre: Float32Array, { activation, encoderBias, threshold, gate, k }: Arithmetic): void {
  const latents = pre.length;
  if (activation === "gated" && gate) {
    for (let i = 0; i < latents; i++) {
      const value = pre[i] as number;
      const open = value + (gate.gateBias[i] as number) > 0;
      pre[i] = open ? relu(Math.exp(gate.logScale[i] as number) * value + (gate.magnitudeBias[i] as number)) : 0;
    }
    return;
  }
  for (let i = 0; i < latents; i++) {
    const value = (pre[i] as number) + (encoderBias[i] as number);
    if (activation === "abstopk") pre[i] = value;
    else if ((activation === "jumprelu" || activation === "batchtopk") && threshold) {
      // Strictly above: what equals its threshold is off.
      pre[i] = value > (threshold[i] as number) ? relu(value) : 0;
    } else pre[i] = relu(value);
  }
  if (k === null) return;
  if (activation === "topk") keepLargest(pre, k, (value) => value);
  else if (activation === "abstopk") keepLargest(pre, k, Math.abs);
  else if (activation === "groupmax") {
    const group = latents / k;
    for (let start = 0; start < latents; start += group) keepLargest(pre.subarray(start, start + group), 1, (value) => value);
  }
}

/** Activations [N × L] of hidden states [N × D], both row-major. */
export async function encode(weights: Arithmetic, hidden: Float32Array): Promise<Float32Array> {
  const { encoder, decoderBias, inputNorm, subtractDecoderBias } = weights;
  const width = encoder.cols;
  const latents = encoder.rows;
  const count = hidden.length / width;
  const inputs = Float64Array.from(hidden);
  for (let n = 0; n < count; n++) {
    const { mean, factor } = scaleOf(hidden.subarray(n * width, (n + 1) * width), inputNorm);
    for (let i = 0; i < width; i++) {
      const at = n * width + i;
      inputs[at] = ((inputs[at] as number) - mean) * factor - (subtractDecoderBias ? (decoderBias[i] as number) : 0);
    }
  }
  const out = new Float32Array(count * latents);
  for await (const { start, rows, data } of blocks(encoder)) {
    for (let n = 0; n < count; n++) {
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += (data[row * width + i] as number) * (inputs[n * width + i] as number);
        out[n * latents + start + row] = sum;
      }
    }
  }
  for (let n = 0; n < count; n++) activate(out.subarray(n * latents, (n + 1) * latents), weights);
  return out;
}

/** What the dictionary makes of activations [N × L] of the hidden states [N × D] that they came from: [N × D_out]. */
export async function decode(weights: Arithmetic, activations: Float32Array, hidden: Float32Array): Promise<Float32Array> {
  const { encoder, decoder, decoderBias, inputNorm, skip } = weights;
  const latents = decoder.rows;
  const width = decoder.cols;
  const count = activations.length / latents;
  const sums = new Float64Array(count * width);
  for await (const { start, rows, data } of blocks(decoder)) {
    for (let n = 0; n < count; n++) {
      for (let row = 0; row < rows; row++) {
        const amount = activations[n * latents + start + row] as number;
        if (amount === 0) continue;
        for (let i = 0; i < width; i++) sums[n * width + i] = (sums[n * width + i] as number) + amount * (data[row * width + i] as number);
      }
    }
  }
  const out = new Float32Array(count * width);
  for (let n = 0; n < count; n++) {
    const x = hidden.subarray(n * encoder.cols, (n + 1) * encoder.cols);
    const { mean, factor } = scaleOf(x, inputNorm);
    for (let i = 0; i < width; i++) {
      let value = (sums[n * width + i] as number) + (decoderBias[i] as number);
      if (skip) for (let j = 0; j < x.length; j++) value += (skip[i * x.length + j] as number) * (x[j] as number);
      out[n * width + i] = value / factor + mean;
    }
  }
  return out;
}

/** Share of the variance of `truth` [N × D] that `made` does not explain. */
export function unexplained(made: Float32Array, truth: Float32Array, width: number): number {
  const count = truth.length / width;
  const means = new Float64Array(width);
  for (let i = 0; i < truth.length; i++) means[i % width] = (means[i % width] as number) + (truth[i] as number) / count;
  let error = 0;
  let variance = 0;
  for (let i = 0; i < truth.length; i++) {
    error += ((made[i] as number) - (truth[i] as number)) ** 2;
    variance += ((truth[i] as number) - (means[i % width] as number)) ** 2;
  }
  return variance > 0 ? error / variance : error > 0 ? Number.POSITIVE_INFINITY : 0;
}
