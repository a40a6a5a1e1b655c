import { cn } from "@/components/ui/cn";
import { formatPercent, formatRate } from "@/lib/core/format";

/** From one token in 100,000 to every token, by orders of magnitude: the lengths 0 to 1 of the bar. */
export function densityLength(density: number | null): number {
  if (!density || density <= 0) return 0;
  return Math.min(1, Math.max(0.04, 1 + Math.log10(density) / 5));
}

/** `noun`: the tokens that it is a share of. */
export function DensityBar({
  density,
  noun = "image",
  className,
}: {
  density: number | null;
  noun?: "image" | "text";
  className?: string;
}) {
  const words =
    density === null
      ? "density not measured"
      : `density ${formatPercent(density)}: active on ${density > 0 ? formatRate(density) : "none"} of the ${noun} tokens`;
  return (
    <span
      role="img"
      aria-label={words}
      title={words}
      className={cn("inline-block h-1.5 w-10 shrink-0 overflow-hidden rounded-full bg-sunken ring-1 ring-line ring-inset", className)}
    >
      <span className="block h-full rounded-full bg-muted" style={{ width: `${Math.round(100 * densityLength(density))}%` }} />
    </span>
  );
}
