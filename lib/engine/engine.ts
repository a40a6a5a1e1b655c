/**
 * What every engine promises, wherever it runs: this process, another over HTTP, or the browser. conformance.ts holds it to that.
 */
import type { AttributionEvent, AttributionRequest } from "@/lib/core/attribution";
import type { RgbImage } from "@/lib/core/preprocess";
import type { AnalyseRequest, Arm, EngineEvent, GenerateRequest, ImageRef, Mode } from "@/lib/core/protocol";
import type { SparseMap } from "@/lib/core/sparse-map";

export interface EngineInfo {
  name: string;
  version: string;
  /** Of the model's arithmetic; clamps are float32 always. */
  dtype: string;
  model: { id: string; name: string; sha256: string; imageSize: number; grid: { rows: number; cols: number } };
  dictionary: { ref: string; id: string; hook: string; layer: number; sha256: string; numLatents: number; width: number; k: number };
  /** Prompt (images expanded) and answer together, in tokens. */
  maxPositions: number;
  modes: Mode[];
}

export interface ResolvedImage extends RgbImage {
  /** Of the file's bytes. */
  sha256: string;
}

/** Decoded pixels of an image that a request names. Throws `image_not_found`, `unsupported_image`, `unreadable_image` or `too_large`. */
export type ResolveImage = (image: ImageRef) => Promise<ResolvedImage>;

/** One pass of the hook: the whole prompt, or one generated token. */
export interface HookEvent {
  arm: Arm;
  /** Position of the first row. */
  first: number;
  rows: number;
  width: number;
  /** [rows, width]: the model's own hidden states. */
  hidden: Float32Array;
  /** [rows, width]: what the upper half is about to be given. Live in this process: whoever writes here changes the run, and the receipt says so. */
  output: Float32Array;
}

/** For tests and measurements: sees what passes, and can fix the answer. */
export interface Tap {
  onHidden?: (event: HookEvent) => void;
  /** Logits from which generated token `i` of the arm is chosen. */
  onLogits?: (arm: Arm, i: number, logits: Float32Array) => void;
  /** Tokens to write instead of the model's own choice; the arm stops at their end. */
  force?: Partial<Record<Arm, number[]>>;
  /** Of an engine that guesses which features are among a token's largest and checks it later: how, and what it went back for. No answer may change by it. */
  guesses?: { low: number; high: number };
  onBack?: (arm: Arm) => void;
}

export interface GenerateOptions {
  /** The run stops within one token of its abort. */
  signal: AbortSignal;
  resolveImage: ResolveImage;
  /** A feature's maximum activation over the catalogue; 0 where it never fired. */
  unitOf: (feature: number) => number;
  tap?: Tap;
}

export interface ImageFeatures {
  rows: number;
  cols: number;
  /** Features that fire at all, before the limit. */
  total: number;
  /** Largest mean first. `mean` is over the whole grid. */
  features: { index: number; mean: number; peak: number; map: SparseMap }[];
}

export interface Engine {
  /** Throws `engine_unavailable`. */
  info(): Promise<EngineInfo>;
  /** Which features fire on one image, cell by cell. */
  features(input: AnalyseRequest, options: Pick<GenerateOptions, "signal" | "resolveImage">): Promise<ImageFeatures>;
  /**
   * Runs the arms and tells of them token by token. Whatever can be refused without the model is thrown before the first event, a full line before the
   * request's images are decoded; what fails later is thrown in between. A run that is aborted half-way ends its arms with `finish: "cancelled"`; one that has not begun throws `cancelled`, and so does
   * one at the other end of a connection, which the abort closes. Leaving the iteration frees the engine.
   */
  generate(request: GenerateRequest, options: GenerateOptions): AsyncIterable<EngineEvent>;
  /**
   * Which features make a token of an answer what it is: the estimates of all from one pass forward and one back, then the exact effects, as they are
   * measured. What can be refused without the model is thrown before the first event. An abort throws `cancelled`, between two passes.
   */
  attribute(request: AttributionRequest, options: Omit<GenerateOptions, "tap">): AsyncIterable<AttributionEvent>;
}
