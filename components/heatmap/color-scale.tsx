"use client";
import { cn } from "@/components/ui/cn";
import { formatActivation } from "@/lib/core/format";
import { divergingRamp, heatRamp, rampGradient } from "@/lib/core/heat";
import { useTheme } from "../shell/theme";

interface ColorScaleProps {
  /** Value at the end of the ramp (and, mirrored, at its beginning where it diverges). */
  max: number;
  scale?: "heat" | "diverging";
  /** Marked on the ramp: the value under the pointer. */
  value?: number | null;
  /** What the numbers are. */
  label?: string;
  className?: string;
}

/** The ramp with its numbers. */
export function ColorScale({ max, scale = "heat", value = null, label = "activation", className }: ColorScaleProps) {
  const theme = useTheme();
  const from = scale === "heat" ? 0 : -max;
  const share = value === null || !(max > 0) ? null : Math.min(1, Math.max(0, (value - from) / (max - from)));
  const ticks = [from, from + (max - from) / 2, max];
  return (
    <figure
      className={cn("w-full min-w-40 text-muted text-xs", className)}
      aria-label={`Colour scale: ${label} from ${formatActivation(from)} to ${formatActivation(max)}`}
    >
      <div className="flex items-baseline justify-between">
        <figcaption>{label}</figcaption>
        <span className="num text-ink" aria-live="off">
          {value === null ? "\u00a0" : formatActivation(value)}
        </span>
      </div>
      <div
        className="relative mt-1 h-2 rounded-sm ring-1 ring-line ring-inset"
        style={{ background: rampGradient(scale === "heat" ? heatRamp(theme) : divergingRamp(theme)) }}
      >
        {share !== null && (
          <span
            className="absolute -top-1 h-4 w-0.5 -translate-x-1/2 rounded bg-ink shadow-[0_0_0_1px_var(--surface)]"
            style={{ left: `${100 * share}%` }}
          />
        )}
      </div>
      <div className="num mt-1 flex justify-between">
        {ticks.map((tick) => (
          <span key={tick}>{formatActivation(tick)}</span>
        ))}
      </div>
    </figure>
  );
}
