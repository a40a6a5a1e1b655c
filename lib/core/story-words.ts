/** What a story is called. */
import type { Story } from "./story";

type Told = Pick<Story, "kind" | "clamped" | "before" | "after">;

/** The kind in a few words. */
export const storyNames = {
  emotion: "An emotion turned",
  hallucination: "A hallucination traced and removed",
  written: "A written word that overrides the picture",
} as const;

/** The name of the experiment that shows it. */
export const storyTitle = ({ kind, clamped, before, after }: Told) => `${storyNames[kind]}: “${clamped.label}”, “${before}” → “${after}”`;
