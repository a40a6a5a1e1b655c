/** What each arm of a run is, in words. */
import type { Arm, NamedArm } from "@/lib/core/protocol";

interface ArmWords {
  name: string;
  explain: string;
}

export const armNames: Record<NamedArm, ArmWords> = {
  steered: { name: "Steered", explain: "The model with the clamps." },
  baseline: { name: "Baseline", explain: "The model as it is, without the dictionary." },
  reconstruction: { name: "Reconstruction", explain: "The dictionary in the loop without a clamp: what it alone changes." },
  negated: { name: "Opposite", explain: "The same changes the other way round." },
  random: { name: "Random feature", explain: "A random feature, changed by the same norm: what any push does." },
};

export const controlNames: Record<Exclude<NamedArm, "steered">, ArmWords> = armNames;

/** The words for any arm, the points of a sweep among them. */
export function armWords(arm: Arm): ArmWords {
  if (arm in armNames) return armNames[arm as NamedArm];
  return { name: `Point ${Number(arm.slice(arm.indexOf(":") + 1)) + 1}`, explain: "The same clamps, one of them at another strength." };
}
