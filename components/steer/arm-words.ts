/** What each arm of a run is, in words. */
import type { Arm } from "@/lib/core/protocol";

export const armNames: Record<Arm, { name: string; explain: string }> = {
  steered: { name: "Steered", explain: "The model with the clamps." },
  baseline: { name: "Baseline", explain: "The model as it is, without the dictionary." },
  reconstruction: { name: "Reconstruction", explain: "The dictionary in the loop without a clamp: what it alone changes." },
  negated: { name: "Opposite", explain: "The same changes the other way round." },
  random: { name: "Random feature", explain: "A random feature, changed by the same norm: what any push does." },
};

export const controlNames: Record<Exclude<Arm, "steered">, { name: string; explain: string }> = armNames;
