/** Times in milliseconds, and what is said of many. */

export interface Times {
  n: number;
  p50: number;
  p95: number;
  max: number;
}

export const round = (value: number, digits = 1) => Number(value.toFixed(digits));

export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export function summarise(ms: number[]): Times {
  return { n: ms.length, p50: round(quantile(ms, 0.5)), p95: round(quantile(ms, 0.95)), max: round(Math.max(...ms)) };
}

export async function timed<T>(work: () => Promise<T>): Promise<[result: T, ms: number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}
