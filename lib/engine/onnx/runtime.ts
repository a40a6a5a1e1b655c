/** The little of ONNX Runtime that the engine needs, so that onnxruntime-node and onnxruntime-web both serve. */
import type { Tensor as OrtTensor } from "onnxruntime-node";

export type Tensor = OrtTensor;
export type Tensors = Record<string, Tensor>;

export interface Session {
  run(feeds: Tensors): Promise<Tensors>;
}

export interface Runtime {
  name: string;
  version: string;
  /** A graph with its external weights, by its path relative to the engine's folder. */
  open(path: string): Promise<Session>;
  floats(data: Float32Array, dims: readonly number[]): Tensor;
  integers(data: BigInt64Array, dims: readonly number[]): Tensor;
}

/** The tensor that a graph must have given. */
export function output(tensors: Tensors, name: string): Tensor {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`The graph gave no output "${name}", only ${Object.keys(tensors).join(", ")}.`);
  return tensor;
}

export function floatsOf(tensors: Tensors, name: string): Float32Array {
  const { data } = output(tensors, name);
  if (!(data instanceof Float32Array)) throw new Error(`Output "${name}" is not float32.`);
  return data;
}
