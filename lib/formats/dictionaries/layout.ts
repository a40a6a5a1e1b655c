/** What a format's reader finds in the files of one dictionary; weights.ts checks it and makes readers of it. */
import type { StoredTensor, TensorSet } from "../tensor-set";
import type { LatentAxis } from "./matrix";

/** One file (or set of shards) of tensors, and what lies beside it. */
export interface Found {
  /** The folder that holds them, absolute. */
  folder: string;
  set: TensorSet;
  /** Settings beside the tensors, by file name: `cfg.json`, `config.json`, `adapter_config.json`, `runSettings`, as far as they are there. */
  settings: Record<string, Settings>;
}

/** Where sparsify's training keeps its own settings, seen from a dictionary's folder. */
export const runSettings = "../config.json";

export interface Settings {
  file: string;
  json: Record<string, unknown>;
}

/** A matrix and which of its axes counts the latents in this format, where its shape does not say. */
export interface Placed {
  tensor: StoredTensor;
  latents: LatentAxis;
}

/** What the settings say of a size: the key, so that a disagreement can be named. */
export interface Claim {
  file: string;
  key: string;
  value: number;
}

/** How activations come from `pre = W_enc x + b_enc`. A name of another tool, where Facet knows no arithmetic for it. */
export type Activation = "relu" | "topk" | "abstopk" | "groupmax" | "batchtopk" | "jumprelu" | "gated" | (string & {});

/** How hidden states are scaled before anything else, as SAELens calls it. */
export type InputNorm = "none" | "constant_norm_rescale" | "layer_norm" | (string & {});

export interface Layout {
  /** "sparsify", "SAELens", … */
  format: string;
  encoder: Placed;
  decoder: Placed;
  encoderBias: StoredTensor | null;
  decoderBias: StoredTensor | null;
  /** Of JumpReLU [L], or the one number of a batch TopK. */
  threshold: StoredTensor | null;
  /** Of a gated encoder, each [L]. */
  gate: { gateBias: StoredTensor; magnitudeBias: StoredTensor; logScale: StoredTensor } | null;
  /** A transcoder's linear path from input to output, and which of its axes counts the outputs. */
  skip: { tensor: StoredTensor; outputs: 0 | 1 } | null;
  width: Claim | null;
  latents: Claim | null;
  activation: Activation;
  k: Claim | null;
  subtractDecoderBias: boolean;
  /** Whether activations count in lengths of decoder rows, as if these were of unit length. */
  foldDecoderNorm: boolean;
  inputNorm: InputNorm;
  /** As the tool spells them. */
  hook: string | null;
  /** Where a transcoder writes, if elsewhere. */
  hookOut: string | null;
  model: string | null;
  /** Sentences for whoever imports. */
  notes: string[];
}

export interface Format {
  name: string;
  /** The dictionaries that these files hold; null where they are not of this format. Throws `file_invalid`, naming file, key and remedy. */
  layouts(found: Found): Promise<Layout[] | null> | Layout[] | null;
}

/** What most dictionaries are. */
export const plain = {
  threshold: null,
  gate: null,
  skip: null,
  width: null,
  latents: null,
  k: null,
  subtractDecoderBias: true,
  foldDecoderNorm: false,
  inputNorm: "none",
  hook: null,
  hookOut: null,
  model: null,
} as const;
