/** What fires on every position of a prompt at the hook. */
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { positionsOf } from "./attribute";
import { groupByFeature } from "./image-features";
import type { LoadedEngine } from "./load";
import { Prefill } from "./prefill";
import type { Prompt } from "./prompt";

/** `pixels`: the prompt's pictures, as the vision tower takes them. */
export async function promptFeatures({ model, codec }: LoadedEngine, prompt: Prompt, pixels: Float32Array[]): Promise<PromptFeatures> {
  const prefill = await Prefill.run(model, prompt, pixels);
  await prefill.release();
  const { length, images } = prompt.layout;
  const codes = await model.encode(prefill.hidden);
  return {
    positions: positionsOf(prompt, [], length, codec),
    images,
    unknown: prompt.unknown,
    features: groupByFeature(codes, 1, length, Number.POSITIVE_INFINITY).features,
  };
}
