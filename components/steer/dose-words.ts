/** A dose curve in words: what a strength is called, and what came of all of them in one sentence. */
import { formatPercent } from "@/lib/core/format";
import { limits } from "@/lib/core/protocol";
import { formatStrength } from "./clamp-words";
import type { DoseCurve, DosePoint } from "./dose";
import { readNumber } from "./read-number";
import type { RunSweep } from "./run-state";

/** "4 × max", "0.5 × its own", "37 raw". */
export function doseName(value: number, { op, unit }: Pick<RunSweep["clamp"], "op" | "unit">): string {
  if (op === "scale") return `${formatStrength(value)} × its own`;
  return `${formatStrength(value)}${unit === "max" ? " × max" : " raw"}`;
}

const weakestFirst = (a: DosePoint, b: DosePoint) => Math.abs(a.value) - Math.abs(b.value);

/** Where it works and where the model breaks. Empty until every point has ended. */
export function describeDose({ clamp, points, words }: DoseCurve): string {
  if (points.length === 0 || points.some(({ receipt }) => receipt === null)) return "";
  const order = points.toSorted(weakestFirst);
  const named = (point: DosePoint) => doseName(point.value, clamp);
  const changed = order.find((point) => (point.changed ?? 0) > 0 && point.receipt?.outcome === "steered");
  const broken = order.find((point) => point.broken !== null);
  const sentences = [
    !changed
      ? "No strength that was tried changes the answer."
      : broken === changed
        ? `The answer changes at ${named(changed)} for the first time, and breaks at once: ${changed.broken}.`
        : `The answer changes at ${named(changed)} for the first time${broken ? "" : ", and no strength is seen to break it"}.`,
  ];
  if (broken && broken !== changed) sentences.push(`It breaks at ${named(broken)}: ${broken.broken}.`);
  words.slice(0, 1).forEach((word, i) => {
    const best = order.toSorted((a, b) => (b.watched[i]?.peak ?? 0) - (a.watched[i]?.peak ?? 0))[0];
    const peak = best?.watched[i]?.peak;
    if (best && peak !== undefined) sentences.push(`“${word}” is likeliest at ${named(best)} (${formatPercent(peak)}).`);
  });
  return sentences.join(" ");
}

/** Strengths as typed, apart by commas or spaces; or a sentence that says which cannot be taken. */
export function readStrengths(text: string): { values: number[]; refusal: null } | { values: null; refusal: string } {
  const parts = text.split(/[\s,;]+/).filter(Boolean);
  if (parts.length === 0) return { values: null, refusal: "Give at least one strength." };
  if (parts.length > limits.sweepPoints) {
    return { values: null, refusal: `A curve has at most ${limits.sweepPoints} strengths; these are ${parts.length}.` };
  }
  const values: number[] = [];
  for (const part of parts) {
    const { value, refusal } = readNumber(part, { min: -limits.value, max: limits.value, whole: false });
    if (value === null) return { values: null, refusal };
    values.push(value);
  }
  return { values: [...new Set(values)].sort((a, b) => a - b), refusal: null };
}
