/** Values of other tools' settings, checked one at a time. */
import { invalidFile } from "../source";
import type { StoredTensor, TensorSet } from "../tensor-set";
import type { Claim, Settings } from "./layout";

const shown = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 80);

/** A whole number ≥ `least` under a key like "trainer.k"; null where the key is missing or null. */
export function wholeNumber({ file, json }: Settings, key: string, least = 1): Claim | null {
  const value = valueAt(json, key);
  if (value === undefined || value === null) return null;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
    throw invalidFile(`${file}: "${key}" is ${shown(value)} and should be a whole number of at least ${least}.`, "Correct the key.");
  }
  return { file, key, value };
}

/** What lies under a key like "trainer.k". */
export function valueAt(json: Record<string, unknown>, key: string): unknown {
  let value: unknown = json;
  for (const part of key.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

export function text({ file, json }: Settings, key: string): string | null {
  const value = valueAt(json, key);
  if (value === undefined || value === null || value === "") return null;
  if (typeof value !== "string") throw invalidFile(`${file}: "${key}" is ${shown(value)} and should be a text.`, "Correct the key.");
  return value;
}

export function flag({ file, json }: Settings, key: string, otherwise: boolean): boolean {
  const value = valueAt(json, key);
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "boolean")
    throw invalidFile(`${file}: "${key}" is ${shown(value)} and should be true or false.`, "Correct the key.");
  return value;
}

/** The key's number. Throws where the settings lack it. */
export function needed(claim: Claim | null, { file }: Settings, key: string): Claim {
  if (claim) return claim;
  throw invalidFile(`${file} lacks "${key}".`, "Add the key, or give the settings file that the tool itself wrote.");
}

/** Number of latents: `num_latents`, or where that is 0 or missing `width` × `expansion_factor`. */
export function latentsOrFactor(settings: Settings, width: number | null): Claim | null {
  const latents = wholeNumber(settings, "num_latents", 0);
  if (latents && latents.value > 0) return latents;
  const factor = wholeNumber(settings, "expansion_factor", 0);
  if (!factor || factor.value === 0 || width === null) return null;
  return { ...factor, value: factor.value * width };
}

/** The tensor of that name. Throws where the file lacks it. */
export function tensorOf(set: TensorSet, name: string): StoredTensor {
  const tensor = set.tensors.get(name);
  if (tensor) return tensor;
  const has = [...set.tensors.keys()].slice(0, 12).join(", ");
  throw invalidFile(`${set.file} has no tensor "${name}"; it has ${has}.`, "Give the weights that the tool itself wrote.");
}
