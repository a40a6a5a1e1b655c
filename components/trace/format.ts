/** Contributions in print: signed, on one number of decimals for a list. */

/** 0.4213 → "+0.42", −1.5 → "−1.50"; three significant digits where all are small. */
export function formatContribution(value: number, decimals = 2): string {
  const text = Math.abs(value).toFixed(decimals);
  const zero = Number(text) === 0;
  return `${zero ? "" : value < 0 ? "−" : "+"}${text}`;
}

/** Decimals under which the greatest of a list's values has three significant digits, 1 to 6. */
export function decimalsFor(greatest: number): number {
  if (!(greatest > 0)) return 2;
  return Math.min(6, Math.max(1, 2 - Math.floor(Math.log10(greatest))));
}
