/** Control arms' choices. */
import { createRandom } from "./random";

/** Keeps these draws apart from those that pick tokens with the same seed. */
const stream = 1;

/**
 * For each clamped feature, a clamp each, another one along whose decoder row its change is written at equal norm: not clamped itself, none twice, alive
 * where enough are. The same seed draws the same features.
 */
export function drawSubstitutes(
  features: readonly number[],
  numLatents: number,
  unitOf: (feature: number) => number,
  seed: number,
): number[] {
  const random = createRandom(seed, stream);
  const taken = new Set(features);
  return features.map((feature) => {
    let choice = feature;
    // A dictionary may be mostly dead or mostly clamped: what is drawn last is then kept, so that drawing ends.
    for (let tries = 0; tries < 1_000; tries++) {
      const drawn = Math.floor(random() * numLatents);
      if (taken.has(drawn)) continue;
      choice = drawn;
      if (unitOf(drawn) > 0) break;
    }
    taken.add(choice);
    return choice;
  });
}
