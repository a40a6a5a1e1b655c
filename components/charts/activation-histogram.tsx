import { formatActivation, formatCount, formatPercent } from "@/lib/core/format";
import { type Histogram, histogramBars, histogramX, shareBelow } from "./activation-histogram-marks";

interface ActivationHistogramProps {
  histogram: Histogram;
  /** A value to mark, with what it is. */
  mark: { value: number; name: string } | null;
}

const width = 320;
const height = 72;

/** How strongly a feature fires where it fires, heights logarithmic, with one value marked. */
export function ActivationHistogram({ histogram, mark }: ActivationHistogramProps) {
  const bars = histogramBars(histogram, width, height);
  const low = histogram.edges[0] ?? 0;
  const high = histogram.edges[histogram.edges.length - 1] ?? 1;
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  const tallest = Math.max(0, ...histogram.counts);
  const share = mark ? shareBelow(histogram, mark.value) : null;
  const x = mark ? histogramX(histogram, mark.value, width) : 0;
  return (
    <figure>
      <svg
        viewBox={`0 -4 ${width} ${height + 6}`}
        preserveAspectRatio="none"
        className="block h-20 w-full overflow-visible"
        role="img"
        aria-label={`Histogram of ${formatCount(total)} activations from ${formatActivation(low)} to ${formatActivation(high)}; heights are logarithmic, the fullest bin holds ${formatCount(tallest)}`}
      >
        {bars.map((bar) => (
          <rect key={bar.x} x={bar.x} y={bar.y} width={bar.width} height={bar.height} className="fill-faint" opacity={0.7}>
            <title>{`${formatActivation(bar.from)} to ${formatActivation(bar.to)}: ${formatCount(bar.count)}`}</title>
          </rect>
        ))}
        <line x1={0} x2={width} y1={height + 0.5} y2={height + 0.5} className="stroke-line" vectorEffect="non-scaling-stroke" />
        {mark && <line x1={x} x2={x} y1={-4} y2={height + 2} className="stroke-accent" strokeWidth={2} vectorEffect="non-scaling-stroke" />}
      </svg>
      <div className="num mt-1 flex justify-between text-[0.8125rem] text-muted" aria-hidden>
        <span>{formatActivation(low)}</span>
        <span>log count, up to {formatCount(tallest)}</span>
        <span>{formatActivation(high)}</span>
      </div>
      <figcaption className="num mt-1 min-h-5 text-sm">
        {mark && (
          <>
            <span aria-hidden className="mr-1.5 inline-block h-3 w-0.5 translate-y-px rounded bg-accent" />
            {mark.name} {formatActivation(mark.value)}
            {share !== null && (
              <span className="text-muted">
                {share >= 1 ? ", the largest seen" : `, above ${formatPercent(share)} of active image tokens`}
              </span>
            )}
          </>
        )}
      </figcaption>
    </figure>
  );
}
