/** A clamp in words: what its parts mean, and the whole in one line. */
import type { Op, Scope } from "@/lib/core/protocol";
import type { LinkedClamp } from "@/lib/core/steer-link";
import { strengths } from "./strengths";

export const opNames: Record<Op, { name: string; explain: string }> = {
  set: { name: "Set", explain: "The feature's activation becomes exactly this, wherever the clamp reaches." },
  scale: { name: "Scale", explain: "The feature's own activation, multiplied; where it is inactive nothing happens." },
  add: { name: "Add", explain: "This much is added to the feature's own activation." },
  ablate: { name: "Ablate", explain: "The feature is removed wherever it is active." },
};

export type NamedScope = Exclude<Scope["type"], "region">;

export const scopeNames: Record<NamedScope, { name: string; explain: string }> = {
  image: { name: "Image", explain: "At every position of the picture: changes what the model sees." },
  prompt: { name: "Prompt", explain: "At the words of the question and the chat's own marks: changes how the question is read." },
  generated: { name: "Generated", explain: "At each token as it is written: changes what is said next." },
  all: { name: "Everywhere", explain: "On the picture, the words and what is written: strongest, and the soonest to break the answer." },
};

const numberFormat = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** 2 → "2", −0.25 → "−0.25". */
export const formatStrength = (value: number) => numberFormat.format(value).replace("-", "−");

export function describeScope(scope: Scope): string {
  switch (scope.type) {
    case "image":
      return "on the picture";
    case "prompt":
      return "on the question's words";
    case "generated":
      return "on what is written";
    case "all":
      return "everywhere";
    case "region":
      return scope.cells.length === 1 ? "on 1 cell of the picture" : `on ${scope.cells.length} cells of the picture`;
  }
}

/** "set to 2 × max", "ablated", "scaled to half"… without where. */
export function describeStrength({ op, value, unit }: Pick<LinkedClamp, "op" | "value" | "unit">): string {
  const amount = unit === "max" ? `${formatStrength(value)} × max` : `${formatStrength(value)} raw`;
  switch (op) {
    case "set":
      return `set to ${amount}`;
    case "add":
      return value < 0
        ? `lowered by ${unit === "max" ? `${formatStrength(-value)} × max` : `${formatStrength(-value)} raw`}`
        : `raised by ${amount}`;
    case "scale":
      return `multiplied by ${formatStrength(value)}`;
    case "ablate":
      return "removed";
  }
}

/** Ready-made strengths. `opposite` turns the clamp at hand round. */
export const presets: { name: string; explain: string; patch: (clamp: LinkedClamp) => Partial<Omit<LinkedClamp, "feature">> }[] = [
  {
    name: "Make it see this",
    explain: `Set to ${formatStrength(strengths.seen)} × its maximum on the picture`,
    patch: () => ({ op: "set", value: strengths.seen, unit: "max", scope: { type: "image" } }),
  },
  { name: "Ablate", explain: "Remove it everywhere", patch: () => ({ op: "ablate", scope: { type: "all" } }) },
  {
    name: "Opposite",
    explain: "The same strength, the other way",
    patch: (clamp) => ({ op: clamp.op === "ablate" ? "set" : clamp.op, value: clamp.value === 0 ? -1 : -clamp.value }),
  },
];
