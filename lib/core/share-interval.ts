/** A share of trials with its 95 % interval, both 0..1. Without trials nothing is known: null, and the whole range. */
export interface ShareOfTrials {
  hits: number;
  of: number;
  share: number | null;
  low: number;
  high: number;
}

/** The two-sided 97.5 % point of the normal distribution. */
const z = 1.959_964;

/** Wilson's score interval, which stays within 0..1 and is honest of few trials and of shares near either end. */
export function shareWithInterval(hits: number, of: number): ShareOfTrials {
  if (of === 0) return { hits, of, share: null, low: 0, high: 1 };
  const share = hits / of;
  const shrink = 1 + (z * z) / of;
  const middle = (share + (z * z) / (2 * of)) / shrink;
  const half = (z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))) / shrink;
  // At either end rounding may leave the range by a hair.
  return { hits, of, share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
