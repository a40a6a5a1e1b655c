/** A run as an engine would stream it, made from its request, for tests. */
import type { Arm, EngineEvent, GenerateRequest, Receipt } from "@/lib/core/protocol";

const none = { planned: 0, changed: 0 };
const engine = { name: "test", version: "1", dtype: "float32" };

export interface TestRunOptions {
  /** What each arm answers, in tokens. */
  answers?: Partial<Record<Arm, string[]>>;
  modelSha256?: string;
  dictionarySha256?: string;
  /** SHA-256 of each picture as the engine read it. */
  images?: string[];
}

export function testRun(request: GenerateRequest, options: TestRunOptions = {}): EngineEvent[] {
  const arms: Arm[] = ["steered", ...request.controls];
  const { modelSha256 = "1".repeat(64), dictionarySha256 = "2".repeat(64), images = [] } = options;
  const answer = (arm: Arm) => options.answers?.[arm] ?? (arm === "steered" ? [" a", " lemon"] : [" a", " dog"]);
  const receipt = (arm: Arm): Receipt => ({
    arm,
    outcome: arm === "baseline" || arm === "reconstruction" ? arm : "steered",
    reason: null,
    text: answer(arm).join(""),
    finish: "stop",
    model: { id: request.dictionary.split("/")[0] as string, sha256: modelSha256 },
    dictionary: { id: request.dictionary.split("/")[1] as string, hook: "model.layers.1", sha256: dictionarySha256 },
    prompt: { text: "user: <image> what is it ?", images },
    mode: request.mode,
    sampling: request.sampling,
    clamps: request.interventions.map((clamp) => ({
      ...clamp,
      unitActivation: 1,
      image: { planned: 4, changed: 4 },
      prompt: none,
      generated: none,
      meanBefore: 0,
      meanAfter: 1,
    })),
    prefill: { image: { planned: 4, changed: 4 }, text: none },
    decode: none,
    relativeNorm: 0.1,
    tokens: answer(arm).length,
    engine,
    timingsMs: { queued: 0, prefill: 1, decode: 1 },
  });
  return [
    { type: "queued", position: 0 },
    { type: "meta", arms, prompt: { text: "user: <image> what is it ?", imageTokens: 4, textTokens: 8 }, engine },
    ...arms.flatMap((arm) =>
      answer(arm).map((text, i): EngineEvent => ({ type: "token", arm, i, id: i, text, logprob: -0.1, alternatives: [] })),
    ),
    ...arms.map((arm): EngineEvent => ({ type: "receipt", receipt: receipt(arm) })),
    { type: "done" },
  ];
}

export async function* streamOf(events: readonly EngineEvent[]): AsyncGenerator<EngineEvent, void, void> {
  yield* events;
}
