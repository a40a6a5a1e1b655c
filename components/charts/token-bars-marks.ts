/** Lengths of bars as shares of the longest, 0..1, by magnitude; all zero when nothing has any. */
export function barShares(values: number[]): number[] {
  const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return values.map((value) => (most > 0 ? Math.abs(value) / most : 0));
}
