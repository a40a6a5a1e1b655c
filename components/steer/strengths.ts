/**
 * How strong a clamp begins, and how strong "Make it see this" is, in units of the feature's own maximum. Chosen from what was measured by scope and strength
 * (docs/steering.md): on the whole picture, twice the maximum is named in under half of the answers; four times in most of them, nine in ten still whole
 * sentences or nearly; eight times almost always, at the price of one sentence in four that breaks. Nothing else in the sandbox repeats these numbers.
 */
export const strengths = {
  /** A feature of pictures, when it is added: on the picture. */
  onPicture: 4,
  /** A feature of words, when it is added: everywhere, where more breaks the answer. */
  everywhere: 1,
  /** "Make it see this": on the picture. */
  seen: 8,
} as const;
