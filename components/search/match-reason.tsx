import { cn } from "@/components/ui/cn";
import { withoutHighlight } from "@/lib/core/highlight";
import type { FeatureCard } from "@/lib/core/records";
import { Highlighted } from "./highlighted";

const reasons = {
  key: "found by its index",
  words: "found by its words",
  typo: "found by similar words",
  meaning: "similar meaning",
} as const;

/** Why a search found a feature: the place where its words are, unless the label shows them already. */
export function MatchReason({ card: { match, label }, className }: { card: Pick<FeatureCard, "match" | "label">; className?: string }) {
  const elsewhere = match?.highlight && withoutHighlight(match.highlight) !== label ? match.highlight : null;
  return (
    <p dir="auto" className={cn("truncate text-muted text-xs", className)} title={elsewhere ? withoutHighlight(elsewhere) : undefined}>
      {match && (elsewhere ? <Highlighted text={elsewhere} /> : reasons[match.kind])}
    </p>
  );
}
