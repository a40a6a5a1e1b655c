import { ConceptGlyph } from "@/components/search/concept";
import { Badge } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { formatIndex } from "@/lib/core/format";
import type { FeatureDetail } from "@/lib/core/records";
import { health } from "./facts";

/** Label, concept class, index, and what is wrong with the feature if anything is. */
export function FeatureTitle({ detail, className }: { detail: FeatureDetail; className?: string }) {
  const { feature, dictionary } = detail;
  const ailments = health(detail).filter((entry) => entry.key !== "sound");
  const name = feature.label ?? (feature.dead ? "Dead feature" : "Unexplained feature");
  // A long label is a sentence and is set like one.
  const long = name.length > 48;
  return (
    <header className={cn("min-w-0", className)}>
      <h1
        dir="auto"
        className={cn(
          "text-pretty break-words font-semibold max-lg:line-clamp-4",
          long ? "text-lg leading-snug" : "text-2xl leading-tight",
          !feature.label && "text-muted",
        )}
      >
        {name}
      </h1>
      <p className="mt-2 flex flex-wrap items-center gap-2 text-muted text-sm">
        <span className="num font-mono">{formatIndex(feature.index, dictionary.numLatents)}</span>
        {feature.concept && (
          <span className="inline-flex items-center gap-1.5">
            <ConceptGlyph concept={feature.concept} />
            {feature.concept}
          </span>
        )}
        {ailments.map((entry) => (
          <Badge key={entry.key} tone={entry.tone} title={entry.text}>
            {entry.name}
          </Badge>
        ))}
      </p>
    </header>
  );
}
