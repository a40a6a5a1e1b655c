/** The engine at the other end of an HTTP connection: one dictionary of a Python worker. */
import type { AttributionEvent, AttributionRequest } from "@/lib/core/attribution";
import { FacetError } from "@/lib/core/errors";
import type { AnalyseRequest, EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import { cancelled, readWhole } from "@/lib/workers/http";
import type { Served, WorkerInfo } from "@/lib/workers/info";
import type { Worker } from "@/lib/workers/worker";
import type { Engine, EngineInfo, GenerateOptions, ImageFeatures } from "../engine";
import { parseFeatures } from "./features";
import { attributeBody, featuresBody, generateBody, unitsFor, wireImage, withoutPictures } from "./request";
import { readAttribution, readEvents } from "./stream";

const longestFeatures = 64 * 1024 * 1024;
const versionDigits = 12;

/**
 * Needs nothing of the model here: prompts, clamps and the line are the worker's, and what it refuses is thrown as it says it. `signal` closes the
 * connection, which ends the worker's run within a token; an aborted run throws `cancelled` and gives no receipt, since nobody is left to send it.
 */
export class RemoteEngine implements Engine {
  constructor(
    private readonly worker: Worker,
    private readonly ref: string,
  ) {}

  async info(): Promise<EngineInfo> {
    return (await this.worker.served(this.ref)).served;
  }

  async features(input: AnalyseRequest, options: Pick<GenerateOptions, "signal" | "resolveImage">): Promise<ImageFeatures> {
    const { info } = await this.served(input.dictionary, undefined, options.signal);
    const leave = this.worker.enter(info);
    try {
      const image = await wireImage(input.image, info.limits, options);
      const body = featuresBody(input, image, info.limits);
      const answer = await this.worker.call({ path: "/v1/features", body, signal: options.signal });
      return parseFeatures(await readWhole(answer, longestFeatures));
    } finally {
      leave();
    }
  }

  async *generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<EngineEvent, void, void> {
    const { served, info } = await this.served(request.dictionary, request.version, options.signal);
    const { sha256, numLatents } = served.dictionary;
    const leave = this.worker.enter(info);
    try {
      const { messages, images } = await withoutPictures(request.messages, (image) => wireImage(image, info.limits, options));
      // Pinned to the weights that were looked at here: a worker that was started anew with others meanwhile refuses.
      const pinned = { ...request, messages, version: sha256.slice(0, versionDigits) };
      const drawn = {
        interventions: request.interventions,
        randomSeed: request.controls.includes("random") ? request.sampling.seed : null,
      };
      const body = generateBody(pinned, images, unitsFor(drawn, numLatents, options.unitOf), options.tap, info.limits);
      const answer = await this.worker.call({ path: "/v1/generate", body, signal: options.signal });
      for await (const event of readEvents(answer.body, options.tap)) {
        if (event.type === "receipt") refuseOtherWeights(event.receipt, served);
        yield event;
      }
    } finally {
      leave();
    }
  }

  /** Throws `engine_unavailable` where the worker is of a version that does not attribute. */
  async *attribute(request: AttributionRequest, options: Omit<GenerateOptions, "tap">): AsyncGenerator<AttributionEvent, void, void> {
    const { served, info } = await this.served(request.dictionary, request.version, options.signal);
    const leave = this.worker.enter(info);
    try {
      const { messages, images } = await withoutPictures(request.messages, (image) => wireImage(image, info.limits, options));
      const { sha256, numLatents } = served.dictionary;
      const pinned = { ...request, messages, version: sha256.slice(0, versionDigits) };
      const { interventions, control } = request;
      const randomSeed = control?.type === "random" ? control.seed : null;
      const body = attributeBody(pinned, images, unitsFor({ interventions, randomSeed }, numLatents, options.unitOf), info.limits);
      const answer = await this.worker.call({ path: "/v1/attribute", body, signal: options.signal }).catch(orTooOld);
      for await (const event of readAttribution(answer.body)) {
        if (event.type === "result") refuseOtherWeights(event.result, served);
        yield event;
      }
    } finally {
      leave();
    }
  }

  /** What the worker serves under the name. Throws `dictionary_not_found`, `version_mismatch`, `cancelled` or `engine_unavailable`. */
  private async served(ref: string, version: string | undefined, signal: AbortSignal): Promise<{ served: Served; info: WorkerInfo }> {
    if (ref !== this.ref) throw new FacetError("dictionary_not_found", `This engine serves ${this.ref}, not ${ref}.`);
    const found = await this.worker.served(ref);
    if (signal.aborted) throw cancelled();
    const { sha256 } = found.served.dictionary;
    if (version && !sha256.startsWith(version)) {
      throw new FacetError(
        "version_mismatch",
        `The request is for version ${version} of ${ref}; this engine has ${sha256.slice(0, versionDigits)}.`,
      );
    }
    return found;
  }
}

function orTooOld(error: unknown): never {
  if (!(error instanceof FacetError) || error.code !== "not_found") throw error;
  throw new FacetError("engine_unavailable", "This worker does not attribute answers to features.", {
    fix: "Update the worker.",
    cause: error,
  });
}

function refuseOtherWeights(
  receipt: Pick<Extract<EngineEvent, { type: "receipt" }>["receipt"], "model" | "dictionary">,
  { model, dictionary }: Pick<Served, "model" | "dictionary">,
): void {
  if (receipt.dictionary.sha256 === dictionary.sha256 && receipt.model.sha256 === model.sha256) return;
  throw new FacetError("version_mismatch", `The worker answered with other weights than it says it has for ${dictionary.ref}.`, {
    fix: "Start the worker again, and see that one address leads to one worker only.",
  });
}
