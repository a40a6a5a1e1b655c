/** How fast a long piece of work goes, by what was done lately. */

/** What is older says little of what comes. */
const windowMs = 20_000;
/** Fewer say nothing of the pace. */
const fewest = 3;

export class Pace {
  /** When things were done, in milliseconds; the first may be when the work began. */
  private times: number[] = [];

  /** The work begins, or goes on after a rest, which is then not counted. */
  start(now: number): void {
    this.times = [now];
  }

  /** One more thing is done. */
  mark(now: number): void {
    this.times.push(now);
    while (this.times.length > fewest + 1 && (this.times[0] as number) < now - windowMs) this.times.shift();
  }

  /** Things a second; null while that is unknown. Time since the last one counts, so that a stall shows. */
  rate(now: number): number | null {
    const done = this.times.length - 1;
    const elapsed = now - (this.times[0] ?? now);
    return done < fewest || elapsed <= 0 ? null : (1000 * done) / elapsed;
  }

  /** How long so many more take; null while that is unknown. */
  secondsLeft(more: number, now: number): number | null {
    const rate = this.rate(now);
    return rate === null ? null : more / rate;
  }
}

/**
 * The numbers 0 … n − 1 in an order whose every beginning is spread over all of them (steps of about the golden ratio of n): what is found in a part
 * of a list then stands for the whole, however the list is ordered.
 */
export function spread(n: number): number[] {
  const divides = (a: number, b: number): number => (b === 0 ? a : divides(b, a % b));
  let step = Math.max(1, Math.round(n * 0.618_034));
  while (n > 1 && divides(n, step) !== 1) step++;
  return Array.from({ length: n }, (_, i) => (i * step) % n);
}
