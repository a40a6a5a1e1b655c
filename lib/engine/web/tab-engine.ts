/** The page's side of the engine in its tab: an `Engine` whose model runs in a Web Worker. One for each document. */
import type { AttributionEvent, AttributionRequest } from "@/lib/core/attribution";
import type { EnginePackage, Provider } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import type { PromptFeatures, PromptFeaturesRequest } from "@/lib/core/prompt-features";
import type { AnalyseRequest, EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import type { ImageFeatures } from "../engine";
import type { Answers, Ask, FromWorker, LoadProgress, OwnPictures, TabState, ToWorker, WireError } from "./tab-wire";

interface Pending {
  resolve(result: Answers[keyof Answers]): void;
  reject(error: FacetError): void;
  onProgress?: (progress: LoadProgress) => void;
  onEvent?: (event: EngineEvent | AttributionEvent) => void;
}

const errorOf = ({ code, message, fix }: WireError) => new FacetError(code, message, { fix });

export class TabEngine {
  private worker: Worker | null = null;
  private readonly pending = new Map<number, Pending>();
  private last = 0;
  private loadedPack: EnginePackage | null = null;
  private stateNow: TabState | null = null;

  /** `onState` is told when a loaded model goes on in another way, `onBusy` when it begins to be asked something and when nothing is asked any more. */
  constructor(
    private readonly onState: (state: TabState) => void = () => {},
    private readonly onBusy: (busy: boolean) => void = () => {},
  ) {}

  /** How the model runs here; null until it is loaded. */
  get state(): TabState | null {
    return this.stateNow;
  }

  /** Whether this very package is loaded. */
  holds(pack: EnginePackage): boolean {
    return (
      this.worker !== null &&
      this.stateNow !== null &&
      this.loadedPack?.sha256 === pack.sha256 &&
      this.loadedPack.manifest === pack.manifest
    );
  }

  /** Fetches what is missing and starts the model. Throws `engine_unavailable`, `engine_out_of_memory`, `cancelled`. */
  async load(
    pack: EnginePackage,
    options: { provider?: Provider | "auto"; signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<TabState> {
    if (this.worker && this.loadedPack && !this.holds(pack)) this.end(new FacetError("cancelled", "Another model was loaded."));
    this.loadedPack = pack;
    const ask: Ask = { action: "load", pack, provider: options.provider ?? "auto" };
    const { state } = (await this.ask(ask, options.signal, { onProgress: options.onProgress })) as Answers["load"];
    this.stateNow = state;
    return state;
  }

  async features(request: AnalyseRequest, pictures: OwnPictures, signal?: AbortSignal): Promise<ImageFeatures> {
    return (await this.ask({ action: "features", request, pictures }, signal)) as ImageFeatures;
  }

  /** What fires on every position of a prompt. Throws `prompt_empty`, `prompt_too_long`, and what `features` throws. */
  async words(request: PromptFeaturesRequest, pictures: OwnPictures, signal?: AbortSignal): Promise<PromptFeatures> {
    return (await this.ask({ action: "words", request, pictures }, signal)) as PromptFeatures;
  }

  /** The picture as the model sees it. */
  async seen(picture: Blob, signal?: AbortSignal): Promise<Answers["seen"]> {
    return (await this.ask({ action: "seen", picture }, signal)) as Answers["seen"];
  }

  /** As `Engine.generate`; `units` has each feature's maximum over the catalogue. */
  generate(
    request: GenerateRequest,
    units: Float32Array,
    pictures: OwnPictures,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent, void, void> {
    return this.stream<EngineEvent>({ action: "generate", request, pictures, units }, signal);
  }

  /** As `Engine.attribute`; `units` as above. */
  attribute(
    request: AttributionRequest,
    units: Float32Array,
    pictures: OwnPictures,
    signal: AbortSignal,
  ): AsyncGenerator<AttributionEvent, void, void> {
    return this.stream<AttributionEvent>({ action: "attribute", request, pictures, units }, signal);
  }

  private async *stream<E extends EngineEvent | AttributionEvent>(ask: Ask, signal: AbortSignal): AsyncGenerator<E, void, void> {
    const events: E[] = [];
    let wake = () => {};
    const leaving = new AbortController();
    const leave = () => leaving.abort();
    signal.addEventListener("abort", leave);
    let outcome: { error: unknown } | "done" | null = null;
    const run = this.ask(ask, leaving.signal, {
      onEvent: (event) => {
        // Of the kind that was asked for: the worker answers a question's own events only.
        events.push(event as E);
        wake();
      },
    });
    run.then(
      () => {
        outcome = "done";
        wake();
      },
      (error: unknown) => {
        outcome = { error };
        wake();
      },
    );
    try {
      for (;;) {
        const next = events.shift();
        if (next) yield next;
        else if (outcome === "done") return;
        else if (outcome) throw (outcome as { error: unknown }).error;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }

  /** Gives the memory back. What is asked meanwhile throws. */
  end(error = new FacetError("cancelled", "The model in this tab was ended.")): void {
    this.worker?.terminate();
    this.worker = null;
    this.loadedPack = null;
    this.stateNow = null;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const { reject } of waiting) reject(error);
  }

  private ask(ask: Ask, signal?: AbortSignal, more: Pick<Pending, "onProgress" | "onEvent"> = {}): Promise<Answers[keyof Answers]> {
    const worker = this.start();
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      const cancel = () => worker.postMessage({ id, action: "cancel" } satisfies ToWorker);
      const settle = () => {
        signal?.removeEventListener("abort", cancel);
        if (this.pending.size === 0) this.onBusy(false);
      };
      if (this.pending.size === 0) this.onBusy(true);
      this.pending.set(id, {
        ...more,
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      worker.postMessage({ id, ...ask } satisfies ToWorker);
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel);
    });
  }

  private start(): Worker {
    if (this.worker) return this.worker;
    let worker: Worker;
    try {
      worker = new Worker(new URL("./tab-worker.ts", import.meta.url), { type: "module", name: "engine" });
    } catch (cause) {
      throw new FacetError("engine_unavailable", "This browser starts no worker here, so no model can run in the tab.", {
        fix: "Use a current Chrome, Edge, Firefox or Safari.",
        cause,
      });
    }
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.receive(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.end(
        new FacetError("engine_failed", "The engine in this tab ended unexpectedly; its memory may have run out.", {
          fix: "Close other tabs, reload the page and try again.",
          cause: event.message,
        }),
      );
    });
    this.worker = worker;
    return worker;
  }

  private receive(message: FromWorker): void {
    if ("state" in message) {
      this.stateNow = message.state;
      this.onState(message.state);
      return;
    }
    const waiting = this.pending.get(message.id);
    if (!waiting) return;
    if ("progress" in message) waiting.onProgress?.(message.progress);
    else if ("event" in message) waiting.onEvent?.(message.event);
    else {
      this.pending.delete(message.id);
      if ("error" in message) waiting.reject(errorOf(message.error));
      else waiting.resolve(message.result);
    }
  }
}
