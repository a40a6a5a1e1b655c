/** What the page and the engine's worker in the same tab say to each other. */
import type { AttributionEvent, AttributionRequest } from "@/lib/core/attribution";
import type { EnginePackage, Provider } from "@/lib/core/engine-package";
import type { ErrorCode } from "@/lib/core/errors";
import type { PromptFeatures, PromptFeaturesRequest } from "@/lib/core/prompt-features";
import type { AnalyseRequest, EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import type { EngineInfo, ImageFeatures } from "../engine";

/** Pictures of one's own by the SHA-256 of their bytes; the catalogue's are fetched by theirs. */
export type OwnPictures = ReadonlyMap<string, Blob>;

/** How far a load is. */
export interface LoadProgress {
  /** Bytes that are here, and all. */
  loaded: number;
  total: number;
  /** All is here, and the model is being started. */
  starting: boolean;
  /** Another tab fetches a file, and this one waits for it. */
  waiting: boolean;
}

/** How the model runs in this tab, for whoever wants to know. */
export interface TabState {
  provider: Provider;
  threads: number;
  /** What is not as good as it could be, in sentences. */
  notes: string[];
}

export interface Answers {
  load: { info: EngineInfo; state: TabState };
  features: ImageFeatures;
  words: PromptFeatures;
  generate: null;
  attribute: null;
  /** The picture as the model sees it: size × size pixels, RGB, row by row. */
  seen: { size: number; data: Uint8Array };
}

export type Ask =
  | { action: "load"; pack: EnginePackage; provider: Provider | "auto" }
  | { action: "features"; request: AnalyseRequest; pictures: OwnPictures }
  | { action: "words"; request: PromptFeaturesRequest; pictures: OwnPictures }
  | { action: "generate"; request: GenerateRequest; pictures: OwnPictures; units: Float32Array }
  | { action: "attribute"; request: AttributionRequest; pictures: OwnPictures; units: Float32Array }
  | { action: "seen"; picture: Blob };

/** To the worker. `id` names a question; `cancel` ends the one of that id. */
export type ToWorker = ({ id: number } & Ask) | { id: number; action: "cancel" };

export interface WireError {
  code: ErrorCode;
  message: string;
  fix: string;
}

/** From the worker. */
export type FromWorker =
  | { id: number; progress: LoadProgress }
  | { id: number; event: EngineEvent | AttributionEvent }
  | { id: number; result: Answers[keyof Answers] }
  | { id: number; error: WireError }
  /** How the model runs from now on, asked or not. */
  | { state: TabState };
