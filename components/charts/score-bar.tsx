/** A value between 0 and 1 with a tick where random features stand. Decoration: the numbers are written beside it. */
export function ScoreBar({ value, baseline }: { value: number; baseline: number | null }) {
  const place = (share: number) => `${100 * Math.min(1, Math.max(0, share))}%`;
  return (
    <span aria-hidden className="relative block h-1.5 w-full rounded-full bg-line">
      <span className="absolute inset-y-0 left-0 rounded-full bg-accent" style={{ width: place(value) }} />
      {baseline !== null && (
        <span className="absolute -inset-y-1 w-0.5 -translate-x-1/2 rounded bg-ink ring-1 ring-surface" style={{ left: place(baseline) }} />
      )}
    </span>
  );
}
