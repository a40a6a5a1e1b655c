/** Agreement of two rankings. */

/** Places in ascending order, from 1; equal values share the mean of theirs. */
function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1] as number] === values[order[from] as number]) to++;
    for (let i = from; i <= to; i++) ranks[order[i] as number] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}

/** Spearman's rank correlation, −1..1; null for fewer than three pairs, or where either side is all equal. */
export function rankCorrelation(left: readonly number[], right: readonly number[]): number | null {
  if (left.length < 3) return null;
  const [a, b] = [ranksOf(left), ranksOf(right)];
  const mean = (left.length + 1) / 2;
  let both = 0;
  let [squaresA, squaresB] = [0, 0];
  for (let i = 0; i < left.length; i++) {
    const [x, y] = [(a[i] as number) - mean, (b[i] as number) - mean];
    both += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return squaresA > 0 && squaresB > 0 ? both / Math.sqrt(squaresA * squaresB) : null;
}
