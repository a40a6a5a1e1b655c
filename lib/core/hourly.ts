/** How often something was done within the last hour, by key: in memory, and by a clock that the caller reads. */

const hourMs = 3_600_000;
/** Keys that are remembered at once; beyond it the one that was counted longest ago goes. */
const keptKeys = 10_000;

export interface Taken {
  /** Gives the place back: what was to be counted did not happen. */
  release(): void;
}

export class HourlyCount {
  private readonly times = new Map<string, number[]>();

  /** @param limit how often a key may be counted within any hour; 0 = never */
  constructor(private readonly limit: number) {}

  /** Counts one at `now` (milliseconds), or says after how many seconds the next can be counted. */
  take(key: string, now: number): Taken | { waitS: number } {
    const within = (this.times.get(key) ?? []).filter((at) => at > now - hourMs);
    const oldest = within[within.length - this.limit];
    if (this.limit === 0 || oldest !== undefined) {
      this.times.set(key, within);
      return { waitS: Math.max(1, Math.ceil(((oldest ?? now) + hourMs - now) / 1_000)) };
    }
    // The latest last, so that the first is the one to go.
    this.times.delete(key);
    this.times.set(key, [...within, now]);
    const [first] = this.times.keys();
    if (this.times.size > keptKeys && first !== undefined) this.times.delete(first);
    return {
      release: () => {
        const times = this.times.get(key) ?? [];
        const at = times.lastIndexOf(now);
        if (at >= 0) times.splice(at, 1);
      },
    };
  }
}
