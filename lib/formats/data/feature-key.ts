/** How other tools name a feature: `model.layers.24_feature14` (the paper), `model.layers.24_latent14` (delphi). */
import { invalidFile } from "../source";

export interface FeatureKey {
  hook: string;
  index: number;
}

/** Null where the text is no feature's name. */
export function parseFeatureKey(key: string): FeatureKey | null {
  const match = /^(.+)_(?:feature|latent)(\d+)$/.exec(key);
  const index = Number(match?.[2]);
  if (!match?.[1] || index > 0x7fffffff) return null;
  return { hook: match[1], index };
}

/** The feature that a key of `file` names. Throws `file_invalid`. */
export function featureOf(file: string, key: unknown): FeatureKey {
  const found = typeof key === "string" ? parseFeatureKey(key) : null;
  if (!found) {
    throw invalidFile(
      `${file}: the key ${JSON.stringify(key)?.slice(0, 80)} names no feature.`,
      'Keys read like "model.layers.24_feature14"; rename or remove this one.',
    );
  }
  return found;
}
