import { cn } from "@/components/ui/cn";
import { withoutHighlight } from "@/lib/core/highlight";
import type { FeatureCard } from "@/lib/core/records";
import { Highlighted } from "./highlighted";

/** What a feature is called: its label, or why it has none. */
export function nameOf({ label, dead }: Pick<FeatureCard, "label" | "dead">): string {
  return label ?? (dead ? "never fires" : "no explanation");
}

/** A feature's name in a list, with the words that were searched for marked where they are in it. */
export function FeatureLabel({ card, className }: { card: FeatureCard; className?: string }) {
  const marked = card.match?.highlight;
  return (
    <span dir="auto" className={cn(className, !card.label && "text-muted italic")} title={card.label ?? undefined}>
      {marked && withoutHighlight(marked) === card.label ? <Highlighted text={marked} /> : nameOf(card)}
    </span>
  );
}
