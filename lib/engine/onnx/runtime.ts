/** The little of ONNX Runtime that the engine needs, so that Node's and the browser's both serve. */
import type { ClampedSlab } from "@/lib/core/clamp-arithmetic.mjs";
import type { Bounds } from "./draft.mjs";
import type { ClampedTokens, SharedWeights, TokenClamps } from "./token-hook.mjs";

export interface Tensor {
  dims: readonly number[];
  /** Absent where the runtime keeps the tensor to itself; it can still be fed to a session. */
  data?: Float32Array | BigInt64Array;
  /** The runtime's own name for a tensor that it keeps. */
  kept?: number;
}

export type Tensors = Record<string, Tensor>;

/** An output of an earlier step of a chain, in another shape where `dims` says so. */
export interface Earlier {
  step: number;
  name: string;
  dims?: readonly number[];
}

export interface Step {
  session: Session;
  feeds: Record<string, Tensor | Earlier>;
  /** As in `run`. */
  keep?: readonly string[];
  /** Outputs that are wanted here; all by default. */
  give?: readonly string[];
}

/** A dictionary's hook, as the runtime knows it. */
export interface Hook {
  readonly number: number;
}

/** Clamps the states [rows, width] that an earlier step gave, a row for each arm; a later step is fed `hidden`. */
export interface HookStep {
  hook: Hook;
  states: Earlier;
  arms: readonly (TokenClamps | null)[];
  /** Whether the codes of all states, before and after, are wanted. */
  listed: boolean;
}

/** Some arms' clamps on generated tokens, as the runtime knows them; to be released. */
export interface Draft {
  readonly kept: number;
}

/** Clamps the states of one token of some arms by a guess of what is active, and checks guesses when asked to; a later step is fed `hidden` (draft.mjs). */
export interface DraftStep {
  draft: Draft;
  states: Earlier;
  /** The arms' indices, one a row. */
  members: readonly number[];
  check: boolean;
}

/** What the encoder says of the tokens since the last report. */
export interface Checked {
  /** The first token whose guess was wrong, counted from 0; null where none was. */
  wrong: number | null;
  /** Of each token before that, what was done to each clamped arm's state, by the arm's index. */
  tokens: Map<number, { state: Float32Array; slab: ClampedSlab }>[];
}

/** What was done at a hook: the states as they came, what the later step was fed and what came of each clamp, counted there. */
export interface HookReport extends ClampedTokens {
  states: Float32Array[];
  /** Codes of what the later step was fed; empty unless `listed`. */
  after: ClampedTokens["codes"];
}

/** Of each step: tensors, the report of a hook, or of a draft: null where nothing was checked. Steps behind a wrong guess are left out. */
export type Passed = Tensors | HookReport | Checked | null;

export interface Session {
  /** `keep` names outputs that are only fed to later runs, such as caches; they must be released. */
  run(feeds: Tensors, keep?: readonly string[]): Promise<Tensors>;
}

export interface Runtime {
  name: string;
  version: string;
  /** False once it has failed for good: whatever was opened must be opened again. */
  readonly alive: boolean;
  /** A graph with its external weights, by its path relative to the engine's folder. */
  open(path: string): Promise<Session>;
  /**
   * New kept tensors made of kept ones' rows along their first dimension, in the order given; all rows of one must be equally long.
   */
  gather(parts: readonly (readonly { tensor: Tensor; row: number }[])[]): Promise<Tensor[]>;
  /** Lets later chains clamp at a dictionary's hook; `encode` is the session of its encoder. */
  hook(weights: SharedWeights, encode: Session): Promise<Hook>;
  /**
   * Runs sessions one behind the other, what one gives being fed to later ones, and clamps between them: as `run` for each, in one exchange with the
   * runtime.
   */
  chain(steps: readonly (Step | HookStep | DraftStep)[]): Promise<Passed[]>;
  /** Lets later chains clamp some arms' tokens by guesses; `forced` is for tests. */
  draft(hook: Hook, arms: readonly (TokenClamps | null)[], forced: Bounds | null): Promise<Draft>;
  /** Checks what was guessed and not checked yet. */
  settle(draft: Draft): Promise<Checked>;
  /** The first `length` positions of kept caches [batch, heads, positions, width], as new ones. */
  trim(tensors: readonly Tensor[], length: number): Promise<Tensor[]>;
  /** Gives up kept tensors and drafts. */
  release(tensors: Iterable<Pick<Tensor, "kept">>): void;
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
